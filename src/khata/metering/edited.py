"""What persons put in place of a meter day's values, as the intake asks for it: what they knew, and what they left."""

from dataclasses import dataclass

import numpy as np

from khata.jobs.bulk import integers
from khata.kernel.quantities import Int64
from khata.metering.models import Edit
from khata.metering.stored import StoredDays, revisions_of


@dataclass(frozen=True)
class Edited:
    """The n-th edit of each of some meter days, with their places among the days asked for (rising).

    revision      of the edit
    before        what had been received before it, of the edits where anything had: `before.at` are places in `at`
    left          the days as the edit left them
    """

    at: Int64
    revision: Int64
    before: StoredDays
    left: StoredDays


def edits_among(meters: Int64, channels: Int64, days: Int64) -> list[Edited]:
    """The edits of these meter days, the first of each day, the second of each, and so on."""
    if not len(meters) or not Edit.objects.exists():
        return []
    query = """
        select n - 1, e.revision
        from unnest(%s::bigint[], %s::smallint[], %s::int[]) with ordinality as k(m, c, d, n)
        join metering_edit e on e.meter_id = k.m and e.channel = k.c and e.day = date '1970-01-01' + k.d
        order by n, e.revision"""
    place, revision = integers(query, [column.tolist() for column in (meters, channels, days)], 2)
    number = np.arange(len(place)) - np.searchsorted(place, place)  # which edit of its day
    found = []
    for round_ in range(int(number.max(initial=-1)) + 1):
        at, of = place[number == round_], revision[number == round_]
        keys = (meters[at], channels[at], days[at], of)
        found.append(Edited(at, of, revisions_of(*keys, beneath=True), revisions_of(*keys)))
    return found
