"""NEM13, the accumulated data of the Australian market's Meter Data File Format: registers read on a day.

A 250 record has the register at the previous reading and at this one, each with its stamp and quality; both become
readings, of the day of their stamp, and one that two records tell alike is told once. A meter's registers (the NMI
configuration names them, two characters each) are added up: where one of them is missing on a day, the day's reading is
refused. Only what was read is a reading: an estimated or substituted register is refused, and so are readings of
energy that the consumer brings (direction I), for which readings have no place. The quantity must be the difference of
the two registers, a turn of the dial allowed for; otherwise a factor lies between dial and energy, and it is refused.
A 550 record tells why and on whose order was read; it changes no value and is not used.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from khata.formats.halfhours import MICRO, UNIT, UNITS, compact_day, micro
from khata.formats.meterdays import IMPORT, KEPT_OF_A_ROW, UNKNOWN_WH, ReadingBatch, Refused
from khata.formats.meterdays_cells import LARGEST_WHOLE, RowError, plain_serial, refused
from khata.formats.nem_records import Record, fields
from khata.formats.text import FormatError, shown

_FIELDS = 23
_ROWS = 10_000
_MOST_HELD = 4_000
_QUALITY = re.compile(r"[ANESF]|[ESF][0-9]{2}", re.ASCII)
_STAMP = re.compile(r"[0-9]{14}", re.ASCII)
_PAIRS = re.compile(r"[0-9A-Z]{2}", re.ASCII)


@dataclass(frozen=True)
class _Dial:
    """A register on a day. `problem`: why it is no reading."""

    line: int
    text: str
    serial: bytes
    suffix: str
    configuration: frozenset[str]
    day: dt.date
    register_wh: int
    problem: RowError | None


@dataclass
class _Reader:
    rows: list[tuple[int, bytes, dt.date, int]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    held: list[_Dial] = field(default_factory=list)
    nmi: str = ""

    def take(self, record: Record) -> None:
        if record.problem:
            self.refused.append(refused(record.problem, line=record.line, content=record.text))
        elif record.kind == "250":
            nmi = record.cells[1][:KEPT_OF_A_ROW] if len(record.cells) > 1 else ""
            if nmi != self.nmi or len(self.held) >= _MOST_HELD:
                self.add_up()
                self.nmi = nmi
            self._take_dials(record)
        elif record.kind in ("100", "900"):
            self.add_up()

    def _take_dials(self, record: Record) -> None:
        serial = b""
        try:
            cells = fields(record, _FIELDS)
            serial = plain_serial(cells[6] or cells[1])
            self.held += _dials(record, cells, serial)
        except FormatError as error:
            kept = refused(error, line=record.line, content=record.text, serial=serial, channel=IMPORT)
            self.refused.append(kept)

    def add_up(self) -> None:
        """One reading a meter and day. Dials that say different things of a day make two readings, to be judged."""
        held, self.held = self.held, []
        came: dict[dt.date, set[str]] = {}
        groups: dict[tuple[bytes, dt.date], dict[str, list[_Dial]]] = {}
        for dial in held:
            registers = groups.setdefault((dial.serial, dial.day), {}).setdefault(dial.suffix, [])
            if any(
                (same.register_wh, same.problem is None) == (dial.register_wh, dial.problem is None)
                for same in registers
            ):
                continue
            registers.append(dial)
            if dial.problem is None:
                came.setdefault(dial.day, set()).add(dial.suffix)
        for (_, day), dials in groups.items():
            for bad in (dial for told in dials.values() for dial in told if dial.problem):
                self._refuse(bad, bad.problem)
            good = {suffix: [dial for dial in told if not dial.problem] for suffix, told in dials.items()}
            good = {suffix: told for suffix, told in good.items() if told}
            for turn in range(max(map(len, good.values()), default=0)):
                self._add([told[min(turn, len(told) - 1)] for told in good.values()], came[day])

    def _add(self, dials: list[_Dial], came: set[str]) -> None:
        last = max(dials, key=lambda dial: dial.line)
        if missing := sorted(frozenset().union(*(dial.configuration for dial in dials)) - came):
            wrong = f"the register {missing[0]} belongs to this energy and was not read on this day"
            self._refuse(last, RowError(wrong, next_step="Ask the sender for every register of the day"))
            return
        total = sum(dial.register_wh for dial in dials)
        self.rows.append((last.line, last.serial, last.day, total))

    def _refuse(self, dial: _Dial, problem: FormatError | None) -> None:
        assert problem is not None
        iso = dial.day.isoformat()
        kept = refused(problem, line=dial.line, content=dial.text, serial=dial.serial, day=iso, channel=IMPORT)
        self.refused.append(kept)

    def batch(self) -> Iterator[ReadingBatch]:
        if not self.rows and not self.refused:
            return
        lines, serials, days, registers = zip(*self.rows, strict=True) if self.rows else ((),) * 4
        yield ReadingBatch(
            lines=np.array(lines, np.int64),
            serials=np.array(serials, np.bytes_),
            days=np.array(days, "M8[D]"),
            register_wh=np.array(registers, np.int64),
            demand_w=np.full(len(lines), UNKNOWN_WH, np.int64),
            refused=tuple(self.refused),
        )
        self.rows, self.refused = [], []


def read_registers(records: Iterator[Record]) -> Iterator[ReadingBatch]:
    """Readings out of the records of a NEM13 file."""
    reader = _Reader()
    for record in records:
        reader.take(record)
        if len(reader.rows) + len(reader.refused) >= _ROWS:
            yield from reader.batch()
    reader.add_up()
    yield from reader.batch()


def _dials(record: Record, cells: list[str], serial: bytes) -> list[_Dial]:
    """The previous register and the current one of a 250 record whose fields hang together."""
    suffix, direction, unit = cells[4], cells[7], cells[19].lower()
    if unit not in UNITS:
        raise RowError(f"the unit {shown(cells[19])} is not one of energy", next_step="Give Wh, kWh or MWh", rule=UNIT)
    if direction != "E":
        wrong = f"the direction {shown(direction)} is not E, the energy that goes to the consumer"
        raise RowError(wrong, next_step="Send energy that he brings as interval data (NEM12)", rule=UNIT)
    if not _PAIRS.fullmatch(suffix):
        raise RowError(f"the register {shown(suffix)} is not two characters", next_step="Give the NMI suffix")
    _check_quantity(cells, UNITS[unit])
    whole = len(cells[2]) % 2 == 0 and re.fullmatch(f"({_PAIRS.pattern})+", cells[2], re.ASCII)
    named = frozenset(_PAIRS.findall(cells[2])) if whole else frozenset[str]()
    dials = []
    for at in (8, 13):
        figures, stamp, quality = cells[at : at + 3]
        if not _STAMP.fullmatch(stamp):
            raise RowError(f"the time {shown(stamp)} is not 14 figures", next_step="Write it like 20240531083000")
        day = compact_day(stamp[:8], "the day of the reading")
        value = micro(figures, UNITS[unit])
        if value % 10**MICRO or value // 10**MICRO > LARGEST_WHOLE:
            raise RowError(
                f"the register {shown(figures)} is no whole number of Wh, or too large", next_step="Check the unit"
            )
        problem = _no_reading(quality)
        dials.append(
            _Dial(record.line, record.text[:KEPT_OF_A_ROW], serial, suffix, named, day, value // 10**MICRO, problem)
        )
    return dials


def _no_reading(quality: str) -> RowError | None:
    if not _QUALITY.fullmatch(quality):
        raise RowError(f"the quality {shown(quality)} is not known", next_step="Give A, E, S, F or N")
    if quality == "A":
        return None
    wrong = f"the register has the quality {quality}: it was not read"
    return RowError(wrong, next_step="Wait for the next actual reading, which brings the energy")


def _check_quantity(cells: list[str], unit: int) -> None:
    before, after, quantity = (micro(cells[at], unit) for at in (8, 13, 18))
    turn = 10 ** (len(cells[8].partition(".")[0]) + unit + MICRO)
    if (after - before) % turn != quantity % turn:
        wrong = "the quantity is not the difference of the two registers"
        raise RowError(wrong, next_step="Send registers with the factor applied", rule=UNIT)
