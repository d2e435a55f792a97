"""Each check beside its nearest neighbour: a day that it accuses, and the same day, hardly changed, that it does not."""

# ruff: noqa: E501  the table reads best with a case in a line or two

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats.meterdays import EXPORT, MeterDayBatch
from khata.metering.checks import KINDS, check, continued, read_rules
from tests.bench.false_alarms import known_of, of_days

DAY = np.datetime64("2026-06-10")
YESTERDAY = int(DAY.astype(np.int64)) - 1
TOMORROW = YESTERDAY + 2
HOME = {"meter": 1, "load_w": 2_000, "factor": 1, "register_digits": 6, "kind": KINDS.index("single phase")}
USUAL = {"usual_wh": 4_800, "peak_wh": 200, "usual_days": 30, "zero_days": 0}
STANDING = {"before_day": YESTERDAY, "before_register_wh": 1_000_000, "after_day": -1, "after_register_wh": -1}
KNOWN = {**HOME, **USUAL, **STANDING}
WAVES = [80 + 40 * (n % 4) for n in range(48)]  # 6.72 kWh that move all day

Value = int | list[int]


def half_hours(**changed: int) -> list[int]:
    """100 Wh each; changed ones as n05=..."""
    return [changed.get(f"n{n:02d}", 100) for n in range(1, 49)]


def accused_of(row: Mapping[str, Value], known: Mapping[str, Value]) -> list[str]:
    """The rules that accuse one day. Half-hours as `blocks`; what a row does not name is not said."""
    row = dict(row)
    blocks = np.array([row.pop("blocks")], np.int32) if "blocks" in row else None
    whole = int(blocks.sum()) if blocks is not None and (blocks >= 0).all() else -1
    total = np.array([row.pop("total_wh", whole)], np.int64)
    columns = {name: np.array([value], _TYPES.get(name, np.int64)) for name, value in row.items()}
    batch = of_days(np.array([DAY]), blocks, total, **columns)
    before = known.get("before_blocks")
    stored = {**KNOWN, **known, "before_blocks": None if before is None else np.array([before], np.int32)}
    return [flagged.rule for flagged in check(batch, known_of(1, **stored), read_rules())]


_TYPES = {"volts_dv": np.int32, "current_ma": np.int32, "hertz_mhz": np.int32, "drift_s": np.int32, "origin": np.int8}
STILL = {"hertz_mhz": [50_000] * 48, "volts_dv": [2_900] * 24 + [2_400] * 24}
LIVING = {"hertz_mhz": [50_000 + n % 3 for n in range(48)], "volts_dv": [2_900] * 48}
DARK = {"blocks": [0] * 48, "off": 2**48 - 1}
MORNING = (1 << 4) - 1  # half-hours 1 to 4

