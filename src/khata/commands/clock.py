"""The only place that asks what day and what time it is. KHATA_TODAY and KHATA_NOW set both, for a demo or a drill."""

import argparse
import datetime as dt
import os
from zoneinfo import ZoneInfo

from khata.commands.errors import CommandError
from khata.formats.text import FormatError, iso_date

INDIA = ZoneInfo("Asia/Kolkata")


def business_date() -> dt.date:
    """The day on which business is done: KHATA_TODAY, else the day of KHATA_NOW, else the real day, all in IST."""
    today, moment = _today(), _moment()
    if today and moment and moment.astimezone(INDIA).date() != today:
        wrong = f"KHATA_TODAY is {today}, but KHATA_NOW is on {moment.astimezone(INDIA).date()} in Indian time"
        raise CommandError(wrong, "environment", "Set only one of them, or both to the same day")
    return today or (moment or dt.datetime.now(INDIA)).astimezone(INDIA).date()


def now() -> dt.datetime:
    """This instant in UTC: KHATA_NOW, else the real time of day on the business date."""
    real, moment = dt.datetime.now(INDIA), _moment()  # one look at the clock: midnight may pass between two
    if _today():
        today = business_date()
        moment = moment or dt.datetime.combine(today, real.timetz())
    return (moment or real).astimezone(dt.UTC)


def asked_day(text: str) -> dt.date:
    """For argparse: a day as somebody types it."""
    try:
        return iso_date(text)
    except FormatError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write it like 2024-05-31") from None


def _today() -> dt.date | None:
    text = os.environ.get("KHATA_TODAY", "").strip()
    try:
        return iso_date(text) if text else None
    except FormatError:
        wrong = f"KHATA_TODAY is {text!r}, which is not a day"
        raise CommandError(wrong, "environment", "Write it like 2024-06-20, or unset it for the real day") from None


def _moment() -> dt.datetime | None:
    text = os.environ.get("KHATA_NOW", "").strip()
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        # not midnight by omission, and not the zone of whatever machine this is
        if "T" not in text.upper() or moment.tzinfo is None:
            raise ValueError
    except ValueError:
        wrong = f"KHATA_NOW is {text!r}, which is not an instant"
        next_step = "Write it with its zone, like 2024-06-20T10:30:00+05:30, or unset it for the real time"
        raise CommandError(wrong, "environment", next_step) from None
    return moment
