"""What the demo's smart meters told. The last days come as a meter data company sends them: a file each, with flaws.

Rows are missing and come a day late, some come twice, some cannot be read. What never comes stays owed.
"""

import datetime as dt
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from django.db.models import Count, Sum

from khata.formats.container import open_delivery
from khata.formats.meterdays import BLOCKS
from khata.kernel.quantities import Int64
from khata.metering.estimating import estimate
from khata.metering.intake import receive
from khata.metering.kept import KEPT_DAYS, keep_scorecard
from khata.metering.models import Delivery
from khata.metering.nightly import make_usual
from khata.metering.operations import NewDays, take_days
from khata.metering.senders import add_sender, feed
from khata.rehearsal.half_hours import RealDays, half_hours, read_half_hours
from khata.rehearsal.households import Series, demand_w, lay_register
from khata.rehearsal.months import Say
from khata.rehearsal.plan import Plan

SENDER, SENDER_NAME = "METCO-1", "Meter data company one (synthetic)"
DAYS = 7  # before today
HALF_HOURS_OF_DAYS = 50  # before today; of earlier days most have their total alone
COUNTS = ("rows", "accepted", "repeated", "superseding", "quarantined")
_COUNTED_AT = dt.time(1, 30)  # UTC: seven in the morning
_AT_ONCE = 250  # smart meters whose days are stored in one delivery
_LATE, _CUT, _TWICE, _BLANK = 0.04, 0.01, 0.08, 0.01  # shares of the rows of a day
_HEADER = ",".join(("meter", "day", "register_wh", "off", *BLOCKS))
_NOBODYS = "KS000001"  # no plan draws a number below a lakh


@dataclass(frozen=True)
class Sent:
    """How many meter days are stored, and the counts of the deliveries that brought the last of them."""

    days: int
    deliveries: dict[str, int]


def send_days(
    plan: Plan,
    series: Sequence[Series],
    meters: Int64,
    *,
    since: dt.date,
    today: dt.date,
    rng: np.random.Generator,
    say: Say,
) -> Sent:
    """Every smart meter's days: at once up to the last week, which is delivered; owed by its sender from `since` on."""
    step = "real days, by smart meter"
    rows = np.flatnonzero(plan.smart)
    laid, real = [lay_register(each, 0) for each in series], read_half_hours()
    delivered_from = np.datetime64(today) - DAYS
    stored, kept = 0, []
    for first in range(0, len(rows), _AT_ONCE):
        say(step, first, len(rows))
        chunk = rows[first : first + _AT_ONCE]
        days, serial = _days_of(plan, series, laid, chunk, meters[chunk], np.datetime64(today), real, rng)
        early = days.day < delivered_from
        stored += take_days(days=_some(days, early), sender="rehearsal", today=today)
        kept.append((serial[~early], _some(days, ~early)))
    say(step, len(rows), len(rows))
    say("deliveries of a meter data company", 0, DAYS)
    add_sender(code=SENDER, name=SENDER_NAME, actor="rehearsal")
    feed(code=SENDER, serials=[serial.decode() for serial in plan.meter[rows]], from_date=since, actor="rehearsal")
    make_usual(today=today - dt.timedelta(days=DAYS))
    _deliver(kept, today, rng)
    make_usual(today=today)
    estimate(discom=None, until=today, today=today)
    keep_scorecard(today=today, now=dt.datetime.combine(today, _COUNTED_AT, dt.UTC), days=KEPT_DAYS)
    say("deliveries of a meter data company", DAYS, DAYS)
    counts = Delivery.objects.filter(sender__code=SENDER).aggregate(
        **{name: Sum(name) for name in COUNTS}, files=Count("id")
    )
    return Sent(stored + counts["accepted"], counts)


