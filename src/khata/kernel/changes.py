"""Which change between two schedules touches a bill, so that an order that alters no line used splits none."""

from functools import lru_cache

from khata.kernel.order import (
    ExcessDemand,
    Line,
    Minimum,
    PercentageRebate,
    PercentOf,
    PerLoad,
    Schedule,
    Slab,
    SlabsTelescopic,
    SlabSubsidy,
)


@lru_cache(maxsize=4096)
def first_change_wh(old: Schedule, new: Schedule, *, above_load: bool, prepaid: bool) -> int | None:
    """The monthly energy above which the change alters an amount: -1 for every bill, None for no bill."""
    if old.line_ids != new.line_ids:
        return -1
    changes = (_change(a, b, above_load, prepaid) for a, b in zip(old.lines, new.lines, strict=True))
    return min((change for change in changes if change is not None), default=None)


def _change(old: Line, new: Line, above_load: bool, prepaid: bool) -> int | None:
    """Clauses and printed words may differ freely; what is computed may not."""
    if type(old) is not type(new):
        return -1
    if isinstance(old, SlabsTelescopic | SlabSubsidy) and isinstance(new, SlabsTelescopic | SlabSubsidy):
        return _slab_change(old.slabs, new.slabs)
    if isinstance(old, ExcessDemand) and not above_load:
        return None
    if isinstance(old, PercentageRebate) and (old.mode == "prepaid") != prepaid:
        return None
    return None if _numbers(old) == _numbers(new) else -1


def _numbers(line: Line) -> tuple[object, ...]:
    if isinstance(line, PerLoad):
        return line.floor_percent, line.rate_e4
    if isinstance(line, ExcessDemand):
        return line.times, line.of
    if isinstance(line, Minimum):
        return line.of, tuple((rate.season, rate.rate_e4) for rate in line.rates)
    if isinstance(line, PercentageRebate):
        return line.of, line.rate_e4, line.mode
    assert isinstance(line, PercentOf)
    if isinstance(line.rate, int):
        return line.of, line.rate
    # A published figure belongs to the bill date, which no change of order moves.
    return line.of, line.rate.none_before


def _slab_change(old: tuple[Slab, ...], new: tuple[Slab, ...]) -> int | None:
    """The energy from which a unit costs another rate."""
    limits = sorted({0, *(slab.up_to_wh for slab in (*old, *new) if slab.up_to_wh is not None)})
    for limit in limits:
        if rate_above(old, limit) != rate_above(new, limit):
            return limit
    return None


def rate_above(slabs: tuple[Slab, ...], energy_wh: int) -> int:
    """The rate (10⁻⁴ rupee a kWh) of the next unit above an energy."""
    for slab in slabs:
        if slab.up_to_wh is None or energy_wh < slab.up_to_wh:
            return slab.rate_e4
    raise AssertionError("the last slab is up to none")
