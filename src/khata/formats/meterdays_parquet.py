"""Meter days from Parquet: the columns of the CSV, energy as `kwh`, as `blocks` (a list of 48), or as b01 to b48.

`meter` is a string (dictionary-encoded or not), `day` a date32 or a string, blocks any integer type, `kwh` a decimal, a
string, an integer or a float64. A float is taken only where it is the nearest one to a number of three decimals; its
watt-hours are then exact. `channel` and `off` are strings, `register_wh` and `demand_w` integers; `v`, `a`, `hz` are
lists of 48 numbers: they are means, and rounded. A row of which a value will not do is refused, the others stay.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from khata.formats.meterdays import (
    BLOCKS,
    LARGEST_BLOCK_WH,
    LONGEST_SERIAL,
    UNKNOWN_WH,
    Columns,
    MeterDayBatch,
    Refused,
    batches,
)
from khata.formats.meterdays_cells import (
    COUNT,
    KILO,
    LARGEST_MEAN,
    LARGEST_WHOLE,
    NEGATIVE,
    UNREADABLE,
    RowError,
    plain_channel,
    plain_day,
    plain_kwh,
    plain_off,
    plain_serial,
    refused,
)
from khata.formats.parquetsafe import open_parquet, records
from khata.formats.text import FormatError

_NUMBER_BYTES = b"0123456789.-"
_SERIAL_BYTES = bytes(range(32, 127))
_SHAPES = (("kwh",), ("blocks",), BLOCKS)
_MEANS = {"v": ("volts_dv", 10), "a": ("current_ma", 1000), "hz": ("hertz_mhz", 1000)}
_SAID = {"channel": plain_channel, "off": plain_off}
_COUNTED = {"register_wh": LARGEST_WHOLE, "demand_w": LARGEST_BLOCK_WH}
_OPTIONAL = (*_SAID, *_COUNTED, *_MEANS)
_EXPECTED = "The columns must be meter, day and one of: kwh; blocks (a list of 48); b01 to b48"

Faults = dict[int, FormatError]  # the first of each row, by its place in the batch


def read_parquet(file: BinaryIO) -> Iterator[MeterDayBatch]:
    """Batches of at most parquetsafe.ROWS rows; lines are rows of the file, from 1. FormatError as for any file.

    A damaged file fails anywhere and in any way, also long after its schema was read.
    """
    row = 1
    try:
        parquet = open_parquet(file)
    except FormatError:
        raise
    except Exception as error:
        raise FormatError("this is not a whole Parquet file", next_step="Check that it arrived complete") from error
    try:
        energy = _check_schema(parquet.schema_arrow)
        for record in records(file, parquet):
            yield from batches(_columns(record, energy, row))
            row += len(record)
    except FormatError:
        raise
    except Exception as error:
        wrong = f"the file is damaged, or says what no reader can hold ({type(error).__name__})"
        raise FormatError(wrong, line=row, next_step="Write it anew, and send it again") from error


def _check_schema(schema: Any) -> tuple[str, ...]:
    names = schema.names
    energy = next((shape for shape in _SHAPES if set(shape) & set(names)), None)
    if energy is None:
        raise FormatError("there is no column with energy", next_step=_EXPECTED)
    expected = ("meter", "day", *energy)
    for name in (*expected, *(each for each in _OPTIONAL if each in names)):
        if names.count(name) != 1:
            wrong = "stands twice" if name in names else "is missing"
            raise FormatError(f"the column {name} {wrong}", column=name, next_step=_EXPECTED)
    for field in schema:
        if field.name not in expected and field.name not in _OPTIONAL:
            raise FormatError("the file has a column that is not known", column=field.name, next_step=_EXPECTED)
        if not _fits(field.name, field.type):
            wanted = _WANTED.get(field.name, "Write it as an integer, in Wh")
            raise FormatError(f"its type is {field.type}", column=field.name, next_step=wanted)
    return energy


_WANTED = {
    "meter": "Write it as a string",
    "day": "Write it as a date (date32) or as a string like 2024-05-31",
    "kwh": "Write it as a decimal with three places, a string, an integer or a double",
    "blocks": "Write it as a list of 48 integers, in Wh",
    "demand_w": "Write it as an integer, in W",
    **dict.fromkeys(_SAID, "Write it as a string"),
    **dict.fromkeys(_MEANS, "Write it as a list of 48 doubles"),
}


def _fits(name: str, kind: Any) -> bool:
    t = pa.types
    if name in ("meter", "channel") and t.is_dictionary(kind):
        kind = kind.value_type
    text = bool(t.is_string(kind) or t.is_large_string(kind))
    if name == "blocks" or name in _MEANS:
        if not (t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)):
            return False
        return bool(t.is_integer(kind.value_type) or (name in _MEANS and t.is_floating(kind.value_type)))
    if name == "meter" or name in _SAID:
        return text
    if name == "day":
        return text or bool(t.is_date32(kind))
    if name == "kwh":
        return text or bool(t.is_decimal(kind) or t.is_integer(kind) or t.is_float64(kind))
    return bool(t.is_integer(kind))


def _columns(record: Any, energy: tuple[str, ...], row: int) -> Columns:
    faults: Faults = {}
    serials = _serials(record["meter"].cast(pa.string()), faults)
    days = _days(record["day"], faults)
    if energy == ("kwh",):
        values: NDArray[Any] = _kwh(record["kwh"], faults)
    elif energy == ("blocks",):
        values = _wh(*_lists(record["blocks"], "blocks", faults), "blocks", LARGEST_BLOCK_WH, faults)
    else:
        values = np.stack([_integers(record[name], name, LARGEST_BLOCK_WH, faults) for name in BLOCKS], axis=1)
    more = _more(record, faults)
    bad = _refused(record, row, serials, days, faults)
    good = np.ones(len(record), np.bool_)
    good[list(faults)] = False
    lines = np.arange(row, row + len(record), dtype=np.int64)
    return Columns(
        lines[good], serials[good], days[good], values[good], {name: each[good] for name, each in more.items()}, bad
    )


def _more(record: Any, faults: Faults) -> dict[str, NDArray[Any]]:
    more: dict[str, NDArray[Any]] = {}
    for name in record.schema.names:
        if name in _SAID:
            said = _each(record[name].cast(pa.string()), _SAID[name], 0, name, faults)
            more[name] = np.array(said, np.int8 if name == "channel" else np.int64)
        elif name in _COUNTED:
            more[name] = _integers(record[name], name, _COUNTED[name], faults)
        elif name in _MEANS:
            column, scale = _MEANS[name]
            more[column] = _means(record[name], name, scale, faults)
    return more


def _refused(
    record: Any, row: int, serials: NDArray[np.bytes_], days: NDArray[np.datetime64], faults: Faults
) -> tuple[Refused, ...]:
    out = []
    for i in sorted(faults):
        content = ", ".join(f"{name}={value}" for name, value in record.slice(i, 1).to_pylist()[0].items())
        day = None if days[i] == np.datetime64("1970-01-01") else str(days[i])
        out.append(refused(faults[i], line=row + i, content=content, serial=bytes(serials[i]), day=day))
    return tuple(out)


def _serials(array: Any, faults: Faults) -> NDArray[np.bytes_]:
    serials = serial_column(array)
    return np.array(_each(array, plain_serial, b"", "meter", faults), np.bytes_) if serials is None else serials


def _days(array: Any, faults: Faults) -> NDArray[np.datetime64]:
    if array.null_count or not pa.types.is_date32(array.type):
        days = _each(array, lambda text: plain_day(str(text)), "1970-01-01", "day", faults)
        return np.array(days, "M8[D]")
    return np.asarray(array.to_numpy(zero_copy_only=False)).astype("M8[D]")


def _kwh(array: Any, faults: Faults) -> NDArray[np.int64]:
    if pa.types.is_float64(array.type):
        return _from_float(array, faults)
    text = array.cast(pa.string()) if not pa.types.is_decimal(array.type) else None
    if not array.null_count and (text is None or not string_bytes(text)[0].translate(None, _NUMBER_BYTES)):
        try:
            scaled = _scaled_decimals((array if text is None else text).cast(pa.decimal128(18, KILO)))
        except pa.ArrowException:  # more places than three, or more digits than fit: one by one
            scaled = None
        if scaled is not None and (scaled >= 0).all():
            return scaled
    return np.array(_each(array, _plain_number, 0, "kwh", faults), np.int64)


def _plain_number(value: Any) -> int:
    return plain_kwh(format(value, "f") if isinstance(value, Decimal) else str(value))


def _from_float(array: Any, faults: Faults) -> NDArray[np.int64]:
    values = array.fill_null(float("nan")).to_numpy(zero_copy_only=False)
    scaled = np.rint(np.nan_to_num(values, posinf=0, neginf=-1) * 1000)
    exact = np.isfinite(values) & (values >= 0) & (scaled < 2**52) & (scaled / 1000 == values)
    for i in np.flatnonzero(~exact).tolist():
        rule, wrong = (NEGATIVE, "is below 0") if values[i] < 0 else (UNREADABLE, "is not a number of three decimals")
        fault = RowError(f"kwh {values[i]} {wrong}", column="kwh", next_step="Write kwh as a decimal", rule=rule)
        faults.setdefault(i, fault)
    return np.where(exact, scaled, 0).astype(np.int64)


def _lists(array: Any, name: str, faults: Faults) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Lists of 48 as (n, 48), and which values are known: none of a row that is null or refused."""
    sizes = pc.list_value_length(array).fill_null(len(BLOCKS)).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(sizes != len(BLOCKS)).tolist()
    for i in wrong:
        text = f"{sizes[i]} half-hours, a day has {len(BLOCKS)}"
        faults.setdefault(i, RowError(text, column=name, next_step="Put null for unknown ones", rule=COUNT))
    whole = array.is_valid().to_numpy(zero_copy_only=False).copy()
    whole[wrong] = False
    flat = array.filter(pa.array(whole)).flatten()
    places = np.cumsum(whole) - 1
    index = places[:, None] * len(BLOCKS) + np.arange(len(BLOCKS))
    taken = pa.array(index.ravel(), mask=np.repeat(~whole, len(BLOCKS)))
    values, known = _numbers(flat.take(taken))
    return values.reshape(-1, len(BLOCKS)), known.reshape(-1, len(BLOCKS))


