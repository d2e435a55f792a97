"""Scaled integers: the units of every number that touches money, and how they are rounded.

| quantity        | unit of the integer           | suffix       |
|-----------------|-------------------------------|--------------|
| energy          | watt-hour                     | `_wh`        |
| load, demand    | watt                          | `_w`         |
| posted money    | paisa                         | `_paise`     |
| rate            | 10⁻⁴ rupee per kWh or per kW  | `_e4`        |
| fraction        | 10⁻⁴ (1.24 % is 124)          | `_e4`        |
| unrounded money | 10⁻⁷ rupee (Wh x rate_e4)     | `_e7`        |
"""

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

E7_PER_PAISA = 100_000
FRACTION_ONE_E4 = 10_000
_HEADROOM = 2**62
_LARGEST = 2**63 - 1


class HeadRoomError(ArithmeticError):
    """A product could leave 64 bits; nothing was computed."""


def int64(name: str, values: npt.ArrayLike) -> Int64:
    """`values` as a one-dimensional int64 array; floats and objects are refused, never converted."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name}: a scaled integer is wanted, not {array.dtype}")
    if array.ndim != 1:
        raise TypeError(f"{name}: one value a row is wanted, not shape {array.shape}")
    if array.dtype.kind == "u" and array.size and int(array.max()) > _LARGEST:
        raise HeadRoomError(f"{name}: {int(array.max())} does not fit into 64 bits; check the unit")
    return np.ascontiguousarray(array, dtype=np.int64)


def assert_head_room(name: str, *factors: int) -> None:
    """Raise HeadRoomError if the product of the largest factors leaves no room in int64."""
    product = 1
    for factor in factors:
        product *= max(abs(int(factor)), 1)
    if product >= _HEADROOM:
        raise HeadRoomError(f"{name}: up to {product} does not fit into 64 bits; check load, energy and rate")


def largest(values: Int64) -> int:
    """The largest magnitude in `values`; 0 for none."""
    return max(int(values.max()), -int(values.min())) if values.size else 0


def distinct(values: Int64) -> list[int]:
    """The distinct values, rising. For values close together, as months and positions are: no sorting."""
    if not values.size:
        return []
    low = int(values.min())
    return [low + step for step in np.flatnonzero(np.bincount(values - low)).tolist()]


def half_up(numerator: Int64, denominator: int | Int64) -> Int64:
    """numerator ÷ denominator to the nearest integer, halves away from zero (as a clerk rounds)."""
    half = denominator // 2
    if not numerator.size or numerator.min() >= 0:
        return _floor_div(numerator + half, denominator)
    return np.where(
        numerator < 0, -_floor_div(half - numerator, denominator), _floor_div(numerator + half, denominator)
    )


def _floor_div(numerator: Int64, denominator: int | Int64) -> Int64:
    # Odd denominators: adding floor(d / 2) is right too, as no half exists between two integers then.
    quotient: Int64 = numerator // denominator
    return quotient
