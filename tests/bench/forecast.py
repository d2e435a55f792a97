"""How good the forecast of a month is, over the real days of 63 homes: `python -m tests.bench.forecast`.

For every whole month whose days are all known, and as of several days of it, the forecast made from what was known
then is compared with what the month came to. Prints the table of docs/algorithms/forecast.md.
"""

import csv
import datetime as dt
import gzip
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import khata.rehearsal
from khata.kernel.days import day_number, month_number, month_start
from khata.kernel.forecast import RECENT, Forecast, Runway, month_forecast, runway
from khata.kernel.quantities import Int64

DATA = Path(khata.rehearsal.__file__).parent / "data" / "ceew_daily_kwh.csv.gz"
DAYS_OF_MONTH = (1, 3, 5, 8, 10, 12, 15, 18, 20, 23, 25, 28)
BALANCES = (3, 7, 15)  # as many days of average use
KNOWN_BEFORE = 7  # days: a home new to us has nothing to go by
USED = 1000  # Wh a day, below which a home stands empty and a share of it says nothing


@dataclass(frozen=True)
class Tried:
    """One forecast as of a day of the month, and what the month came to, in Wh."""

    of_month: int
    forecast: Forecast
    real_wh: int


def homes() -> dict[str, tuple[Int64, Int64]]:
    """Day numbers and Wh of each home, in order."""
    days: dict[str, dict[int, int]] = defaultdict(dict)
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            whole, _, part = row["kwh"].partition(".")
            days[row["meter"]][day_number(dt.date.fromisoformat(row["date"]))] = int(whole) * 1000 + int(f"{part:0<3}")
    return {
        meter: (np.array(sorted(used), np.int64), np.array([used[day] for day in sorted(used)], np.int64))
        for meter, used in days.items()
    }


def tried() -> list[Tried]:
    return [one for day, wh in homes().values() for one in _of_home(day, wh)]


def _of_home(day: Int64, wh: Int64) -> list[Tried]:
    found = []
    first_month = month_number(dt.date(1970, 1, 1) + dt.timedelta(int(day[0])))
    last_month = month_number(dt.date(1970, 1, 1) + dt.timedelta(int(day[-1])))
    for month in range(first_month, last_month + 1):
        start, end = day_number(month_start(month)), day_number(month_start(month + 1))
        real = wh[(day >= start) & (day < end)]
        if real.size < end - start or int((day < start).sum()) < KNOWN_BEFORE or int(real.sum()) < USED * real.size:
            continue
        for of_month in DAYS_OF_MONTH:
            forecast = month_forecast(day, wh, month_first=start, month_end=end, today=start + of_month - 1)
            if forecast is not None:
                found.append(Tried(of_month, forecast, int(real.sum())))
    return found


def table(results: list[Tried]) -> list[str]:
    """Rows of the table: as of which day, forecasts, real month within the range, median error, width of the range."""
    lines = ["| as of day | forecasts | within the range | median error | median range |", "|---|---|---|---|---|"]
    for of_month in (*DAYS_OF_MONTH, None):
        chosen = [t for t in results if of_month in (None, t.of_month)]
        within = sum(t.forecast.low_wh <= t.real_wh <= t.forecast.high_wh for t in chosen)
        errors = [abs(t.forecast.likely_wh - t.real_wh) * 100 / t.real_wh for t in chosen]
        widths = [(t.forecast.high_wh - t.forecast.low_wh) * 100 / t.real_wh for t in chosen]
        name = "all" if of_month is None else str(of_month)
        share = 100 * within / len(chosen)
        lines.append(
            f"| {name} | {len(chosen)} | {share:.0f} % | {np.median(errors):.1f} % | {np.median(widths):.0f} % |"
        )
    return lines


def lasted() -> list[tuple[int, Runway, int]]:
    """(balance in average days, runway said, days it really lasted) where all days until then are known.

    Every tenth day of each home, at 1 paisa a Wh: what matters is how days vary.
    """
    found = []
    for day, wh in homes().values():
        for at in range(RECENT, day.size, 10):
            before = wh[at - RECENT : at]
            said_of = int(before.sum())
            for worth in BALANCES:
                said = runway(said_of * worth // RECENT, before)
                sums = np.cumsum(wh[at : at + 6 * worth])
                real = int(np.searchsorted(sums, said_of * worth // RECENT, side="right"))
                whole = real < sums.size and int(day[at + real] - day[at - RECENT]) == real + RECENT
                if said is not None and whole and said_of >= USED * RECENT:
                    found.append((worth, said, real))
    return found


def runway_table(results: list[tuple[int, Runway, int]]) -> list[str]:
    """Rows of the table: balance in days, cases, real end within the range, median miss in days, median range."""
    lines = ["| balance for | cases | within the range | median miss | median range |", "|---|---|---|---|---|"]
    for worth in BALANCES:
        chosen = [(said, real) for each, said, real in results if each == worth and said.likely_days is not None]
        inside = sum((said.low_days or 0) <= real <= (said.high_days or 10**9) for said, real in chosen)
        miss = np.median([abs((said.likely_days or 0) - real) for said, real in chosen])
        widths = [said.high_days - (said.low_days or 0) for said, _ in chosen if said.high_days is not None]
        share = 100 * inside / len(chosen)
        lines.append(
            f"| {worth} days | {len(chosen)} | {share:.0f} % | {miss:.0f} days | {np.median(widths):.0f} days |"
        )
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join([*table(tried()), "", *runway_table(lasted())]) + "\n")
