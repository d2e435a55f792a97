"""How fast bills are rated: a million mixed bills, against a plain Python integer loop for the same bills."""

import datetime as dt
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from khata.kernel.bills import Group, Priced, Segments, price
from khata.kernel.days import day_number
from khata.kernel.order import Order
from khata.kernel.quantities import Int64
from khata.tariffs.queries import orders_of, read_orders
from tests.bench.plain_loop import Bill, Plain

REPOSITORY = next(above for above in Path(__file__).resolve().parents if (above / "pyproject.toml").is_file())
BILLS, LOOPED, BLOCK, SEED = 1_000_000, 100_000, 131_072, 20240620
T = TypeVar("T")
Row = tuple[str, float, str, float | None, bool]
COLUMNS = ("start", "end", "category", "area", "prepaid", "load_w", "demand_w", "energy_wh", "bill_day")
CATEGORIES, AREAS = ("LMV-1", "LMV-2"), ("rural", "urban")


def rows() -> list[Row]:
    """(name, value, unit, target, ok) of each measurement; a target of None is for comparison only.

    Seconds are of this process's own work, so that neighbours on the machine weigh on both sides alike.
    """
    orders, bills = _orders(), mixed_bills(BILLS)
    looped, answers = _timed(lambda: _by_plain_loop(orders, bills, LOOPED))
    _assert_same(orders, bills, answers)
    del answers
    kernel = _best_of(5, lambda: _all_blocks(orders, bills))
    looped = min(looped, _timed(lambda: _by_plain_loop(orders, bills, LOOPED))[0])
    ratio = looped * BILLS / LOOPED / kernel
    one = _best_of(300, lambda: price(orders, _only(bills, 0, 1), metered=False)) * 1000
    return [
        ("kernel: a million mixed bills", BILLS / kernel / 1e6, "million bills/s", None, True),
        (
            f"plain integer loop: the first {LOOPED:,} of them, same paise",
            LOOPED / looped / 1e6,
            "million bills/s",
            None,
            True,
        ),
        ("kernel ÷ plain integer loop", ratio, "x", 30.0, ratio >= 30),
        ("one bill alone", one, "ms", 1.0, one <= 1),
        *_beside_pysam(),
    ]


def _orders() -> tuple[Order, ...]:
    orders = read_orders(REPOSITORY / "tariffs")
    return orders_of(orders, orders[0].discoms[0])