# rule, what it is about, the day, what is known of its meter, the neighbour's day, what is known there
CASES: list[tuple[str, str, dict[str, Value], dict[str, Value], dict[str, Value], dict[str, Value]]] = [
    ("VAL-05", "a half-hour above 15 kWh", {"blocks": half_hours(n07=15_001)}, {"load_w": -1, "usual_days": 0},
     {"blocks": half_hours(n07=15_000)}, {"load_w": -1, "usual_days": 0}),
    ("VAL-05", "a day above 720 kWh", {"total_wh": 720_001}, {"load_w": -1, "usual_days": 0},
     {"total_wh": 720_001}, {"load_w": -1, "usual_days": 0, "kind": KINDS.index("three phase")}),
    ("VAL-09", "a clock off by more than a half-hour", {"total_wh": 4_800, "drift_s": -1_801}, {},
     {"total_wh": 4_800, "drift_s": 0}, {}),
    ("VAL-13", "below the register before", {"register_wh": 999_999}, {"register_digits": 0},
     {"register_wh": 1_000_000}, {"register_digits": 0}),
    ("VAL-13", "above the register after", {"register_wh": 1_000_101}, {"after_day": TOMORROW, "after_register_wh": 1_000_100},
     {"register_wh": 1_000_100}, {"after_day": TOMORROW, "after_register_wh": 1_000_100}),
    ("VAL-13", "a jump of more than a meter counts in a day", {"register_wh": 1_720_001}, {}, {"register_wh": 1_720_000}, {}),
    ("VAL-13", "a late day beside a register that was counted on", {"register_wh": 150}, {"before_register_wh": 999_999_900, "after_day": TOMORROW, "after_register_wh": 1_000_000_140},
     {"register_wh": 50}, {"before_register_wh": 999_999_900, "after_day": TOMORROW, "after_register_wh": 1_000_000_140}),
    ("VAL-13", "set back, not turned over, even where the kind of meter is not known", {"register_wh": 100}, {"kind": 0, "before_register_wh": 500_000_000},
     {"register_wh": 100}, {"kind": 0, "before_register_wh": 950_000_000}),
    ("VAL-14", "six digits, turned over", {"register_wh": 100}, {"before_register_wh": 999_999_900},
     {"register_wh": 999_999_950}, {"before_register_wh": 999_999_900}),
    ("VAL-15", "the register rises by more than the day", {"total_wh": 4_800, "register_wh": 1_005_001}, {},
     {"total_wh": 4_800, "register_wh": 1_005_000}, {}),
    ("VAL-15", "the day is more than the register rose since three days", {"total_wh": 4_800, "register_wh": 1_004_599},
     {"before_day": YESTERDAY - 2}, {"total_wh": 4_800, "register_wh": 1_700_000}, {"before_day": YESTERDAY - 2}),
    ("VAL-16", "a half-hour above 5 kW at 2 kW", {"blocks": half_hours(n40=2_501)}, {"peak_wh": -1},
     {"blocks": half_hours(n40=2_500)}, {"peak_wh": -1}),
    ("VAL-16", "a half-hour above twice a load of 4 kW", {"blocks": half_hours(n40=4_001)}, {"peak_wh": -1, "load_w": 4_000},
     {"blocks": half_hours(n40=4_001)}, {"peak_wh": -1}  | {"load_w": 4_001}),
    ("VAL-16", "a whole day above its load", {"total_wh": 48_001}, {"usual_days": 0}, {"total_wh": 48_000}, {"usual_days": 0}),
    ("VAL-17", "a day of more than 15 kWh above the usual one", {"total_wh": 19_801}, {}, {"total_wh": 19_800}, {}),
    ("VAL-17", "the same, resting on too few days", {"total_wh": 19_801}, {"usual_days": 7}, {"total_wh": 19_801}, {"usual_days": 6}),
    ("VAL-17", "a half-hour of more than 3 kWh above the usual peak", {"blocks": half_hours(n40=3_201)}, {"load_w": 9_000},
     {"blocks": half_hours(n40=3_200)}, {"load_w": 9_000}),
    ("VAL-17", "back after a month of silence at another level", {"total_wh": 9_900}, {"usual_wh": 25_000, "before_day": YESTERDAY - 30},
     {"total_wh": 9_900}, {"usual_wh": 25_000, "before_day": YESTERDAY - 29}),
    ("VAL-18", "the seventh zero day of a meter that used to count", {"total_wh": 0}, {"zero_days": 6}, {"total_wh": 0}, {"zero_days": 5}),
    ("VAL-18", "the same with a power cut all day", {"blocks": [0] * 48, "off": 0}, {"zero_days": 6}, DARK, {"zero_days": 6}),
    ("VAL-18", "a meter that never counted, once", {"total_wh": 0}, {"zero_days": 29, "usual_wh": 0}, {"total_wh": 0}, {"zero_days": 30, "usual_wh": 0}),
    ("VAL-18", "current without energy", {"blocks": half_hours(n01=0, n02=0, n03=0, n04=0), "current_ma": [1_000] * 48}, {},
     {"blocks": half_hours(n01=0, n02=0, n03=0, n04=0), "current_ma": [1_000] * 48, "off": MORNING}, {}),
    ("VAL-18", "current without energy, but the voltage was 0", {"blocks": half_hours(n01=0, n02=0, n03=0, n04=0), "current_ma": [1_000] * 48}, {},
     {"blocks": half_hours(n01=0, n02=0, n03=0, n04=0), "current_ma": [1_000] * 48, "volts_dv": [0] * 4 + [2_400] * 44}, {}),
    ("VAL-19", "a clock five minutes off", {"total_wh": 4_800, "drift_s": 301}, {}, {"total_wh": 4_800, "drift_s": -300}, {}),
    ("VAL-20", "the sender took another factor", {"total_wh": 4_800, "multiplier": 10}, {}, {"total_wh": 4_800, "multiplier": 1}, {}),
    ("VAL-20", "the factor was forgotten", {"total_wh": 5_000}, {"factor": 20, "usual_wh": 100_000, "load_w": 50_000},
     {"total_wh": 8_000}, {"factor": 20, "usual_wh": 100_000, "load_w": 50_000}),
    ("VAL-20", "the factor was taken twice", {"total_wh": 2_000_000}, {"factor": 20, "usual_wh": 100_000, "load_w": 90_000, "usual_days": 7, "kind": 3, "peak_wh": -1},
     {"total_wh": 1_400_000}, {"factor": 20, "usual_wh": 100_000, "load_w": 90_000, "usual_days": 7, "kind": 3, "peak_wh": -1}),
    ("VAL-21", "a frequency that stands still at 290 V", {"blocks": half_hours(), **STILL}, {}, {"blocks": half_hours(), **LIVING}, {}),
    ("VAL-21", "the same at 253 V and a little", {"blocks": half_hours(), **STILL}, {},
     {"blocks": half_hours(), **STILL, "volts_dv": [2_600] * 48}, {}),
    ("VAL-22", "a day that moves, copied", {"blocks": WAVES}, {"before_blocks": WAVES}, {"blocks": WAVES}, {"before_blocks": WAVES[1:] + WAVES[:1]}),
    ("VAL-22", "copied, but as an estimate", {"blocks": WAVES}, {"before_blocks": WAVES}, {"blocks": WAVES, "origin": 2}, {"before_blocks": WAVES}),
    ("VAL-22", "a steady load repeats itself", {"blocks": WAVES}, {"before_blocks": WAVES}, {"blocks": half_hours()}, {"before_blocks": half_hours()}),
    ("VAL-23", "half-hours above their total", {"blocks": half_hours(), "total_wh": 4_749}, {}, {"blocks": half_hours(), "total_wh": 4_750}, {}),
    ("VAL-23", "one is unknown: the total may be more, not less", {"blocks": half_hours(n09=-1), "total_wh": 4_649}, {},
     {"blocks": half_hours(n09=-1), "total_wh": 9_000}, {}),
]  # fmt: skip
BESIDES = {  # where a day is odd in a second way that cannot be had apart
    "the same, resting on too few days": [],
    "the factor was taken twice": ["VAL-17"],
}


