"""What every template may use without loading it: money, dates and numbers as people read them."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.templatetags.static import static
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from khata.display import dates, money
from khata.display.account import parted
from khata.display.chart_words import Table, hours_text, units_text
from khata.display.charts import table_rows
from khata.display.icons import icon as icon_markup
from khata.display.labels import Language

register = template.Library()
EMBLEM = "khata/emblem.svg"
_INDIA = ZoneInfo("Asia/Kolkata")
_ONE_CLOCK = dt.timedelta(minutes=1)  # between two looks at it


def language() -> Language:
    return "en" if (get_language() or "").startswith("en") else "hi"


@register.filter
def inr(paise: int | None) -> str:
    """`₹1,23,45,678.50` from paise."""
    return "" if paise is None else money.rupees(paise)


@register.filter
def distance(paise: int) -> int:
    """The amount without its sign, where the words beside it say which way it goes."""
    return abs(paise)


@register.filter
def units(energy_wh: int | None) -> str:
    """Units from Wh, without idle zeros."""
    return "" if energy_wh is None else money.kwh(energy_wh)


@register.filter
def about(energy_wh: int | None) -> str:
    """Units from Wh as they are said, to a tenth: for what is looked at, not paid."""
    return "" if energy_wh is None else units_text(energy_wh)


@register.filter
def load_kw(load_w: int | None) -> str:
    return "" if load_w is None else money.kw(load_w)


@register.filter
def count(number: int | None) -> str:
    """`1,23,456`."""
    return "" if number is None else money.grouped(number)


@register.filter
def day(date: dt.date | None) -> str:
    """`31 मई 2024`."""
    return "" if date is None else dates.day(date, language())


@register.filter
def day_month(date: dt.date | None) -> str:
    """`31 मई`, where the year is clear."""
    return "" if date is None else dates.day_month(date, language())


@register.filter
def weekday(date: dt.date | None) -> str:
    """`शुक्रवार, 31 मई 2024`."""
    return "" if date is None else dates.weekday_day(date, language())


@register.filter
def hours(half_hours: int) -> str:
    """Hours from half-hours: `2.5`."""
    return hours_text(half_hours)


@register.filter
def month(date: dt.date | None) -> str:
    """`मई 2024`."""
    return "" if date is None else dates.month(date, language())


@register.filter
def months(first_and_last: tuple[dt.date, dt.date]) -> str:
    """`मई 2024`, of several `अप्रैल–मई 2024`."""
    return dates.months(*first_and_last, language())


@register.filter
def clock(moment: dt.datetime | None) -> str:
    """Time of day in India: `14:05`."""
    return "" if moment is None else f"{moment.astimezone(_INDIA):%H:%M}"


@register.filter
def moment_day(moment: dt.datetime | None) -> str:
    """The Indian day of an instant."""
    return "" if moment is None else dates.day(moment.astimezone(_INDIA).date(), language())


@register.filter
def as_of(moment: dt.datetime | None, now: dt.datetime | None) -> dt.datetime | None:
    """A moment of the real clock on the clock of the page, `now`: a drill on a day of the past shows none of years
    ahead. In earnest both are one."""
    if moment is None or now is None:
        return moment
    behind = now - dt.datetime.now(dt.UTC)
    return moment + behind if abs(behind) > _ONE_CLOCK else moment


@register.filter
def account(number: str) -> str:
    """An account number as it is read out: `31 0472 8856`."""
    return parted(number)


@register.filter
def named(thing: Any) -> str:
    """The name of a company, office or counter in the reader's language."""
    return str(thing.name_hi if language() == "hi" else thing.name_en)


@register.filter
def emblem(name: str | None) -> str:
    """The address of a company's emblem; of one that nobody has put there, ours: a wrong name must not stop a page."""
    try:
        return static(name or EMBLEM)
    except ValueError:
        return static(EMBLEM)


@register.filter
def icon(name: str) -> SafeString:
    """An icon of `display.icons`."""
    return mark_safe(icon_markup(name))


@register.filter
def drawing(markup: str) -> SafeString:
    """A chart of `display.charts`, which escapes what comes from outside: the only markup let through as it is."""
    return mark_safe(markup)


@register.filter
def figures(table: Table) -> SafeString:
    """The rows of the table behind a chart."""
    return mark_safe(table_rows(table))