def _days_of(
    plan: Plan,
    series: Sequence[Series],
    laid: Sequence[Int64],
    rows: Int64,
    meters: Int64,
    today: np.datetime64,
    real: RealDays,
    rng: np.random.Generator,
) -> tuple[NewDays, npt.NDArray[np.bytes_]]:
    """What some meters have to tell of all their days, and the meter's number of each row."""
    which = plan.series[rows].tolist()
    counts = [len(series[position].day) for position in which]
    factor = np.repeat(plan.load_factor[rows], counts)
    wh = np.concatenate([series[position].wh for position in which])
    day = np.concatenate([series[position].day for position in which])
    told = half_hours(
        household=[series[position].household for position in which for _ in range(len(series[position].day))],
        day=day,
        day_wh=wh,
        demand_w=demand_w(wh, factor * rng.integers(800, 1_200, len(factor)) // 1000),
        since=today - HALF_HOURS_OF_DAYS,
        real=real,
        rng=rng,
    )
    register = np.concatenate([laid[position] for position in which]) + np.repeat(plan.start_wh[rows], counts)
    days = NewDays(np.repeat(meters, counts), day, wh, register, told.demand_w, told.blocks_wh, told.off)
    return days, np.repeat(plan.meter[rows], counts)


def _some(days: NewDays, rows: npt.NDArray[np.bool_]) -> NewDays:
    return NewDays(**{column.name: getattr(days, column.name)[rows] for column in fields(NewDays)})


def _deliver(kept: Sequence[tuple[npt.NDArray[np.bytes_], NewDays]], today: dt.date, rng: np.random.Generator) -> None:
    """The days before `today`, a file each."""
    waiting: list[str] = []
    for back in range(DAYS, 0, -1):
        day = today - dt.timedelta(days=back)
        lines = [
            (_line(serial, days, row, blank=False), _line(serial, days, row, blank=True))
            for serial, days in kept
            for row in np.flatnonzero(days.day == np.datetime64(day)).tolist()
        ]
        sent, waiting = _day(lines, waiting, rng)
        if back == 1:
            sent += _strange(day, today, next((serial[0].decode() for serial, _ in kept if len(serial)), _NOBODYS))
        _send(f"{SENDER}-{day}.csv", sent, today=day + dt.timedelta(days=1))


def _day(lines: Sequence[tuple[str, str]], waiting: list[str], rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """What is sent for a day, with what the day before did not send; and what waits for the next. Each line is there
    as it should be, and with two hours missing."""
    sent, late = list(waiting), list[str]()
    for (line, blank), (late_by, spoilt, twice) in zip(lines, rng.random((len(lines), 3)).tolist(), strict=True):
        if late_by < _LATE:
            late.append(line)
        elif spoilt < _CUT:
            sent.append(line.rpartition(",")[0])  # its last half-hour is missing; the right one comes tomorrow
            late.append(line)
        elif spoilt > 1 - _BLANK:
            sent.append(blank)
        else:
            sent += [line, line] if twice < _TWICE else [line]
    return [sent[at] for at in rng.permutation(len(sent)).tolist()], late


def _line(serial: npt.NDArray[np.bytes_], days: NewDays, row: int, *, blank: bool) -> str:
    assert days.blocks_wh is not None
    assert days.off is not None
    blocks = [str(wh) for wh in days.blocks_wh[row].tolist()]
    if blank:
        blocks[20:24] = [""] * 4  # the register went on
    off = "".join(str(int(days.off[row]) >> n & 1) for n in range(len(BLOCKS)))
    return ",".join((serial[row].decode(), str(days.day[row]), str(days.register_wh[row]), off, *blocks))


def _strange(day: dt.date, today: dt.date, somebodys: str) -> list[str]:
    """One row of each kind that nobody can take as it is."""
    flat = ",".join(["100"] * len(BLOCKS))
    off = "0" * len(BLOCKS)
    return [
        f"{_NOBODYS},{day},1000,{off},{flat}",
        f"{somebodys},{today + dt.timedelta(days=30)},1000,{off},{flat}",
        f"{_NOBODYS},{day},१०००,{off},{flat}",
        f"{_NOBODYS},{day},1000,{off},-5,{flat.removeprefix('100,')}",
    ]


def _send(name: str, lines: list[str], *, today: dt.date) -> None:
    content = "\n".join([_HEADER, *lines, ""]).encode()
    file = io.BytesIO(content)
    opened = open_delivery(file, size=len(content), form=None, name=name)
    receive(
        sender=SENDER,
        sha256=hashlib.sha256(content).hexdigest(),
        form=opened.form,
        name=name,
        size=len(content),
        batches=opened.batches,
        today=today,
    )
