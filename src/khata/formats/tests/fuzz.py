"""A good file of every form, and what must hold of a reader whatever it is given.

As a program it lets atheris look for bytes that break a reader: `python -m khata.formats.tests.fuzz CORPUS -runs=…`.
The first byte of an input chooses the form. `KHATA_FUZZ_PLANTED=1` plants a mistake, to see that it would be found.
"""

import datetime as dt
import importlib
import io
import json
import os
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from khata.formats.container import FORMS, open_delivery
from khata.formats.espi_write import write_usage
from khata.formats.meterdays import BLOCKS, UNKNOWN_WH, Batch, MeterDayBatch
from khata.formats.text import FormatError

DAY = dt.date(2024, 5, 31)
NAMES = tuple(FORMS)
RULE = re.compile(r"VAL-[0-9]{2}")
PLANTED = b"\x00planted"


def _csv() -> bytes:
    days = "".join(f"KE{n},2024-05-31,{','.join(str(n * block) for block in range(48))}\n" for n in range(4))
    return f"meter,day,{','.join(BLOCKS)}\n{days}".encode()


def _parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"meter": ["KE1", "KE2"], "day": ["2024-05-31"] * 2, "kwh": [1, 2]}), file)
    return file.getvalue()


def _hes() -> bytes:
    blocks = [
        {"obisCode": "1.0.1.29.0.255", "value": 7, "unit": "Wh", "scaler": 1, "quality": "actual"},
        {"formattedRegisterObisCode": "1.0.12.27.0.255", "registerValue": "Elnn", "unit": 35, "scalar": -2},
        {"obisCode": "1-0:9.29.0*255", "formattedValue": "0.25 kVAh"},
    ]
    times = ["2024-05-31T00:30:00+05:30", "2024-05-30T19:30:00Z", "07e8051f05011e0000014a00", "FF" * 12]
    entries = [{"timestamp": time, "registerValues": blocks} for time in times]
    register = {"obisCode": "1.0.1.8.0.255", "value": "1234.5", "unit": "kWh"}
    midnight = [{"timestamp": "2024-06-01T00:00:00", "registerValues": [register]}]
    readings = [
        {
            "meterSerial": "KE1",
            "profile": "blockLoad",
            "capturePeriod": 1800,
            "clockDriftSeconds": 5,
            "entries": entries,
        },
        {"meterSerial": "KE1", "profile": "1.0.99.2.0.255", "entries": midnight},
        {"deviceId": "KE2", "formattedProfileObisCode": "1.0.98.1.0.255", **midnight[0]},
    ]
    plain = [{"timestamp": times[0], "registerValues": blocks[:1]}]  # meters that are alike are read the quick way
    readings += [{"meterSerial": f"KE{n}", "profile": "blockLoad", "entries": plain} for n in range(3, 6)]
    return json.dumps({"readings": readings}).encode()


def _nem12() -> bytes:
    values = ",".join(f"{n}.125" for n in range(48))
    return (
        f"100,NEM12,202406010600,MDA1,Ret1\n200,NCDE001111,E1,E1,E1,N1,KE1,kWh,30,\n"
        f"300,20240531,{values},V,,,20240601003000,\n400,1,20,F14,76,\n400,21,48,A,,\n"
        f"500,O,,20240601000000,001123.5\n900\n"
    ).encode()


def _espi() -> bytes:
    days = [(DAY, list(range(48)), [1, 2, 3, 4] * 12), (dt.date(2024, 6, 1), [None, 5] * 24, None)]
    made = dt.datetime(2024, 6, 2, tzinfo=dt.UTC)
    return b"".join(write_usage(meter_label="KE1", days=days, made=made))  # type: ignore[arg-type]


def _fluvius() -> bytes:
    head = "Van datum;Van tijdstip;Tot datum;Tot tijdstip;EAN;Meter;Metertype;Register;Volume;Eenheid;Validatiestatus\n"
    rows = ""
    for quarter in range(96):
        times = [f"{n // 4:02d}:{n % 4 * 15:02d}:00" for n in (quarter, (quarter + 1) % 96)]
        until = "31-05-2024" if quarter < 95 else "01-06-2024"
        where = f'31-05-2024;{times[0]};{until};{times[1]};="541448812345678901";1SAG1100000001;Digitale Meter'
        rows += f"{where};Afname Dag;0,{quarter:03d};kWh;Gevalideerd\n"
    return f"\ufeff{head}{rows}".encode()


def _enel() -> bytes:
    times = [f"{n // 4 % 24:02d}:{n % 4 * 15:02d}" for n in range(97)]
    head = ";".join(f"{start}-{end}" for start, end in pairwise(times))
    values = ";".join(['"0,125"'] * 96)
    return f"Giorno;{head}\n31/05/2024;{values}\n".encode()


SEEDS = {
    "block csv": _csv(),
    "parquet": _parquet(),
    "daily load": b"meter,midnight,register_kwh,export_kwh\n"
    b"KE1,2024-06-01T00:00:00+05:30,12.345,0\nKE2,2024-06-01T00:00,1,\n",
    "hes json": _hes(),
    "nem12": _nem12(),
    "espi": _espi(),
    "fluvius": _fluvius(),
    "enel": _enel(),
}


def read(form: str, content: bytes) -> tuple[int, int]:
    """(rows, refused rows) of a delivery, which a FormatError refuses. Any other error is a mistake of ours."""
    rows = refused = 0
    try:
        opened = open_delivery(io.BytesIO(content), size=len(content), form=form, name="x", serial="KE1")
        for batch in opened.batches:
            _hold(batch)
            rows += len(batch)
            refused += len(batch.refused)
    except FormatError as error:
        assert error.what, "a refusal without a reason"
        str(error).encode()
    if os.environ.get("KHATA_FUZZ_PLANTED") and PLANTED in content:
        raise ZeroDivisionError("planted")
    return rows, refused


def _hold(batch: Batch) -> None:
    """What everybody who takes batches relies on."""
    assert len(batch) or batch.refused, "a batch of nothing"
    assert len(batch.lines) == len(batch.serials) == len(batch.days)
    assert not np.isnat(batch.days).any() and (not len(batch) or np.strings.str_len(batch.serials).min() > 0)
    for wrong in batch.refused:
        assert RULE.fullmatch(wrong.rule) and wrong.reason and len(wrong.content) <= 2000
        wrong.reason.encode()
    if isinstance(batch, MeterDayBatch):
        assert ((batch.total_wh >= 0) == batch.total_known).all()
        if batch.blocks is not None and batch.known is not None:
            assert ((batch.blocks != UNKNOWN_WH) == batch.known).all() and (batch.blocks >= UNKNOWN_WH).all()
            whole = batch.known.all(axis=1)
            assert (batch.blocks.sum(axis=1, dtype=np.int64)[whole] == batch.total_wh[whole]).all()


def main() -> None:
    atheris: Any = importlib.import_module("atheris")

    corpus = Path(sys.argv[1])
    for number, name in enumerate(NAMES):
        (corpus / f"seed-{number}").write_bytes(bytes([number]) + SEEDS[name])

    def one_input(data: bytes) -> None:
        if data:
            read(NAMES[data[0] % len(NAMES)], data[1:])

    if not os.environ.get("KHATA_FUZZ_PLANTED"):
        with atheris.instrument_imports(include=["khata.formats"]):  # so that it sees which ways a reader takes
            for form in FORMS.values():
                importlib.import_module(form.module)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
