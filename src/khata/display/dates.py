"""Days and months in Hindi and English, by Babel (Django's own Hindi month names are misspelt)."""

import datetime as dt
from functools import lru_cache

from babel.dates import format_date

from khata.display.labels import Language

_LOCALES: dict[Language, str] = {"hi": "hi_IN", "en": "en_IN"}
# A page shows some hundred dates, and all pages of a day the same ones: a year's worth in each form and language.
_remembered = lru_cache(maxsize=4096)


@_remembered
def day(date: dt.date, language: Language) -> str:
    """`31 मई 2024`, `31 May 2024`."""
    return format_date(date, "d MMMM y", locale=_LOCALES[language])


@_remembered
def weekday_day(date: dt.date, language: Language) -> str:
    """`शुक्रवार, 31 मई 2024`, `Friday, 31 May 2024`."""
    return format_date(date, "EEEE, d MMMM y", locale=_LOCALES[language])


@_remembered
def month(date: dt.date, language: Language) -> str:
    """`मई 2024`, `May 2024`."""
    return format_date(date, "LLLL y", locale=_LOCALES[language])


def months(first: dt.date, last: dt.date, language: Language) -> str:
    """A month, or several from the first to the last: `मई 2024`, `अप्रैल–मई 2024`, `दिसंबर 2023 – जनवरी 2024`."""
    if (first.year, first.month) == (last.year, last.month):
        return month(last, language)
    if first.year == last.year:
        return f"{format_date(first, 'LLLL', locale=_LOCALES[language])}–{month(last, language)}"
    return f"{month(first, language)} – {month(last, language)}"


@_remembered
def day_month(date: dt.date, language: Language) -> str:
    """A day whose year is clear from what stands around it: `6 सितंबर`, `6 September`."""
    return format_date(date, "d MMMM", locale=_LOCALES[language])


def axis_day(date: dt.date, language: Language) -> str:
    """Below a bar: `6 सित`, `6 Sept`."""
    return f"{date.day} {axis_month(date, language)}"


@_remembered
def axis_month(date: dt.date, language: Language) -> str:
    """Below a bar: `सित`, `Sept`, without the sign of abbreviation (॰), which takes the room of a letter."""
    return format_date(date, "LLL", locale=_LOCALES[language]).rstrip("॰")


@_remembered
def short_day(date: dt.date, language: Language) -> str:
    """`31 मई 24`, `31 May 24`: where there is little room."""
    return format_date(date, "d MMM yy", locale=_LOCALES[language]).replace("॰", "")


def period(start: dt.date, end: dt.date, language: Language) -> str:
    """A half-open period [start, end) as people say it, with its last day: `1 मई 2024 से 31 मई 2024 तक`."""
    first, last = day(start, language), day(end - dt.timedelta(days=1), language)
    return f"{first} से {last} तक" if language == "hi" else f"{first} to {last}"
