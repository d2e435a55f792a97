"""Every real sample of meter data in ../shared/data on its way into the database, and what becomes of it.

Each file goes the whole way, `khata deliveries load --history` into a database, on meters that were made for it. The
Indian, Australian, Swiss and French files are in no form that is delivered: CSV is made of them here, a delivery a
month (a week of the Swiss), and what is usual of the meters is made anew before each, as the night does.
"""

import contextlib
import csv
import datetime as dt
import gzip
import io
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from django.db import connection

from khata.commands.main import main as khata
from khata.consumers.operations import NewConnections, connect
from khata.consumers.rules import seeded_bodies
from khata.discoms.queries import discom_named, division_named
from khata.formats.meterdays import BLOCKS
from khata.metering.models import Installation, Meter
from khata.metering.nightly import make_usual
from khata.rehearsal.households import Series
from tests.bench import false_alarms
from tests.cast import ARRIVED, GUMTI, KESCO, OLD_UNTIL, town

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data"  # beside the checkout
TODAY = "2026-06-01"  # after all of them
COUNTS = ("rows", "accepted", "superseding", "repeated", "quarantined")
SHOWN, MANY = 8, 20  # lines, meters
WIDE = {"v": "v_avg", "a": "a_avg", "hz": "hz_avg"}

Said = Mapping[str, Mapping[str, str]]  # meter, day: a line of CSV behind them


@dataclass(frozen=True)
class Home:
    """A meter of a sample, and where it hangs; load 0: nowhere."""

    serial: str
    load_w: int = 0
    kind: str = ""
    digits: int = 0


@dataclass(frozen=True)
class Part:
    """One delivery: the day before which what is usual is made, and the file."""

    content: bytes
    usual_on: dt.date | None = None


@dataclass(frozen=True)
class Sample:
    """A file of the folder, and the deliveries that it makes."""

    name: str
    homes: tuple[Home, ...]
    parts: tuple[Part, ...]
    meter: str = ""  # of a form that does not name it


@dataclass
class Outcome:
    """What became of a sample: the sums over its deliveries, and who was accused of what."""

    refusal: str = ""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    quarantined: list[tuple[str, int, str, str]] = field(default_factory=list)  # rule, line, meter, day
    noted: list[tuple[str, str, str]] = field(default_factory=list)  # rule, meter, day
    stored: dict[tuple[str, int], int] = field(default_factory=dict)  # (meter, channel): Wh, VAh or varh
    readings: dict[tuple[str, str], int] = field(default_factory=dict)  # (meter, day): register in Wh

    @property
    def cells(self) -> tuple[str, ...]:
        """As the page has them: the five counts, then who stands in quarantine, and who was noted."""
        if self.refusal:
            return ("", "", "", "", "", "the whole file is refused: " + self.refusal, "")
        lines: dict[str, list[str]] = defaultdict(list)
        for rule, line, *_ in self.quarantined:
            lines[rule].append(str(line))
        quarantined = "; ".join(
            f"{rule} {'line' if len(at) == 1 else 'lines'} {', '.join(at)}"
            if len(at) < SHOWN
            else f"{rule} {len(at)}: {_by_meter(found[2] for found in self.quarantined if found[0] == rule)}"
            for rule, at in sorted(lines.items())
        )
        noted = "; ".join(
            f"{rule} {count}: {_by_meter(found[1] for found in self.noted if found[0] == rule)}"
            for rule, count in sorted(Counter(found[0] for found in self.noted).items())
        )
        return (*(f"{self.counts[name]:,}" for name in COUNTS), quarantined, noted)


def _by_meter(meters: Iterable[str]) -> str:
    """`BR07 24, BR31 31`; of many meters only how many."""
    found = Counter(meters)
    if len(found) > MANY:
        return f"{len(found)} meters"
    return ", ".join(f"{meter} {count}" for meter, count in sorted(found.items()))


# -- the samples -------------------------------------------------------------------------------------------------------

