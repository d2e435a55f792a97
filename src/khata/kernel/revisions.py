"""What counts of a meter day after something more was said of it. Whole columns at once; -1 stands for unknown.

Deliveries of one truth must lead to the same days in any order and however often they come. So what a delivery leaves
unknown stays as it was known, the better origin wins wherever two values meet, and of equals the later one.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from khata.kernel.quantities import Bool, Int64

UNKNOWN = -1
ACTUAL, ESTIMATED, SUBSTITUTED, EDITED = 1, 2, 3, 4
_RANK = np.array([-1, 2, 0, 1, 2], np.int8)  # of 0 (no value) and the origins: what a person edited counts as measured
_MEASURED = 2
_ORIGIN = np.array([ESTIMATED, SUBSTITUTED, ACTUAL], np.int8)  # of a rank


@dataclass(frozen=True)
class MeterDays:
    """n meter days. Energies Wh (VAh, varh), demand W.

    blocks, origins       (n, 48): int32, UNKNOWN where not known; int8, where each comes from, 0 where not known
    total, register       (n,) int64
    demand                (n,) int64: said, or twice the largest half-hour
    off                   (n,) int64: bit n-1 where half-hour n was without supply
    origin                (n,) int8, of the total; where that is unknown, the poorest of the half-hours; 0: no such day
    """

    blocks: NDArray[np.int32]
    origins: NDArray[np.int8]
    total: Int64
    register: Int64
    demand: Int64
    off: Int64
    origin: NDArray[np.int8]


def nothing(count: int) -> MeterDays:
    """Of so many days nothing at all."""
    unknown = np.full(count, UNKNOWN, np.int64)
    blocks = np.full((count, 48), UNKNOWN, np.int32)
    none = np.zeros(count, np.int8)
    return MeterDays(blocks, np.zeros((count, 48), np.int8), unknown, unknown, unknown, unknown, none)


def drawn_w(blocks: NDArray[np.int32]) -> Int64:
    """Twice the largest half-hour, UNKNOWN where none is known: a half-hour of n Wh was drawn at 2n W on average."""
    most = blocks.max(axis=1, initial=UNKNOWN).astype(np.int64)
    return np.where(most < 0, UNKNOWN, 2 * most)


def merged(*, known: MeterDays, said: MeterDays, rise: Int64) -> MeterDays:
    """The days after `said`, of which `known` was known before.

    `rise` is by how much the register rose on the day, UNKNOWN where nobody knows: the total of a day for which none
    was measured. In `said` the demand is only what a sender said, not what half-hours imply.
    """
    took = (said.blocks >= 0) & (_RANK[said.origins] >= _RANK[known.origins])
    blocks = np.where(took, said.blocks, known.blocks)
    origins = np.where(took, said.origins, known.origins)
    total, origin, contradicted = _total(known, said, blocks, origins, took)
    derived = (rise >= 0) & ((total < 0) | (_RANK[origin] < _MEASURED))
    total, origin = np.where(derived, rise, total), np.where(derived, ACTUAL, origin).astype(np.int8)
    no_better = _RANK[origins] <= _RANK[origin][:, None]  # a total that was estimated takes no measured half-hour away
    dropped = (contradicted[:, None] & no_better) | _outranked(blocks, origins, total, origin)
    blocks = np.where(dropped, np.int32(UNKNOWN), blocks)
    origins = np.where(dropped, np.int8(0), origins)
    better = _RANK[said.origin] >= _RANK[known.origin]
    register = np.where((said.register >= 0) & (better | (known.register < 0)), said.register, known.register)
    recorded = np.where(known.demand == drawn_w(known.blocks), UNKNOWN, known.demand)
    demand = np.where((said.demand >= 0) & (better | (recorded < 0)), said.demand, recorded)
    demand = np.where(demand < 0, drawn_w(blocks), demand)
    off = np.where(said.off >= 0, said.off, known.off)
    origin = np.where(total < 0, _poorest(origins, origin), origin).astype(np.int8)
    return MeterDays(blocks, origins, total, register, demand, off, origin)


def decided(*, known: MeterDays, said: MeterDays) -> MeterDays:
    """The days after a person's word on them, given in the knowledge of `known`.

    It counts over all of that, whatever the origins, and over registers that rose otherwise. What it leaves unknown, or
    says as it was measured, stays with its origin.
    """
    level = replace(
        known,
        origins=_at_most(known.origins, said.origin[:, None]),
        origin=_at_most(known.origin, said.origin),
    )
    after = merged(known=level, said=said, rise=np.full(len(said.total), UNKNOWN, np.int64))
    stayed = (after.blocks == known.blocks) & (known.origins > 0)
    stayed &= (said.blocks < 0) | (known.origins == ACTUAL)
    origins = np.where(stayed, known.origins, after.origins)
    stands = (after.total == known.total) & (known.total >= 0) & ((said.total < 0) | (known.origin == ACTUAL))
    origin = np.where(stands, known.origin, after.origin).astype(np.int8)
    origin = np.where(after.total < 0, _poorest(origins, origin), origin).astype(np.int8)
    return replace(after, origins=origins, origin=origin)


def _at_most(origins: NDArray[np.int8], most: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.where(_RANK[origins] > _RANK[most], most, origins).astype(np.int8)


def news(*, said: MeterDays, before: MeterDays, left: MeterDays) -> MeterDays:
    """`said` without the very values that a person replaced: `before` is what was received when the person decided,
    `left` what the decision left.

    Said once more, alone or beside half-hours that were not known then, they change nothing. A day that names another
    value than `before` is something new, and all of it counts.
    """
    both = (said.blocks >= 0) & (before.blocks >= 0)
    new = (both & (said.blocks != before.blocks)).any(axis=1)
    new |= (said.total >= 0) & (before.total >= 0) & (said.total != before.total)
    told = both & ~new[:, None] & (_RANK[said.origins] <= _RANK[before.origins])
    no_better = ~new & (_RANK[said.origin] <= _RANK[before.origin])
    changed = (before.total >= 0) & (left.total >= 0) & (left.total != before.total)
    total_told = no_better & changed & (said.total == before.total)
    # Half-hours that went because a person said the total alone, or that were never more than that total spread out.
    alone = changed & (left.blocks < 0).all(axis=1) & (told.any(axis=1) | total_told)
    old = (told & (left.blocks >= 0) & (left.blocks != before.blocks)) | ((said.blocks >= 0) & alone[:, None])
    # The sum of 48 half-hours says what they say: where some of them are old, it is made anew.
    total_told |= old.any(axis=1) & (said.blocks >= 0).all(axis=1)
    scalars = {}
    for name in ("register", "demand", "off"):
        values, were = getattr(said, name), getattr(before, name)
        scalars[name] = np.where((values == were) & (getattr(left, name) != were), UNKNOWN, values)
    return replace(
        said,
        blocks=np.where(old, np.int32(UNKNOWN), said.blocks),
        origins=np.where(old, np.int8(0), said.origins),
        total=np.where(total_told, UNKNOWN, said.total),
        **scalars,
    )


def not_in_pieces(*, known: MeterDays, after: MeterDays, before: MeterDays, left: MeterDays) -> MeterDays:
    """`after`, but as it was `known` where the last missing half-hours make up the very total that a person replaced by
    another total alone (`before` and `left` as for `news`): piece by piece it is as little news as at once.
    """
    complete = (after.blocks >= 0).all(axis=1) & (after.blocks.sum(axis=1, dtype=np.int64) == after.total)
    replaced = (before.total >= 0) & (left.total >= 0) & (left.total != before.total) & (left.blocks < 0).all(axis=1)
    again = complete & replaced & (after.total == before.total) & (known.total >= 0) & (known.total != after.total)
    again &= (before.blocks < 0).all(axis=1) & (known.blocks < 0).any(axis=1)  # `news` knows those that were known
    again &= _RANK[after.origin] <= _RANK[before.origin]
    return replace(
        after,
        blocks=np.where(again[:, None], known.blocks, after.blocks),
        origins=np.where(again[:, None], known.origins, after.origins),
        total=np.where(again, known.total, after.total),
        origin=np.where(again, known.origin, after.origin),
        demand=np.where(again & (after.demand == drawn_w(after.blocks)), known.demand, after.demand),
    )


def _total(
    known: MeterDays, said: MeterDays, blocks: NDArray[np.int32], origins: NDArray[np.int8], took: Bool
) -> tuple[Int64, NDArray[np.int8], Bool]:
    """(total, its origin, whether it contradicts all the half-hours that were known beside the total before it)."""
    said_rank = np.where(said.total >= 0, _RANK[said.origin], -1)
    known_rank = np.where(known.total >= 0, _RANK[known.origin], -1)
    new = (said_rank >= 0) & (said_rank >= known_rank)
    total = np.where(new, said.total, known.total)
    origin = np.where(new | (known.origin == 0), said.origin, known.origin)
    complete = (blocks >= 0).all(axis=1)
    poorest = _RANK[origins].min(axis=1, initial=_MEASURED)
    says_blocks = (said.blocks >= 0).any(axis=1)
    changed = (blocks != known.blocks).any(axis=1) & ~new & (poorest >= known_rank)
    in_part = ((said.blocks >= 0) & ~took).any(axis=1) & (poorest >= np.where(new, said_rank, known_rank))
    added_up = complete & says_blocks & (changed | in_part)
    total = np.where(added_up, blocks.sum(axis=1, dtype=np.int64), total)
    origin = np.where(added_up, _poorest(origins, origin.astype(np.int8)), origin).astype(np.int8)
    contradicted = new & ~says_blocks & (said_rank == known_rank) & (said.total != known.total)
    return total, origin, contradicted


def _outranked(blocks: NDArray[np.int32], origins: NDArray[np.int8], total: Int64, origin: NDArray[np.int8]) -> Bool:
    """Half-hours of a poorer origin than the total's, of a day whose half-hours do not add up to it. (n, 48)."""
    off = (blocks >= 0).all(axis=1) & (total >= 0) & (blocks.sum(axis=1, dtype=np.int64) != total)
    poorer: Bool = off[:, None] & (_RANK[origins] < _RANK[origin][:, None])
    return poorer


def _poorest(origins: NDArray[np.int8], otherwise: NDArray[np.int8]) -> NDArray[np.int8]:
    """The poorest origin among the known half-hours of each day; `otherwise` where none is known, or all are edited."""
    rank = np.where(origins == 0, np.int8(3), _RANK[origins]).min(axis=1, initial=3)
    edited = (rank == _MEASURED) & (origins.max(axis=1, initial=0) == EDITED)
    found = np.where(rank == 3, otherwise, _ORIGIN[np.minimum(rank, _MEASURED)])
    return np.where(edited, np.int8(EDITED), found).astype(np.int8)


def differ(before: MeterDays, after: MeterDays) -> Bool:
    """Which days say something else than before, (n,)."""
    other: Bool = (before.blocks != after.blocks).any(axis=1) | (before.origins != after.origins).any(axis=1)
    for name in ("total", "register", "demand", "off", "origin"):
        other |= getattr(before, name) != getattr(after, name)
    return other