@pytest.mark.parametrize(
    ("rule", "about", "day", "known", "near", "near_known"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES]
)
def test_a_day_is_accused_and_its_neighbour_is_not(
    rule: str,
    about: str,
    day: dict[str, Value],
    known: dict[str, Value],
    near: dict[str, Value],
    near_known: dict[str, Value],
) -> None:
    beside = BESIDES.get(about, [])
    assert sorted(accused_of(day, known)) == sorted([rule, *beside])
    assert rule not in accused_of(near, near_known)


def test_no_case_is_missing() -> None:
    judged = {
        number for number in read_rules().by_number if number == "VAL-05" or number == "VAL-09" or number >= "VAL-13"
    }
    assert {case[0] for case in CASES} == judged - {"VAL-24"}  # of days that a person edited: test_editing


# -- rows of one meter in one batch ------------------------------------------------------------------------------------


def registers(*rows: tuple[int, int], stored: tuple[int, int] | None = None) -> list[int]:
    """Which of (day of June, register in kWh) of one meter VAL-13 accuses; `stored` is the register before them all."""
    day = np.array([n for n, _ in rows]) + np.datetime64("2026-05-31")
    register = np.array([kwh * 1_000 for _, kwh in rows], np.int64)
    batch = of_days(day, None, np.full(len(rows), -1), register_wh=register)
    before = {"before_day": -1, "before_register_wh": -1}
    if stored:
        first = np.datetime64("2026-05-31").astype(np.int64)
        before = {"before_day": first + stored[0], "before_register_wh": stored[1] * 1_000}
    known = known_of(len(rows), **{**HOME, **before, "register_digits": 0})
    return [int(row) for found in check(batch, known, read_rules()) if found.rule == "VAL-13" for row in found.rows]


