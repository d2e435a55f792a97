"""What each of several changes contributes to a difference: the average over all orders of making them (Shapley)."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import factorial

import numpy as np

from khata.kernel.quantities import Int64, assert_head_room, int64, largest

MOST_FACTORS = 7  # 5040 orders; the products of paise with their number stay far inside 64 bits


def attribute(values: Int64) -> Int64:
    """Paise for each of n factors, which add up to `values[-1] - values[0]` exactly.

    `values` are the 2^n amounts in paise, (2^n,): at position p with exactly those factors changed whose bits are set
    in p. A factor gets its effect averaged over all n! orders in which the factors may be changed one after the other,
    worked in whole numbers (n! times the average), cut off to the paisa. The paise left over go to the largest cut-off
    parts, of equal ones to the first factor. So a factor that never changes the amount gets 0, and the way back gets
    the opposite. Raises ValueError for another number of values than 2 to 128.
    """
    values = int64("values", values)
    factors = len(values).bit_length() - 1
    if len(values) != 2**factors or not 1 <= factors <= MOST_FACTORS:
        raise ValueError(f"{len(values)} values are not those of 1 to {MOST_FACTORS} factors")
    orders = factorial(factors)
    assert_head_room("paise in all orders", largest(values), 2 * orders)
    over_all_orders = _weights(factors) @ values
    shares, cut_off = _cut_off(over_all_orders, orders)
    left = int(values[-1]) - int(values[0]) - sum(shares.tolist())
    sign = 1 if left > 0 else -1
    shares[np.argsort(-sign * cut_off, kind="stable")[: abs(left)]] += sign
    residual = int(values[-1]) - int(values[0]) - sum(shares.tolist())
    if residual:
        raise AssertionError(f"the factors leave {residual} paise: the arithmetic of attribution.py is broken")
    return shares


def _cut_off(numerators: Int64, orders: int) -> tuple[Int64, Int64]:
    """Quotients cut off towards zero, and what was cut off with its sign."""
    sign = np.sign(numerators)
    quotients, rest = np.divmod(np.abs(numerators), orders)
    return sign * quotients, sign * rest


@cache
def _weights(factors: int) -> Int64:
    """(factors, 2^factors): in how many of the orders each value is what was before (below 0) or after the factor."""
    table = np.zeros((factors, 2**factors), np.int64)
    for factor in range(factors):
        others = [other for other in range(factors) if other != factor]
        for size in range(factors):
            orders = factorial(size) * factorial(factors - 1 - size)
            for chosen in combinations(others, size):
                before = sum(1 << other for other in chosen)
                table[factor, before] -= orders
                table[factor, before | 1 << factor] += orders
    return table
