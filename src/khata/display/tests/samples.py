"""Half-hours and months to draw: a day with all that can be, a month as a home's is, thirteen months."""

import datetime as dt

from khata.display.curve_words import BLOCKS, Band, LoadDay
from khata.display.trend_words import DemandMonth, Span, TrendMonth

FIRST = dt.date(2026, 5, 22)

# A peak of 1.3 kWh in half an hour from 11 pm; estimated from 4 to 6 am, dark from 7 to 9, nothing from 10 to 11:30.
_DAY: list[int | None] = [150 + 37 * (i * 7919 % 13) for i in range(BLOCKS)]
_DAY[46] = 1300
_DAY[14:18] = [0, 0, 0, 0]
_DAY[20:23] = [None, None, None]
DAY = LoadDay(FIRST, _DAY, estimated=frozenset(range(8, 12)), off=frozenset(range(14, 18)))
WEEK_BEFORE = LoadDay(FIRST - dt.timedelta(7), [200 + 11 * (i * 104729 % 17) for i in range(BLOCKS)])
BANDS = (
    Band(0, 10, "Usual", "usual"),
    Band(10, 20, "Solar hours", "cheap"),
    Band(36, 46, "Peak", "dear"),
)


def month(days: int = 31) -> list[LoadDay]:
    """A home's month: each time of day has its habit, each day its luck; a cut every fourth day, one day never came."""
    found = []
    for d in range(days):
        habit = [90 + (i // 6 * 7919 % 11) * 45 + (d * 48 + i) * 104729 % 97 for i in range(BLOCKS)]
        off = frozenset(range(28 + d % 5, 33 + d % 7)) if d % 4 == 1 else frozenset()
        found.append(LoadDay(FIRST + dt.timedelta(d), [0 if i in off else wh for i, wh in enumerate(habit)], off=off))
    if days > 20:
        found[20] = LoadDay(found[20].day, [None] * BLOCKS)
    return found


def _month_of(i: int) -> dt.date:
    return dt.date(2025 + (5 + i) // 12, (5 + i) % 12 + 1, 1)


_USED = (612_337, 588_000, 470_000, None, 196_000, 214_000, 238_000, 187_000, 205_000, 372_000, 566_000, 541_000)
TREND = [
    TrendMonth(
        _month_of(i),
        wh,
        last_year_wh=None if i < 2 else 300_000 + i * 1000,
        paise=None if wh is None else wh * 65 // 100,
        last_year_paise=None if i < 2 else 190_000,
        estimated=i == 2,
    )
    for i, wh in enumerate(_USED)
]
TREND.append(
    TrendMonth(
        _month_of(12),
        358_000,
        last_year_wh=600_000,
        paise=240_000,
        last_year_paise=400_000,
        forecast=Span(490_000, 537_000, 590_000),
        forecast_paise=Span(320_000, 352_000, 391_000),
    )
)

_DEMANDS = (2100, 2300, 3100, 4600, 4800, 3900, None, 3600, 3000, 1900, 2400, 2600, 2200)
DEMANDS = [
    DemandMonth(_month_of(i), w, 4000 if i < 9 else 3000, cost_paise={3: 21_400, 4: 28_600}.get(i))
    for i, w in enumerate(_DEMANDS)
]