@pytest.mark.parametrize(
    ("about", "rows", "stored", "accused"),
    [
        ("rising", [(1, 100), (2, 105), (4, 120)], None, []),
        ("in any order of rows", [(4, 120), (1, 100), (2, 105)], None, []),
        ("the middle one is too low", [(1, 100), (2, 50), (3, 110)], None, [1]),
        ("the middle one is too high", [(1, 100), (2, 9_999), (3, 110)], None, [1]),
        ("the first one is too high, as what is stored shows", [(1, 9_999), (2, 105)], (0, 95), [0]),
        ("the last one is too low, as what is stored shows", [(1, 100), (2, 50)], (0, 95), [1]),
        ("two that nobody can tell apart", [(1, 100), (2, 50)], None, [0, 1]),
        ("all below what is stored", [(1, 10), (2, 20)], (0, 95), [0, 1]),
        ("one below what is stored is no measure for the next", [(1, 10), (2, 100)], (0, 95), [0]),
    ],
)
def test_registers_of_one_batch(
    about: str, rows: list[tuple[int, int]], stored: tuple[int, int] | None, accused: list[int]
) -> None:
    assert registers(*rows, stored=stored) == accused


def days_in_a_row(count: int, blocks: np.ndarray | None, total: np.ndarray, **known: int) -> dict[str, list[int]]:
    batch = of_days(DAY + np.arange(count), blocks, total)
    stored = {**KNOWN, "before_day": -1, "before_register_wh": -1, **known}
    return {found.rule: found.rows.tolist() for found in check(batch, known_of(count, **stored), read_rules())}


def test_zero_days_of_one_batch_are_counted_on() -> None:
    total = np.array([0, 0, 0, 5_000, 0, 0, 0, 0, 0, 0, 0, 0])
    assert days_in_a_row(12, None, total, zero_days=4) == {"VAL-18": [2, 10, 11]}


def test_days_of_one_batch_are_copies_of_each_other() -> None:
    blocks = np.array([WAVES, WAVES, WAVES[1:] + WAVES[:1]], np.int32)
    assert days_in_a_row(3, blocks, blocks.sum(axis=1)) == {"VAL-22": [1]}


def test_another_channel_is_another_row_of_days() -> None:
    """The register of what is exported does not go on from that of what is drawn, and its energy uses no load."""
    batch = of_days(
        np.array([DAY, DAY + 1]),
        None,
        np.array([4_800, 500_000]),
        register_wh=np.array([1_004_800, 900_000]),
        channel=np.array([0, EXPORT], np.int8),
    )
    known = known_of(
        2, **{**KNOWN, "before_register_wh": np.array([1_000_000, 400_000]), "before_day": [YESTERDAY, YESTERDAY + 1]}
    )
    assert check(batch, known, read_rules()) == []


def test_evidence_says_the_numbers_and_the_limit() -> None:
    batch = of_days(np.array([DAY, DAY]), None, np.array([4_800, 60_000]))
    found = check(batch, known_of(2, **{**KNOWN, "meter": np.array([1, 2]), "usual_days": 0}), read_rules())
    assert [each.rule for each in found] == ["VAL-16"]
    evidence = {name: values.tolist() for name, values in found[0].evidence.items()}
    assert evidence["total_wh"] == [60_000]
    assert evidence["limit_day_wh"] == [48_000]
    assert evidence["load_w"] == [2_000]


@pytest.mark.parametrize(
    ("register", "before", "digits", "reached"),
    [
        (500, 400, 6, 500),
        (100, 999_999_900, 6, 1_000_000_100),
        (100, 1_000_000_050, 6, 1_000_000_100),  # what is stored was counted on already
        (100, 400, 0, 100),
        (100, -1, 6, 100),
    ],
)
def test_a_register_is_counted_on(register: int, before: int, digits: int, reached: int) -> None:
    columns = {"register_wh": register, "before_register_wh": before, "register_digits": digits}
    assert continued(**{name: np.array([value]) for name, value in columns.items()}).tolist() == [reached]


# -- laws --------------------------------------------------------------------------------------------------------------


