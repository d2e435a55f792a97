"""Local days of a Green Button feed: LocalTimeParameters with summer time, or what a block of a day's length tells."""

import datetime as dt
import re
from dataclasses import dataclass

from khata.formats.dlms import bad
from khata.formats.text import shown
from khata.formats.xmlsafe import Node

DAY_S = 86_400
HOUR_S = 3_600
NO_RULE = 0xFFFFFFFF
EPOCH = dt.date(1970, 1, 1).toordinal()
LAST_YEAR = dt.date(9998, 1, 1).toordinal()

_RULE = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_SECONDS = re.compile(r"-?[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True)
class Zone:
    """Seconds ahead of UTC, and of summer time ahead of that, with the rules of when it begins and ends.

    `said` is whether LocalTimeParameters said so; else it is what a block told, which from its `start` is one day.
    """

    offset_s: int
    said: bool
    summer_s: int = 0
    begins: int = NO_RULE
    ends: int = NO_RULE
    start: int | None = None
    length_s: int = DAY_S

    def day(self, start: int) -> tuple[dt.date, int, int]:
        """(local day of a UTC second, seconds since its beginning, its length). RowError VAL-08 beyond the calendar."""
        of_block = self.start is not None and 0 <= start - self.start < self.length_s
        first = self.start if self.start is not None and of_block else start
        number = (first + self._ahead(first)) // DAY_S
        if not 366 < number + EPOCH < dt.date.max.toordinal() - 366:
            raise bad("VAL-08", f"the time {start} is not in the calendar")
        midnight = self._midnight(number)
        length_s = self._midnight(number + 1) - midnight if self.said else (self.length_s if of_block else DAY_S)
        return dt.date.fromordinal(number + EPOCH), start - midnight, length_s

    def _midnight(self, number: int) -> int:
        """The UTC second at which the day with this number since 1970 begins."""
        standard = number * DAY_S - self.offset_s
        return standard - self.summer_s if self._ahead(standard - self.summer_s) != self.offset_s else standard

    def _ahead(self, start: int) -> int:
        if NO_RULE in (self.begins, self.ends) or not self.summer_s:
            return self.offset_s
        number = min(max((start + self.offset_s) // DAY_S + EPOCH, 1), LAST_YEAR)
        year = dt.date.fromordinal(number).year
        begins = moment(self.begins, year) - self.offset_s
        ends = moment(self.ends, year) - self.offset_s - self.summer_s
        summer = begins <= start < ends if begins < ends else not ends <= start < begins
        return self.offset_s + (self.summer_s if summer else 0)


def read_zone(node: Node) -> Zone | None:
    """LocalTimeParameters; None where they cannot be read: its blocks are then refused, each for itself."""
    said = [node.said(name) or "" for name in ("tzOffset", "dstOffset", "dstStartRule", "dstEndRule")]
    offset, summer, begins, ends = said[0], said[1] or "0", said[2] or "FFFFFFFF", said[3] or "FFFFFFFF"
    if not (
        _SECONDS.fullmatch(offset) and _SECONDS.fullmatch(summer) and _RULE.fullmatch(begins) and _RULE.fullmatch(ends)
    ):
        return None
    if abs(int(offset)) > 14 * HOUR_S or not 0 <= int(summer) <= 2 * HOUR_S:
        return None
    rules = int(begins, 16), int(ends, 16)
    if any(rule != NO_RULE and not is_rule(rule) for rule in rules):
        return None
    return Zone(int(offset), True, int(summer), *rules)


def block_zone(start: int | None, length_s: int | None, before: Zone | None) -> Zone:
    """The zone that a block of a day's length tells, else that of the block before. RowError VAL-09: there is none."""
    if start is not None and length_s is not None and abs(length_s - DAY_S) <= HOUR_S:
        since = start % DAY_S
        return Zone(-since if since <= DAY_S // 2 else DAY_S - since, False, start=start, length_s=length_s)
    if before is None:
        raise bad("VAL-09", f"nothing says which time zone the block of {shown(str(start))} belongs to")
    return Zone(before.offset_s, False)


def is_rule(rule: int) -> bool:
    """Whether the 32 bits name a moment that every year has."""
    month, how, day, weekday = rule >> 28, rule >> 25 & 7, rule >> 20 & 31, rule >> 17 & 7
    return 1 <= month <= 12 and (how > 1 or 1 <= day <= 28) and (how == 0 or weekday > 0) and rule >> 12 & 31 < 24


def moment(rule: int, year: int) -> int:
    """The local second since 1970 at which a rule changes the clock."""
    month, how, day, weekday = rule >> 28, rule >> 25 & 7, rule >> 20 & 31, rule >> 17 & 7
    if how == 0:
        date = dt.date(year, month, day)
    elif how == 7:
        date = dt.date(year, month, 28) + dt.timedelta(days=4)
        date = date.replace(day=1) - dt.timedelta(days=1)
        date -= dt.timedelta(days=(date.isoweekday() - weekday) % 7)
    else:
        date = dt.date(year, month, day if how == 1 else 1)
        date += dt.timedelta(days=(weekday - date.isoweekday()) % 7 + (7 * (how - 2) if how > 1 else 0))
    return (date.toordinal() - EPOCH) * DAY_S + (rule >> 12 & 31) * HOUR_S + (rule & 0xFFF)
