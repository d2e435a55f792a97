"""What stands in addresses: days, numbers, cursors. Read strictly, and described to whoever reads the OpenAPI."""

import datetime as dt
import re
from typing import Annotated, Any

from django.utils.translation import gettext as _
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from khata.formats.text import FormatError, iso_date

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_POSITION = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_CURSOR = re.compile(r"[0-9]{1,7}\.[0-9]{1,19}", re.ASCII)
LARGEST = 2**63 - 1
LAST_YEAR = "last-year"


def _day(value: Any) -> dt.date:
    if isinstance(value, dt.date):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError(_("it is not a day like 2024-05-31"))
    try:
        return iso_date(value)
    except FormatError:
        raise ValueError(_("there is no such day")) from None


def _identity(value: Any) -> int:
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or not _POSITION.fullmatch(value) or int(value) > LARGEST:
        raise ValueError(_("it is not the number of a bill"))
    return int(value)


def _against(value: Any) -> int | str:
    if not isinstance(value, str) or not (value == LAST_YEAR or _POSITION.fullmatch(value)):
        raise ValueError(_("it is neither the number of a bill nor last-year"))
    return value if value == LAST_YEAR else min(int(value), LARGEST)


def _cursor(value: str) -> str:
    if not _CURSOR.fullmatch(value):
        raise ValueError(_("it is not a cursor of this list"))
    return value


def position(cursor: str) -> tuple[dt.date, int]:
    """Where a page begins: at this day and, of several of that day, this number. Of no list: at an end of time."""
    day, _dot, at = cursor.partition(".")
    ordinal = min(max(int(day), dt.date.min.toordinal()), dt.date.max.toordinal())
    return dt.date.fromordinal(ordinal), min(int(at), LARGEST)


Day = Annotated[dt.date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Number = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": "^[0-9]{10}$", "description": "account number of a connection"})
]
BillId = Annotated[
    int, BeforeValidator(_identity), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": LARGEST})
]
Against = Annotated[
    int | str,
    BeforeValidator(_against),
    WithJsonSchema({"type": "string", "pattern": "^([1-9][0-9]{0,18}|last-year)$"}),
]
Cursor = Annotated[
    str,
    AfterValidator(_cursor),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9]{1,7}\\.[0-9]{1,19}$",
            "description": "`next` of the page before, as it came",
        }
    ),
]


def cursor_text(day: dt.date, at: int) -> str:
    return f"{day.toordinal()}.{at}"