def mixed_bills(count: int) -> Segments:
    """Seeded bills over all schedules: both areas, prepaid, odd loads, calendar months and cycles of any days."""
    rng = np.random.default_rng(SEED)
    starts = np.array([day_number(dt.date(2024 + m // 12, m % 12 + 1, 1)) for m in range(3, 31)], np.int64)
    month = rng.integers(0, len(starts) - 1, count)
    start, end = starts[month], starts[month + 1]
    cycle = rng.random(count) < 0.25  # read by hand: from any day, 20 to 40 days; one in ten skips a month
    start = np.where(cycle, start + rng.integers(0, 28, count), start)
    long = np.where(rng.random(count) < 0.1, 30, 0)
    end = np.where(cycle, start + rng.integers(20, 41, count) + long, end)
    kilowatts = rng.choice([1, 1, 1, 2, 2, 2, 3, 4, 5, 7, 10, 25], count)
    load = kilowatts * 1000 + np.where(rng.random(count) < 0.03, rng.integers(1, 1000, count), 0)
    energy = (rng.lognormal(0, 0.9, count) * 90_000).astype(np.int64) * np.minimum(kilowatts, 5)
    bill_day = end + rng.integers(0, 10, count)
    april_2026 = (bill_day >= day_number(dt.date(2026, 4, 1))) & (bill_day < day_number(dt.date(2026, 5, 1)))
    bill_day = np.where(april_2026, day_number(dt.date(2026, 5, 1)), bill_day)  # its figure is not published
    return Segments(
        bill=np.arange(count),
        start=start,
        end=end,
        category=(rng.random(count) < 0.25).astype(np.int64),
        area=(rng.random(count) < 0.6).astype(np.int64),
        prepaid=(rng.random(count) < np.where(cycle, 0.04, 0.4)).astype(np.int64),  # prepaid meters are smart
        load_w=load,
        demand_w=(load * rng.integers(5, 130, count)) // 100,
        energy_wh=energy,
        bill_day=np.minimum(bill_day, day_number(dt.date(2026, 8, 31))),
        categories=CATEGORIES,
        areas=AREAS,
    )


def _only(bills: Segments, start: int, stop: int) -> Segments:
    part = slice(start, min(stop, len(bills)))
    columns = {column: getattr(bills, column)[part] for column in COLUMNS}
    return Segments(bill=np.arange(part.stop - start), **columns, categories=bills.categories, areas=bills.areas)


def _all_blocks(orders: tuple[Order, ...], bills: Segments) -> None:
    for start in range(0, len(bills), BLOCK):
        price(orders, _only(bills, start, start + BLOCK), metered=False)


def _by_plain_loop(orders: tuple[Order, ...], bills: Segments, count: int) -> list[list[list[int]]]:
    plain = Plain(orders)
    listed = zip(*(getattr(bills, name)[:count].tolist() for name in COLUMNS), strict=True)
    return [
        plain.price(Bill(start, end, CATEGORIES[category], AREAS[area], *rest))
        for start, end, category, area, *rest in listed
    ]


def _assert_same(orders: tuple[Order, ...], bills: Segments, answers: list[list[list[int]]]) -> None:
    """Every line of every part of every bill that the loop priced."""
    priced = price(orders, _only(bills, 0, len(answers)), metered=False)
    assert not priced.refusal.any(), "the bench's bills are all to be priced"
    lines = _lines_by_row(priced)
    at = 0
    for number, parts in enumerate(answers):
        assert lines[at : at + len(parts)] == parts, f"bill {number} differs: {lines[at : at + len(parts)]} {parts}"
        at += len(parts)
    assert at == len(lines)


def _lines_by_row(priced: Priced) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(len(priced.segments))]
    for group in priced.groups:
        for row, line in zip(group.rows.tolist(), _wide(group).tolist(), strict=True):
            found[row] = line
    return found


def _wide(group: Group) -> Int64:
    """The lines in the loop's order, 0 for those that the schedule has not."""
    ids = group.schedule.line_ids
    zero = np.zeros(len(group.rows), np.int64)
    return np.stack([group.rated.lines[:, ids.index(name)] if name in ids else zero for name in Plain.LINES], axis=1)


# -- beside NREL's PySAM ---------------------------------------------------------------------------------------------


def _beside_pysam() -> list[Row]:
    """Slabs only: its utility-rate model prices one customer's year of hours, twelve bills at a time."""
    name = "PySAM utilityrate5: slabs only, a year of one customer"
    if importlib.util.find_spec("PySAM") is None:
        return [(f"{name}: not installed", 0.0, "", None, True)]
    import PySAM.Utilityrate5 as utilityrate5  # noqa: N813  # only where it is installed

    model = utilityrate5.new()
    slabs = [(150, 5.5), (300, 6.0), (1e38, 6.5)]
    every_hour = [[1] * 24] * 12
    model.ElectricityRates.assign(
        {
            "ur_metering_option": 0,
            "ur_en_ts_sell_rate": 0,
            "ur_ec_sched_weekday": every_hour,
            "ur_ec_sched_weekend": every_hour,
            "ur_ec_tou_mat": [[1, tier + 1, top, 0, rate, 0] for tier, (top, rate) in enumerate(slabs)],
            "rate_escalation": [0.0],
        }
    )
    model.Lifetime.assign({"analysis_period": 1, "system_use_lifetime_output": 0, "inflation_rate": 0})
    model.SystemOutput.assign({"gen": [0.0] * 8760, "degradation": [0.0]})
    model.Load.load = [1.0] * 8760
    seconds = _best_of(20, lambda: model.execute(0))
    year = sum(
        150 * 5.5 + 150 * 6.0 + (days * 24 - 300) * 6.5 for days in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    )
    assert abs(model.Outputs.utility_bill_wo_sys[1] - year) < 0.01, "the model was not given the same slabs"
    return [(name, 12 / seconds / 1e6, "million bills/s", None, True)]


def _best_of(times: int, work: Callable[[], object]) -> float:
    return min(_timed(work)[0] for _ in range(times))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    made = work()
    return time.process_time() - start, made
