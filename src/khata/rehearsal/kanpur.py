"""A small Kanpur, made through the same operations that everybody else uses. See the README for what of it is real."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from khata.billing.models import Bill
from khata.billing.operations import OldBills, keep_old_bills, set_policy
from khata.discoms.models import Discom, Office
from khata.discoms.operations import install_companies
from khata.discoms.queries import divisions
from khata.kernel.quantities import Int64
from khata.ledger.operations import open_books
from khata.metering.operations import NewReadings, add_reading_cycle, hung_already, take_readings
from khata.rehearsal.desk import DeskPerson, MeasuredHome, Visitor, measured_visitors, movers, staff_the_desk, visitors
from khata.rehearsal.half_hours import read_half_hours
from khata.rehearsal.handover import latin_of, numbered
from khata.rehearsal.history import amounts, billed_by_reading, billed_by_register
from khata.rehearsal.households import Series, between, offered, read_households
from khata.rehearsal.meter_data import send_days
from khata.rehearsal.months import Payers, RunMade, Say, bill_month
from khata.rehearsal.moving import Moved, move
from khata.rehearsal.people import people
from khata.rehearsal.plan import Plan, draw_plan
from khata.rehearsal.readings import CYCLES, Rounds, daily_use, rounds, spoilt
from khata.rehearsal.town import Town, draw_heads, last_bills, part

Bool = npt.NDArray[np.bool_]

DISCOM = "KESCO"
SEED = 20_240_314
FEWEST, MOST = 100, 200_000
CUT_OVER = dt.date(2024, 3, 14)
BILL_MONTHS = (dt.date(2024, 4, 1), dt.date(2024, 5, 1), dt.date(2024, 6, 1))
FIRST_TODAY, LAST_TODAY = dt.date(2024, 4, 8), dt.date(2024, 6, 30)
POLICY = {
    "bill_day": 8,
    "due_days": 15,
    "hold_paise_per_kw": 10_000_00,
    "hold_load_percent": 150,
    "release_alone_paise": 50_000_00,
}
_FIRST_BILLED = np.datetime64("2024-03-01")  # the old system billed what was used before
MISSING_DAYS = "An urban household whose smart meter has missing days"


@dataclass(frozen=True)
class Example:
    title: str
    bill: int
    account_number: str
    old_number: str
    meter: str
    month: dt.date  # first day of the month that was used
    known_days: int  # of that month, where days are missing; 0 where that is not the point


@dataclass(frozen=True)
class Summary:
    """`homes` to `smart` are of those who moved."""

    discom: Discom
    divisions: int
    accounts: int
    homes: int
    shops: int
    rural: int
    prepaid: int
    smart: int
    households: int
    meter_days: int
    deliveries: dict[str, int]
    missing_days: int
    readings: int
    old_bills: int
    moved: Moved
    runs: tuple[RunMade, ...]
    examples: tuple[Example, ...]
    staff: tuple[DeskPerson, ...]
    visitors: tuple[Visitor, ...]


class CannotBuildError(ValueError):
    """The demo cannot be made like this; the message says what is possible."""


def refuse(*, accounts: int, today: dt.date) -> None:
    """Raises CannotBuildError where `build` would: ask before an earlier demo is thrown away."""
    if not FEWEST <= accounts <= MOST:
        raise CannotBuildError(f"a small Kanpur has {FEWEST} to {MOST} accounts, not {accounts}")
    if not FIRST_TODAY <= today <= LAST_TODAY:
        raise CannotBuildError(f"the demo lives on a day from {FIRST_TODAY} to {LAST_TODAY}, not on {today}")


def build(*, accounts: int, today: dt.date, tariffs: Path, handover: Path, say: Say) -> Summary:
    """Fill an empty, migrated database. The same arguments give the same Kanpur, to the paisa.

    The accounts come from hand-over files, which are written into the folder `handover` first and then moved as any
    company's; those that the rules hold back stay behind.
    """
    refuse(accounts=accounts, today=today)
    say("companies, offices, books", 0, 1)
    discom, offices = _company()
    now = dt.datetime.combine(CUT_OVER, dt.time(), dt.UTC)
    staff = staff_the_desk(discom=discom, since=CUT_OVER, now=now)
    say("companies, offices, books", 1, 1)
    many, single = offered(read_households(), np.datetime64(today))
    series = [*many, *single]
    plan = draw_plan(accounts, series, len(single), _random(1))
    found = _rounds(plan, np.datetime64(today) + 1)
    divided = _divided(offices)
    town = _town(discom, divided, plan, series, found, tariffs)
    moved = move(
        discom=discom,
        divisions=divided,
        town=town,
        folder=handover,
        at=CUT_OVER,
        people=movers(),
        seed=SEED,
        tariffs=tariffs,
        say=say,
    )
    plain = np.cumsum(~plan.smart) - 1  # where a connection that somebody reads stands in the rounds
    found = found.of(plain[moved.row[~plan.smart[moved.row]]])
    plan = part(plan, moved.row)
    smart = np.flatnonzero(plan.smart)
    first_days = np.array([series[position].day[0] for position in plan.series[smart].tolist()])
    hung_already(connection=moved.connection[smart], meter=moved.meter[smart], since=first_days, now=now)
    sent = send_days(plan, series, moved.meter, since=CUT_OVER, today=today, rng=_random(4), say=say)
    readings = _store_readings(plan, moved.meter, found, say)
    old_bills = _old_bills(discom, plan, series, moved.connection, found, tariffs, say)
    office = np.array([office.id for office in offices])[town.folk.division[moved.row]]
    old_numbers = [town.folk.old_number[row] for row in moved.row.tolist()]
    payers = Payers(moved.connection, moved.account_number, old_numbers, office)
    runs = _months(discom, offices, payers, today, tariffs, say)
    of_smart = [series[position] for position in plan.series[plan.smart].tolist()]
    return Summary(
        discom=discom,
        divisions=len(offices),
        accounts=accounts,
        homes=int((~plan.shop).sum()),
        shops=int(plan.shop.sum()),
        rural=int(plan.rural.sum()),
        prepaid=int(plan.prepaid.sum()),
        smart=int(plan.smart.sum()),
        households=len({each.household for each in of_smart}),
        meter_days=sent.days,
        deliveries=sent.deliveries,
        missing_days=sum(int((each.day[-1] - each.day[0]).astype(int)) + 1 - len(each.day) for each in of_smart),
        readings=readings,
        old_bills=old_bills,
        moved=moved,
        runs=runs,
        examples=_examples(plan, series, payers, runs[-1].cycle),
        staff=staff,
        visitors=visitors(discom=discom, today=today) + measured_visitors(_measured(plan, series, moved.connection)),
    )


def _months(
    discom: Discom, offices: list[Office], payers: Payers, today: dt.date, tariffs: Path, say: Say
) -> tuple[RunMade, ...]:
    """Every bill month whose bills are out on this day, and who has paid them."""
    return tuple(
        bill_month(
            discom=discom,
            offices=offices,
            cycle=cycle,
            today=today,
            tariffs=tariffs,
            payers=payers,
            rng=_random(100 + cycle.month),
            say=say,
        )
        for cycle in BILL_MONTHS
        if cycle.replace(day=POLICY["bill_day"]) <= today
    )


def _random(step: int) -> np.random.Generator:
    """Each step has chance of its own, so that a change in one leaves the others as they were."""
    return np.random.default_rng([SEED, step])


# -- the company and its connections -------------------------------------------------------------------------------


def _company() -> tuple[Discom, list[Office]]:
    install_companies()
    for each in Discom.objects.order_by("id"):
        open_books(discom=each)
    discom = Discom.objects.get(code=DISCOM)
    set_policy(discom=discom, from_date=CUT_OVER, **POLICY)
    for cycle in CYCLES:
        add_reading_cycle(
            discom=discom, code=cycle.code, read_day=cycle.day, every_months=cycle.every, first_month=cycle.first
        )
    return discom, divisions(discom)


def _divided(offices: list[Office]) -> list[tuple[str, str]]:
    """(code of the old system, name) of each division, in the order of the offices."""
    circles: dict[int | None, list[str]] = {}
    for office in offices:
        circles.setdefault(office.parent_id, []).append(office.name_en)
    return numbered(circles.values())


def _town(
    discom: Discom, divided: list[tuple[str, str]], plan: Plan, series: list[Series], found: Rounds, tariffs: Path
) -> Town:
    """What the old system knows on the day of the cut-over."""
    names = [name for _, name in divided]
    folk = people(
        divisions=names,
        shop=plan.shop,
        outskirts=plan.rural,
        rng=_random(2),
        seed=SEED,
        latin=latin_of(divided),
    )
    factor = np.ones(len(plan.shop), np.int64)
    last = last_bills(plan, series, found, factor=factor, discom=discom.code, tariffs=tariffs)
    return Town(plan, folk, last, draw_heads(plan, last, _random(6)))


# -- what the meters showed ----------------------------------------------------------------------------------------


def _rounds(plan: Plan, end: np.datetime64) -> Rounds:
    plain = ~plan.smart
    rng = _random(5)
    planned = rounds(
        daily_wh=daily_use(plan.mean_wh[plain], plan.shop[plain], rng),
        start_wh=plan.start_wh[plain],
        cycle=plan.cycle[plain],
        cycles=CYCLES,
        load_factor=plan.load_factor[plain],
        end=end,
    )
    return spoilt(planned, _FIRST_BILLED.astype("datetime64[M]"), rng)


def _store_readings(plan: Plan, meters: Int64, found: Rounds, say: Say) -> int:
    """The rounds since the last bill of the old system: its own readers took the first of them."""
    say("readings, by connection", 0, len(meters))
    plain = np.flatnonzero(~plan.smart)
    rows, columns = np.nonzero(found.read & (found.month >= _FIRST_BILLED.astype("datetime64[M]")))
    taken = NewReadings(
        meters[plain[rows]], found.day[rows, columns], found.register_wh[rows, columns], found.demand_w[rows, columns]
    )
    stored = take_readings(readings=taken, source="reader")
    say("readings, by connection", len(meters), len(meters))
    return stored


# -- bills ---------------------------------------------------------------------------------------------------------


def _old_bills(
    discom: Discom, plan: Plan, series: list[Series], ids: Int64, found: Rounds, tariffs: Path, say: Say
) -> int:
    """Bills of the old system as history: amounts simulated, by the one function that prices."""
    step = "old bills, by connection"
    say(step, 0, len(ids))
    plain, smart = np.flatnonzero(~plan.smart), np.flatnonzero(plan.smart)
    billed = billed_by_reading(found, plain).joined(
        billed_by_register(series, smart, plan.series[smart], plan.load_factor[smart])
    )
    paise = amounts(
        billed,
        category=plan.shop[billed.row].astype(np.int64),
        area=plan.rural[billed.row].astype(np.int64),
        prepaid=plan.prepaid[billed.row].astype(np.int64),
        load_w=plan.load_w[billed.row],
        bill_day=POLICY["bill_day"],
        discom=discom.code,
        tariffs=tariffs,
    )
    rows = OldBills(connection=ids[billed.row], month=billed.month, units_wh=billed.energy_wh, amount_paise=paise)
    stored = keep_old_bills(bills=rows)
    say(step, len(ids), len(ids))
    return stored


def _measured(plan: Plan, series: list[Series], connections: Int64) -> tuple[MeasuredHome, ...]:
    """The households with real half-hours that this Kanpur has, each with its first such day."""
    real, found = read_half_hours(), dict[str, MeasuredHome]()
    for name, day, wh in zip(real.household, real.day, real.blocks_wh.sum(axis=1), strict=True):
        # The same day of another year is another day: its energy tells them apart.
        fits = [each.household == name and bool((each.wh[each.day == day] == wh).any()) for each in series]
        positions = np.flatnonzero(fits)
        rows = np.flatnonzero(np.isin(plan.series, positions))
        if len(rows) and name not in found:
            found[name] = MeasuredHome(name, day.item(), tuple(connections[rows].tolist()))
    return tuple(found.values())


# -- what to show --------------------------------------------------------------------------------------------------


def _examples(plan: Plan, series: list[Series], payers: Payers, cycle: dt.date) -> tuple[Example, ...]:
    """Three bills of the newest month that show the most; a kind that this small Kanpur lacks is left out."""
    month = np.datetime64(cycle, "M") - 1
    used = month.astype("datetime64[D]").item()
    known = np.array([_known_of(each, month) for each in series])
    urban_home = ~plan.rural & ~plan.shop & ~plan.prepaid
    gap = plan.smart & (known[plan.series] > 0)
    kinds = (
        ("A lifeline household", urban_home & ~plan.smart & (plan.load_w == 1000), 60_000, 100_000),
        (MISSING_DAYS, urban_home & gap, 150_000, 1_000_000),
        ("A shop", plan.shop & ~plan.rural, 120_000, 1_000_000),
    )
    bills = Bill.objects.filter(cycle=cycle).order_by("connection_id")
    facts = [(one.connection_id, one.id, one.energy_wh, (one.period_end - one.period_start).days) for one in bills]
    columns = np.array(facts, np.int64).reshape(-1, 4)
    rows = np.searchsorted(payers.connection, columns[:, 0])
    made = []
    for title, kind, least_wh, most_wh in kinds:
        # One month, not two: the plainest bill of its kind.
        fits = kind[rows] & (columns[:, 2] >= least_wh) & (columns[:, 2] <= most_wh) & (columns[:, 3] < 45)
        for position in np.flatnonzero(fits)[:1].tolist():
            row = int(rows[position])
            days = int(known[plan.series[row]]) if title == MISSING_DAYS else 0
            account, old = payers.account_number[row], payers.old_number[row]
            meter = plan.meter[row].decode()
            made.append(Example(title, int(columns[position, 1]), account, old, meter, used, days))
    return tuple(made)


def _known_of(series: Series, month: np.datetime64) -> int:
    """How many days of a month are known, if most are but some in the middle are missing; else 0.

    Both ends must be known: then the bill has all that was used in the month, and nothing else.
    """
    first, end = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
    inside = between(series, first, end).day
    ends = bool(np.isin([first - 1, end - 1], series.day).all())
    return len(inside) if ends and 15 <= len(inside) < (end - first).astype(int) else 0
