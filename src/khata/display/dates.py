"""Days and months in Hindi and English, by Babel (Django's own Hindi month names are misspelt)."""

import datetime as dt

from babel.dates import format_date

from khata.display.labels import Language

_LOCALES: dict[Language, str] = {"hi": "hi_IN", "en": "en_IN"}


def day(date: dt.date, language: Language) -> str:
    """`31 मई 2024`, `31 May 2024`."""
    return format_date(date, "d MMMM y", locale=_LOCALES[language])


def month(date: dt.date, language: Language) -> str:
    """`मई 2024`, `May 2024`."""
    return format_date(date, "LLLL y", locale=_LOCALES[language])


def period(start: dt.date, end: dt.date, language: Language) -> str:
    """A half-open period [start, end) as people say it, with its last day: `1 मई 2024 से 31 मई 2024 तक`."""
    first, last = day(start, language), day(end - dt.timedelta(days=1), language)
    return f"{first} से {last} तक" if language == "hi" else f"{first} to {last}"