def mixed(seed: int, rows: int) -> tuple[MeterDayBatch, dict[str, np.ndarray]]:
    """Days of a few meters with every oddity now and then; columns of what is known."""
    rng = np.random.default_rng(seed)
    place = rng.choice(rows * 3, rows, replace=False)
    meter, day = place % 5, np.datetime64("2026-06-01") + place // 5
    blocks = rng.choice(
        [0, 0, 80, 120, 160, 3_000, 20_000], (rows, 48), p=[0.1, 0.1, 0.3, 0.25, 0.2, 0.04, 0.01]
    ).astype(np.int32)
    blocks[rng.random(rows) < 0.3] = np.array(WAVES)
    blocks[rng.random(rows) < 0.2] = 0
    batch = of_days(
        day,
        blocks,
        blocks.sum(axis=1, dtype=np.int64) + rng.choice([0, 0, 500], rows),
        register_wh=1_000_000 + (place // 5) * 5_000 + rng.choice([0, 0, 0, -90_000, 90_000_000], rows),
        current_ma=rng.choice([0, 2_000], (rows, 48)).astype(np.int32),
        volts_dv=rng.choice([0, 2_400, 2_900], (rows, 1)).astype(np.int32) * np.ones((1, 48), np.int32),
        hertz_mhz=rng.choice([50_000, 50_010], (rows, 48), p=[0.97, 0.03]).astype(np.int32),
        off=np.where(rng.random(rows) < 0.3, 2**48 - 1, -1),
        drift_s=rng.choice([0, 400, 4_000], rows, p=[0.8, 0.1, 0.1]).astype(np.int32),
        multiplier=rng.choice([0, 1, 10], rows).astype(np.int32),
    )
    known = {name: np.full(rows, value) for name, value in KNOWN.items()}
    known |= {"meter": meter, "before_day": np.full(rows, 20_000), "zero_days": rng.integers(0, 9, 5)[meter]}
    return batch, known


def findings(batch: MeterDayBatch, known: dict[str, np.ndarray], order: np.ndarray) -> set[tuple[object, ...]]:
    """(rule, row of the batch as it was before it was put into this order, evidence)."""
    columns = {name: getattr(batch, name) for name in batch.__dataclass_fields__ if name != "refused"}
    shuffled = MeterDayBatch(**{name: None if column is None else column[order] for name, column in columns.items()})
    of = known_of(len(order), **{name: column[order] for name, column in known.items()})
    return {
        (found.rule, int(order[row]), *(int(values[n]) for values in found.evidence.values()))
        for found in check(shuffled, of, read_rules())
        for n, row in enumerate(found.rows)
    }


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40))
def test_the_order_of_rows_says_nothing(seed: int, rows: int) -> None:
    batch, known = mixed(seed, rows)
    order = np.random.default_rng(seed + 1).permutation(rows)
    assert findings(batch, known, order) == findings(batch, known, np.arange(rows))


def test_the_law_above_meets_every_rule() -> None:
    met = {rule for seed in range(40) for rule, *_ in findings(*mixed(seed, 40), np.arange(40))}
    assert met >= {f"VAL-{n}" for n in (13, 15, 16, 17, 18, 19, 20, 21, 22, 23)} | {"VAL-05", "VAL-09"}


@settings(max_examples=60)
@given(
    wh=st.integers(1, 1_000),  # 2 kW at a load of 2 kW
    dark=st.sets(st.integers(0, 47)),
    volts=st.integers(1_800, 3_200),
    days=st.integers(1, 5),
)
def test_a_constant_meter_and_its_power_cuts_are_never_accused(wh: int, dark: set[int], volts: int, days: int) -> None:
    """Whatever is off: zeros, no current, no voltage, no frequency; and the frequency lives while there is some."""
    on = np.array([n not in dark for n in range(48)])
    blocks = np.where(on, wh, 0).astype(np.int32)[None, :].repeat(days, axis=0)
    total = blocks.sum(axis=1, dtype=np.int64)
    register = 5_000_000 + np.cumsum(total)
    batch = of_days(
        DAY + np.arange(days),
        blocks,
        total,
        register_wh=register,
        demand_w=2 * blocks.max(axis=1).astype(np.int64),
        volts_dv=(on * volts).astype(np.int32)[None, :].repeat(days, axis=0),
        current_ma=(on * 4_000).astype(np.int32)[None, :].repeat(days, axis=0),
        hertz_mhz=(on * (50_000 + np.arange(48) % 2)).astype(np.int32)[None, :].repeat(days, axis=0),
        off=np.full(days, sum(1 << n for n in dark)),
    )
    before = {
        "before_day": YESTERDAY,
        "before_register_wh": 5_000_000,
        "usual_wh": 48 * wh,
        "peak_wh": wh,
        "zero_days": 20,
    }
    known = known_of(days, **{**KNOWN, **before}, before_blocks=np.full((days, 48), wh, np.int32))
    assert check(batch, known, read_rules()) == []