INTERCHANGE: Mapping[str, tuple[str, ...]] = {
    "interchange/nem12/invalid_15min_200_30min_300.csv": ("123",),
    "interchange/nem12/invalid_30min_200_15min_400.csv": ("123",),
    "interchange/nem12/invalid_incomplete_interval.csv": ("METSER123",),
    "interchange/nem12/invalid_missing_header.csv": ("METSER123",),
    "interchange/nem12/invalid_powercor_missing_fields.csv": ("METSER123",),
    "interchange/nem12/nem12_15_and_30min_mixed.csv": ("05082",),
    "interchange/nem12/nem12_15min_many_reason_codes.csv": ("08145",),
    "interchange/nem12/nem12_30min_actual.csv": ("01002",),
    "interchange/nem12/nem12_30min_broken_lines_as_published.csv": ("10191",),
    "interchange/nem12/nem12_30min_estimated_E52_final_F52.csv": ("04062",),
    "interchange/nem12/nem12_30min_estimates_and_500_register_reads.csv": ("09162",),
    "interchange/nem12/nem12_30min_null_data_N.csv": ("10184",),
    "interchange/nem12/nem12_30min_substituted_S11_S52_F52.csv": ("08142",),
    "interchange/nem12/nem12_30min_variable_quality_V_400.csv": ("03042",),
    "interchange/nem12/nem13_four_registers_two_550.csv": ("15082",),
    "interchange/nem12/nem13_six_registers.csv": ("18142",),
    "interchange/nem12/nem13_three_registers_reversal_550.csv": ("16111",),
    "interchange/espi/usage_feed_small.xml": ("5446AF3F",),
    "interchange/espi/usage_feed_large.xml.gz": ("5446AF3F",),
    "interchange/espi/sdge_hourly_year.xml.gz": ("335b9e89-8868-472a-8f10-08894e8147fb",),
    "interchange/supplier_csv/fluvius_15min_totals.csv.gz": ("1SAG12345678",),
    "interchange/supplier_csv/enel_15min_matrix_2024-09.csv": ("ENEL-1",),
}


def interchange() -> Iterator[Sample]:
    for name, serials in INTERCHANGE.items():
        content = (SAMPLES / name).read_bytes()
        meter = serials[0] if "enel" in name else ""
        yield Sample(name, tuple(map(Home, serials)), (Part(content),), meter)


