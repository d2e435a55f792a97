"""What the real samples say in sum, read as naively as can be: none of Khata's readers has a part in it.

Each sum is {(meter number, channel): Wh, VAh or varh}. Rows that are quarantined are left out by whom the rules name.
"""

import csv
import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as parquet

Sums = dict[tuple[str, int], int]

LETTERS = {"E": 0, "B": 1, "Q": 4}
KILO = {"kwh": 1000, "kvarh": 1000, "wh": 1}


def nem12(path: Path) -> Sums:
    """Every value of every 300 record that is not null."""
    found: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    values: dict[tuple[str, int], list[Decimal]] = {}
    text = re.sub(r",\r?\n(?![1-9]00,)|\r?\n(?=,)", ",", path.read_text("ascii")).replace(",,,,,,", ",,,,")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if cells[0] == "200":
            key = (cells[6] or cells[1], LETTERS[cells[4][0]])
            scale, size = KILO[cells[7].lower()], 1440 // int(cells[8])
        elif cells[0] == "300" and len(cells) > size and cells[2 + size][:1] in set("AESFV"):
            values[key] = [Decimal(cell) * scale for cell in cells[2 : 2 + size]]
            found[key] += sum(values[key])
        elif cells[0] == "400" and cells[3].startswith("N"):
            found[key] -= sum(values[key][int(cells[1]) - 1 : int(cells[2])])
    return {key: int(wh) for key, wh in found.items()}


def espi(*paths: Path, meter: str, zone: str, without: Collection[str]) -> Sums:
    """Every interval of several feeds once, but for the local days `without`."""
    told: dict[int, int] = {}
    for path in paths:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for block in re.findall(r"<(?:\w+:)?IntervalReading>(.*?)</(?:\w+:)?IntervalReading>", text.decode(), re.S):
            (start,) = re.findall(r"<(?:\w+:)?start>(\d+)<", block)
            (value,) = re.findall(r"<(?:\w+:)?value>(\d+)<", block)
            told[int(start)] = int(value)
    days = {start: datetime.fromtimestamp(start, ZoneInfo(zone)).date().isoformat() for start in told}
    return {(meter, 0): sum(value for start, value in told.items() if days[start] not in without)}


def fluvius(path: Path, without: Collection[str]) -> Sums:
    """Both registers of a direction. A half-hour of which a quarter has no value is not known."""
    halves: dict[tuple[str, int, str, str], Decimal] = defaultdict(Decimal)
    empty = set()
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            hour, minute, _ = row["Van tijdstip"].split(":")
            way = int(row["Register"].startswith("Injectie"))
            key = (row["Meter"], way, row["Van datum"], f"{hour}:{int(minute) // 30}")
            halves[key] += Decimal(row["Volume"].replace(",", ".") or 0)
            if not row["Volume"]:
                empty.add(key)
    found: Counter[tuple[str, int]] = Counter()
    for key, kwh in halves.items():
        found[key[:2]] += whole(kwh * 1000) if key not in empty and key[2] not in without else 0
    return dict(found)


def enel(path: Path, meter: str) -> Sums:
    """Half-hours of two quarters, each rounded to a Wh."""
    total = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        _, *rows = csv.reader(file, delimiter=";")
    for row in rows:
        quarters = [Decimal(cell.replace(",", ".")) * 1000 for cell in row[1:97]]
        total += sum(whole(one + other) for one, other in zip(quarters[::2], quarters[1::2], strict=True))
    return {(meter, 0): total}


def homes(path: Path, without: Collection[tuple[str, str]] = ()) -> Sums:
    """Every kWh of the files that have a row a day or a half-hour, each rounded to a Wh."""
    found: Counter[tuple[str, int]] = Counter()
    partly = {meter for meter, _ in without}
    for meter, kwh, day in _rows(path):
        if meter not in partly or (meter, str(day())) not in without:
            found[meter, 0] += (round(float(kwh) * 10**6) + 500) // 1000
    return dict(found)


def _rows(path: Path) -> Iterator[tuple[str, float | str, Callable[[], object]]]:
    """Meter, kWh and the day, as real_samples names them; days of the Swiss are told by their week."""
    if path.suffix == ".parquet":
        columns = parquet.read_table(path).to_pydict()
        times = zip(columns["week"], columns["slot"], strict=True) if "week" in columns else columns["ts"]
        for meter, kwh, time in zip(columns["meter"], columns["kwh"], times, strict=True):
            yield meter, kwh, lambda time=time: _of_week(*time)
        return
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for row in csv.DictReader(text.decode().splitlines()):
        meter = row.get("meter", "FR-1")
        yield "H" + meter if "v_avg" in row and "meter" in row else meter, row["kwh"], str


def _of_week(week: str, slot: int) -> date:
    return date(2015, 10, 26) + timedelta(weeks=int(week[1:]) - 44, days=(slot - 1) // 48)


def whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
