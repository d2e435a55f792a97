"""The delivery of the drill: several parts, days of every fate, readings, rows that fail and rows that are noted."""

import numpy as np

from khata.discoms.models import Discom
from khata.formats.meterdays import EXPORT, Refused
from khata.metering import intake
from khata.metering.intake import Received
from khata.metering.models import Meter
from tests.metering.made import Said, batch, deliver, readings, send

METERS = [f"M-{number}" for number in range(1, 7)]
DAYS = [str(day) for day in np.datetime64("2024-05-28") + np.arange(8)]


def world() -> None:
    """Meters, and what was stored of them before the delivery."""
    company = Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    for serial in METERS:
        Meter.objects.create(serial=serial, discom=company, smart=True)
    deliver(*(Said(serial, DAYS[0], [40] * 48) for serial in METERS), Said("M-1", DAYS[2], register=30_000))


def load() -> Received:
    intake.PART_ROWS = 5
    rows = [Said(serial, day, [40 + n] * 48) for serial in METERS for n, day in enumerate(DAYS)]
    rows += [Said("M-2", day, total=500, channel=EXPORT) for day in DAYS]
    rows += [Said("M-1", DAYS[1], register=20_000), Said("M-3", DAYS[3], total=1), Said("M-9", DAYS[0], total=1)]
    rows += [Said("M-4", "2024-06-05", [5] * 48, total=9_000), *rows[:4]]
    refused = Refused(99, "VAL-08", "no day")
    batches = [batch(rows[at : at + 9], first_line=at + 1) for at in range(0, len(rows), 9)]
    last = batch([], refused=(refused,))
    return send([*batches, readings(("M-1", DAYS[4], 7_000, 200), ("M-5", DAYS[4], 7_000, 200)), last], b"drill")
