"""A company's accounts as its old system leaves them: who, which meter, the last bill, what is owed. No database."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64
from khata.rehearsal.history import Billed, rated
from khata.rehearsal.households import Series, demand_w, lay_register, offered, read_households, register_at
from khata.rehearsal.people import People, people
from khata.rehearsal.plan import Plan, draw_plan
from khata.rehearsal.readings import CYCLES, Rounds, daily_use, rounds

Days = npt.NDArray[np.datetime64]

BILL_DAY = 8
LAST_MONTH = np.datetime64("2024-03")  # of the old system's last bills, which bill what was used before it
_END = np.datetime64("2024-03-09")
_SERIES_END = np.datetime64("2024-06-20")  # the households of a demo: those with days in the first central months
_AT_ONCE = 20_000  # accounts whose rounds and prices are in memory at one time
_BY_A_TRANSFORMER, _FACTOR = 0.02, 2  # of the shops; what their meters' figures are multiplied by
_DEPOSIT_PAISE_PER_W = 30  # Rs 300 a kW
_MOST_OWED_PAISE_PER_W = 5_000  # Rs 50,000 a kW: half of what nobody would believe
_LPSC_E4_A_MONTH = 125


@dataclass(frozen=True)
class LastBills:
    """The last bill of each account. Registers as the meter shows them, before its factor; energy after it."""

    previous_day: Days
    present_day: Days
    previous_wh: Int64
    present_wh: Int64
    factor: Int64
    demand_w: Int64
    energy_wh: Int64
    bill_day: Days
    assessed_paise: Int64
    payable_paise: Int64


@dataclass(frozen=True)
class Heads:
    """What each account owes (an advance is below 0), and what the company owes it. Paise."""

    principal: Int64
    lpsc: Int64
    deposit: Int64
    prepaid: Int64


@dataclass(frozen=True)
class Town:
    """One row an account in all of its columns."""

    plan: Plan
    folk: People
    last: LastBills
    heads: Heads


def draw_town(
    *, accounts: int, seed: int, divisions: Sequence[str], discom: str, tariffs: Path, latin: Sequence[int] = ()
) -> Town:
    """A town of this many accounts; `latin` are positions of divisions that know no Devanagari."""
    many, single = offered(read_households(), _SERIES_END)
    series = [*many, *single]
    plan = draw_plan(accounts, series, len(single), _random(seed, 1))
    folk = people(
        divisions=divisions, shop=plan.shop, outskirts=plan.rural, rng=_random(seed, 2), seed=seed, latin=latin
    )
    factor = np.where(plan.shop & (_random(seed, 3).random(accounts) < _BY_A_TRANSFORMER), _FACTOR, 1)
    made = []
    for number, first in enumerate(range(0, accounts, _AT_ONCE)):
        rows = slice(first, first + _AT_ONCE)
        some = part(plan, rows)
        found = _rounds(some, _random(seed, 1_000 + number))
        made.append(last_bills(some, series, found, factor=factor[rows], discom=discom, tariffs=tariffs))
    last = LastBills(*(np.concatenate([getattr(each, name) for each in made]) for name in _names(LastBills)))
    return Town(plan, folk, last, draw_heads(plan, last, _random(seed, 4)))


def part(plan: Plan, rows: slice | Int64) -> Plan:
    return Plan(*(getattr(plan, name)[rows] for name in _names(Plan)))


def _names(columns: type) -> list[str]:
    return [field.name for field in fields(columns)]


def _random(seed: int, step: int) -> np.random.Generator:
    return np.random.default_rng([seed, step])


def _rounds(plan: Plan, rng: np.random.Generator) -> Rounds:
    plain = ~plan.smart
    return rounds(
        daily_wh=daily_use(plan.mean_wh[plain], plan.shop[plain], rng),
        start_wh=plan.start_wh[plain],
        cycle=plan.cycle[plain],
        cycles=CYCLES,
        load_factor=plan.load_factor[plain],
        end=_END,
    )


def last_bills(
    plan: Plan, series: Sequence[Series], found: Rounds, *, factor: Int64, discom: str, tariffs: Path
) -> LastBills:
    """The last bill before March is over: smart meters to its first day, the others to the last round before it.

    `found` has the rounds of the meters that somebody reads, in the order of `plan`. A smart meter that fell silent
    is billed like any other: its register stands still.
    """
    count = len(plan.shop)
    plain, smart = np.flatnonzero(~plan.smart), np.flatnonzero(plan.smart)
    start, end = (np.zeros(count, "datetime64[D]") for _ in range(2))
    opening, closing, demand = (np.zeros(count, np.int64) for _ in range(3))
    at = np.arange(len(plain))
    column = found.before(LAST_MONTH)
    earlier = found.read & (np.arange(len(found.month)) < column[:, None])
    before = len(found.month) - 1 - np.argmax(earlier[:, ::-1], axis=1)
    start[plain], end[plain] = found.day[at, before], found.day[at, column]
    opening[plain], closing[plain] = found.register_wh[at, before], found.register_wh[at, column]
    demand[plain] = found.demand_w[at, column]
    start[smart], end[smart] = LAST_MONTH - 1, LAST_MONTH
    of_month = np.array([_used(each) for each in series], np.int64)[plan.series[smart]].reshape(-1, 3)
    opening[smart], closing[smart] = plan.start_wh[smart] + of_month[:, 0], plan.start_wh[smart] + of_month[:, 1]
    demand[smart] = demand_w(of_month[:, 2], plan.load_factor[smart])
    month = (end - np.timedelta64(1, "D")).astype("datetime64[M]") + 1
    energy = (closing - opening) * factor
    paise = rated(
        Billed(np.arange(count), month.astype("datetime64[D]"), start, end, energy, demand),
        category=plan.shop.astype(np.int64),
        area=plan.rural.astype(np.int64),
        prepaid=plan.prepaid.astype(np.int64),
        load_w=plan.load_w,
        bill_day=BILL_DAY,
        discom=discom,
        tariffs=tariffs,
    )
    billed_on = month.astype("datetime64[D]") + (BILL_DAY - 1)
    return LastBills(
        start, end, opening, closing, factor, demand, energy, billed_on, paise["assessed"], paise["payable"]
    )


def _used(series: Series) -> tuple[int, int, int]:
    """The laid register at both ends of the last month, from 0, and the energy of its largest known day."""
    ends = np.array([LAST_MONTH - 1, LAST_MONTH]).astype("datetime64[D]")
    if not len(series.day):
        return 0, 0, 0
    opening, closing = register_at(series, lay_register(series, 0), ends).tolist()
    inside = series.wh[(series.day >= ends[0]) & (series.day < ends[1])]
    return opening, closing, int(inside.max(initial=0))


def draw_heads(plan: Plan, last: LastBills, rng: np.random.Generator) -> Heads:
    """Some owe nothing, many the last bill, some a part of it, a few many months; some have paid ahead."""
    count = len(plan.shop)
    kind = rng.choice(5, count, p=[0.38, 0.34, 0.08, 0.12, 0.08])
    months = rng.integers(2, 13, count)
    payable = np.maximum(last.payable_paise, 0)
    most = plan.load_w * _MOST_OWED_PAISE_PER_W
    part_of = payable * rng.integers(100, 1_000, count) // 1_000
    advance = -(rng.integers(50, 2_000_00, count))
    owed = np.select(
        [kind == 1, kind == 2, kind == 3, kind == 4],
        [payable, part_of, np.minimum(payable * months + rng.integers(0, 100, count), most), advance],
        0,
    )
    lpsc = np.where(kind == 3, owed * _LPSC_E4_A_MONTH * months // 20_000, 0)
    prepaid = np.where(plan.prepaid, rng.integers(-50_00, 900_00, count), 0)
    owed, lpsc = np.where(plan.prepaid, 0, owed), np.where(plan.prepaid, 0, lpsc)
    return Heads(owed, lpsc, plan.load_w * _DEPOSIT_PAISE_PER_W, prepaid)