def indian_days() -> Sample:
    """The source has neither loads nor registers: they are laid as for the table of false alarms, whose register turns
    over once."""
    said: dict[str, dict[str, str]] = defaultdict(dict)
    with gzip.open(SAMPLES / "india/ceew_daily_kwh.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            said[row["meter"]][row["date"]] = row["kwh"]
    homes = []
    for serial, days in said.items():
        order = sorted(days)
        wh = np.array([_wh(days[day]) for day in order])
        laid, known = false_alarms.laid(Series(serial, np.array(order, "M8[D]"), wh))
        assert laid.register_wh is not None
        said[serial] = {
            day: f"{days[day]},{register}" for day, register in zip(order, laid.register_wh.tolist(), strict=True)
        }
        homes.append(Home(serial, int(known.load_w[0]), "single phase", false_alarms.DIGITS))
    parts = _parts("meter,day,kwh,register_wh", said, lambda day: day[:7])
    return Sample("india/ceew_daily_kwh.csv.gz", tuple(homes), parts)


def indian_half_hours() -> Sample:
    """Under numbers of their own (H): their days are in the other file, too. Means are of the samples with supply."""
    rows: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    with (SAMPLES / "india/ceew_bareilly_30min_2019.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows["H" + row["meter"], row["ts"][:10]].append(row)
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for (serial, day), half_hours in rows.items():
        cells = [str(_wh(row["kwh"])) for row in half_hours]
        for of, name in WIDE.items():
            for row in half_hours:
                share = 10 / max(int(row["powered_samples"]), 1) if of != "a" else 1
                cells.append(f"{float(row[name]) * share:.3f}")
        off = "".join("1" if row["powered_samples"] == "0" else "0" for row in half_hours)
        said[serial][day] = ",".join([*cells, off])
    header = ",".join(["meter,day", *BLOCKS, *(f"{of}{n:02d}" for of in WIDE for n in range(1, 49)), "off"])
    homes = tuple(Home(serial, 5_000, "single phase") for serial in said)
    return Sample("india/ceew_bareilly_30min_2019.csv", homes, _parts(header, said, lambda day: day[:7]))


def australian() -> Sample:
    table = parquet.read_table(SAMPLES / "other/sgsc_au_30min.parquet")
    stamps = table["ts"].to_numpy().astype("M8[m]")
    said = _grid(table["meter"].to_pylist(), stamps, table["kwh"].to_numpy())
    return _abroad("other/sgsc_au_30min.parquet", said, 10_000, lambda day: day[:7])


def swiss() -> Sample:
    """The year is not published; the weeks are those of 2015, in which week 44 begins on 26 October."""
    table = parquet.read_table(SAMPLES / "other/swiss_30min.parquet")
    weeks = np.array([int(week[1:]) - 44 for week in table["week"].to_pylist()])
    slots = table["slot"].to_numpy().astype(np.int64) - 1
    stamps = np.datetime64("2015-10-26T00:00", "m") + (weeks * 336 + slots) * 30
    said = _grid(table["meter"].to_pylist(), stamps, table["kwh"].to_numpy())
    return _abroad("other/swiss_30min.parquet", said, 20_000, lambda day: dt.date.fromisoformat(day).strftime("%G-%V"))


def french() -> Sample:
    """As its giver's package has it: what that filled in is believed to be measured."""
    with gzip.open(SAMPLES / "other/uci_household_30min.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    stamps = np.array([row["ts"] for row in rows], "M8[m]")
    said = _grid(["FR-1"] * len(rows), stamps, np.array([float(row["kwh"]) for row in rows]))
    return _abroad("other/uci_household_30min.csv.gz", said, 9_000, lambda day: day[:7])


def _abroad(name: str, said: Said, load_w: int, period: Callable[[str], str]) -> Sample:
    homes = tuple(Home(serial, load_w, "three phase") for serial in said)
    return Sample(name, homes, _parts(",".join(["meter,day", *BLOCKS]), said, period))


def _grid(meters: list[str], stamps: np.ndarray, kwh: np.ndarray) -> Said:
    """Half-hours by meter and day; one that is not there is an empty cell."""
    days = stamps.astype("M8[D]")
    slots = ((stamps - days).astype(np.int64) // 30).tolist()
    wh = (np.rint(kwh.astype(np.float64) * 1e6).astype(np.int64) + 500) // 1_000
    cells: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(lambda: [""] * 48))
    for meter, day, slot, value in zip(meters, days.astype(str).tolist(), slots, wh.tolist(), strict=True):
        cells[meter][day][slot] = str(value)
    return {meter: {day: ",".join(row) for day, row in rows.items()} for meter, rows in cells.items()}


def _parts(header: str, said: Said, period: Callable[[str], str]) -> tuple[Part, ...]:
    """Deliveries in the order of their periods; usual is what was before the first day of each."""
    rows: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for meter, days in said.items():
        for day, row in days.items():
            rows[period(day)].append((day, meter, row))
    parts = []
    for _, found in sorted(rows.items()):
        lines = "".join(f"{meter},{day},{row}\n" for day, meter, row in sorted(found))
        parts.append(Part(f"{header}\n{lines}".encode(), dt.date.fromisoformat(min(found)[0])))
    return tuple(parts)


def _wh(kwh: str) -> int:
    return round(float(kwh) * 1_000)


def samples() -> Iterator[Sample]:
    yield from interchange()
    for made in (indian_days, indian_half_hours, australian, swiss, french):
        yield made()


# -- the way -----------------------------------------------------------------------------------------------------------


def load(sample: Sample) -> Outcome:
    """The sample through `khata deliveries load`, its meters hung up before; needs a town."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        for part in sample.parts:
            if part.usual_on:
                make_usual(today=part.usual_on)
            path = Path(folder, Path(sample.name).name)
            path.write_bytes(part.content)
            words = ["deliveries", "load", str(path), "--history", "--json", "--sender", "samples"]
            _take(outcome, [*words, *(["--meter", sample.meter] if sample.meter else [])])
    _look(outcome, [home.serial for home in sample.homes])
    return outcome


def _take(outcome: Outcome, words: list[str]) -> None:
    said, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
        code = khata(words)
    if code:
        outcome.refusal = wrong.getvalue().partition(", ")[2].partition("\n")[0]
        return
    answer = json.loads(said.getvalue())
    for name in COUNTS:
        outcome.counts[name] += answer[name]
    number = answer["delivery"]
    outcome.quarantined += _asked(
        "select rule, line, serial, day::text from metering_quarantine where delivery_id = %s order by line, id",
        number,
    )
    outcome.noted += _asked(
        "select f.rule, m.serial, f.day::text from metering_finding f join metering_meter m on m.id = f.meter_id"
        " where f.delivery_id = %s order by 1, 2, 3",
        number,
    )


def _look(outcome: Outcome, serials: list[str]) -> None:
    """What stands in the database in the end: the newest revision of each day; of a day of no total its half-hours."""
    stored = _asked(
        """select m.serial, d.channel, coalesce(sum(coalesce(d.total_wh, (
               select sum(b) from unnest(d.blocks_wh) b))), 0)::bigint
           from metering_meter m join (select distinct on (meter_id, day, channel) * from metering_meterday
               order by meter_id, day, channel, revision desc) d on d.meter_id = m.id
           where m.serial = any(%s) group by 1, 2 order by 1, 2""",
        serials,
    )
    outcome.stored = {(serial, channel): wh for serial, channel, wh in stored}
    readings = (
        "select m.serial, r.day::text, r.register_wh from metering_reading r join metering_meter m on m.id = r.meter_id"
    )
    found = _asked(f"{readings} where m.serial = any(%s) order by 1, 2, r.revision", serials)
    outcome.readings = {(serial, day): wh for serial, day, wh in found}


def _asked(query: str, value: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, [value])
        return cursor.fetchall()


def hang_up(homes: Iterable[Home]) -> None:
    """Each meter once, at a connection of its own where it has a load."""
    company, new = discom_named(KESCO), {home.serial: home for home in homes}
    meters = Meter.objects.bulk_create(
        Meter(serial=home.serial, discom=company, smart=True, kind=home.kind, register_digits=home.digits)
        for home in new.values()
    )
    hung = [home for home in new.values() if home.load_w]
    many, since = len(hung), np.full(len(hung), np.datetime64("2000-01-01"))
    rows = NewConnections(
        name=[f"Home {number}" for number in range(many)],
        mobile=[""] * many,
        language=["hi"] * many,
        address=["Kanpur"] * many,
        division=np.full(many, division_named(company, GUMTI).id),
        connected_on=since,
        category=["LMV-1"] * many,
        area=["urban"] * many,
        mode=["postpaid"] * many,
        load_w=np.array([home.load_w for home in hung]),
        old_number=[""] * many,
    )
    ids = connect(discom=company.id, rows=rows, wave="w1", old_until=OLD_UNTIL, now=ARRIVED, draw=seeded_bodies([5, 1]))
    at = dict(zip((home.serial for home in hung), ids.tolist(), strict=True))
    Installation.objects.bulk_create(
        Installation(connection_id=at[meter.serial], from_date=dt.date(2000, 1, 1), known_at=ARRIVED, meter=meter)
        for meter in meters
        if meter.serial in at
    )


def load_all() -> dict[str, Outcome]:
    """Every sample, by name, into the database at hand, which is empty."""
    town([])
    all_of_them = list(samples())
    hang_up(home for sample in all_of_them for home in sample.homes)
    return {sample.name: load(sample) for sample in all_of_them}


COLUMNS = ("file", *COUNTS, "in quarantine", "noted")


def table(outcomes: Mapping[str, Outcome]) -> str:
    """As the page shows it."""
    lines = [" | ".join(COLUMNS), "|".join(["---", *["--:"] * len(COUNTS), "---", "---"])]
    lines += [" | ".join([f"`{name}`", *outcome.cells]) for name, outcome in outcomes.items()]
    return "".join(f"| {line} |\n" for line in lines)