def _numbers(array: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Its numbers, 0 for null, and which of them are known."""
    known = array.is_valid().to_numpy(zero_copy_only=False)
    return array.fill_null(0).to_numpy(zero_copy_only=False), known


def _integers(array: Any, name: str, largest: int, faults: Faults) -> NDArray[np.int64]:
    values, known = _numbers(array)
    return _wh(values[:, None], known[:, None], name, largest, faults)[:, 0]


def _wh(values: NDArray[Any], known: NDArray[np.bool_], name: str, largest: int, faults: Faults) -> NDArray[np.int64]:
    """Any integers (n, k) as int64 with UNKNOWN_WH for null."""
    low, high = values < 0, values > largest
    for i in np.flatnonzero((low | high).any(axis=1)).tolist():
        at = int(np.flatnonzero(low[i] | high[i])[0])
        rule, wrong = (NEGATIVE, "below 0") if low[i, at] else (UNREADABLE, "too large")
        unknown = "Put null if it is unknown"
        faults.setdefault(i, RowError(f"{values[i, at]} is {wrong}", column=name, next_step=unknown, rule=rule))
    return np.where(known & ~low & ~high, values, 0).astype(np.int64) + np.where(known, 0, UNKNOWN_WH)


def _means(array: Any, name: str, scale: int, faults: Faults) -> NDArray[np.int32]:
    values, known = _lists(array, name, faults)
    values = values.astype(np.float64)
    bad = known & ~((values >= 0) & (values <= LARGEST_MEAN))
    for i in np.flatnonzero(bad.any(axis=1)).tolist():
        value = values[i][bad[i]][0]
        rule, wrong = (NEGATIVE, "is below 0") if value < 0 else (UNREADABLE, "is no such quantity")
        fault = RowError(f"{value} {wrong}", column=name, next_step="Put null if it is unknown", rule=rule)
        faults.setdefault(i, fault)
    rounded = np.floor(np.where(bad, 0, values) * scale + 0.5)
    return np.where(known, rounded, UNKNOWN_WH).astype(np.int32)


def _each(array: Any, read: Callable[[Any], Any], missing: Any, column: str, faults: Faults) -> list[Any]:
    """One by one, where whole columns would not do: for precise errors, and for strings."""
    out = []
    for i, value in enumerate(array.to_pylist()):
        try:
            out.append(read("" if value is None else value))
        except FormatError as error:
            out.append(missing)
            faults.setdefault(i, error.at(line=None, column=column))
    return out


def string_bytes(array: Any) -> tuple[bytes, NDArray[np.int64]]:
    """The bytes of an Arrow string array and where each string starts and the last ends (n + 1,)."""
    if not len(array):
        return b"", np.zeros(1, np.int64)
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    text = data.slice(int(places[0]), int(places[-1] - places[0])).to_pybytes() if data is not None else b""
    return text, places - places[0]


def serial_column(array: Any) -> NDArray[np.bytes_] | None:
    """Meter numbers as 'S', or None where one is empty, too long or has an unusual character."""
    text, places = string_bytes(array)
    sizes = np.diff(places)
    if array.null_count or text.translate(None, _SERIAL_BYTES) or (len(sizes) and not sizes.min()):
        return None
    width = int(sizes.max(initial=1))
    if width > 4 * LONGEST_SERIAL:
        return None
    chars = np.zeros((len(sizes), width), np.uint8)
    chars[np.arange(width) < sizes[:, None]] = np.frombuffer(text, np.uint8)
    serials: NDArray[np.bytes_] = chars.view(f"S{width}").reshape(-1)
    if b" " in text:
        serials = np.strings.strip(serials)
    sizes = np.strings.str_len(serials)
    return None if len(sizes) and (not sizes.min() or sizes.max() > LONGEST_SERIAL) else serials


def _scaled_decimals(array: Any) -> NDArray[np.int64]:
    """Decimals of three places as integers (n,), null as anything: the low half of Arrow's 128 bits."""
    halves = np.frombuffer(array.buffers()[1], np.int64) if len(array) else np.zeros(0, np.int64)
    return halves[2 * array.offset : 2 * (array.offset + len(array)) : 2].copy()
