"""What is laid aside comes back as it was said, and what nobody said as unknown."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.formats.meterdays import ACTUAL, IMPORT, Batch, MeterDayBatch, ReadingBatch, Refused, only_refused
from khata.formats.spool import READING, Spool

UNKNOWN = {"channel": IMPORT, "origin": ACTUAL, "origins": 0, "drift_s": 0, "multiplier": 0}  # of the others -1
OPTIONAL = ("channel", "origin", "register_wh", "demand_w", "off", "drift_s", "multiplier")
MATRICES = ("blocks", "origins", "volts_dv", "current_ma", "hertz_mhz")
READINGS = ("register_wh", "demand_w")


def made(seed: int, count: int, names: set[str], *, reading: bool) -> Batch:
    random = np.random.default_rng(seed)
    lines, days = random.integers(1, 10**6, count), random.integers(0, 30_000, count).astype("M8[D]")
    serials = np.array([b"M%d" % n for n in range(count)], "S9")
    said: dict[str, Any] = {name: random.integers(0, 4, count) for name in (READINGS if reading else OPTIONAL)}
    if reading:
        return ReadingBatch(lines, serials, days, **said)
    total, known = random.integers(0, 99, count), random.random(count) < 0.5
    said |= {name: random.integers(-1, 5, (count, 48)).astype(np.int32) for name in MATRICES}
    said["origins"] = np.abs(said["origins"]).astype(np.int8)
    blocks = said.pop("blocks")
    batch = MeterDayBatch(
        lines, serials, days, None, None, total, known, **{name: said[name] for name in said if name in names}
    )
    return replace(batch, blocks=blocks, known=blocks >= 0) if "blocks" in names else batch


def said_by(batch: Batch, name: str) -> Any:
    """(n,) or (n, 48) of a batch, unknown where it does not say it."""
    if isinstance(batch, ReadingBatch) and name == "channel":
        return np.full(len(batch), READING)
    if isinstance(batch, MeterDayBatch) and name == "total_wh":
        return np.where(batch.total_known, batch.total_wh, -1)
    said = getattr(batch, name, None)
    shape = (len(batch), 48) if name in MATRICES else len(batch)
    return np.full(shape, UNKNOWN.get(name, -1)) if said is None else said


BATCHES = st.lists(
    st.builds(
        made, st.integers(0, 10**6), st.integers(1, 3), st.sets(st.sampled_from(OPTIONAL + MATRICES)),
        reading=st.booleans(),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@given(batches=BATCHES, at=st.lists(st.integers(0, 10**6), max_size=8))
def test_every_row_comes_back_as_its_batch_said_it(batches: list[Batch], at: list[int]) -> None:
    with Spool() as spool:
        for batch in batches:
            spool.add(batch)
        assert spool.count == sum(map(len, batches))
        assert (spool.days() == np.concatenate([batch.days for batch in batches])).all()
        for name in ("lines", "total_wh", *OPTIONAL):
            assert (spool.column(name) == np.concatenate([said_by(batch, name) for batch in batches])).all(), name
        places = np.array(at, np.int64) % spool.count
        for name in MATRICES:
            taken = spool.matrix(name, places)
            assert (taken is not None) == spool.says(name) == any(getattr(b, name, None) is not None for b in batches)
            if taken is not None:
                assert (taken == np.concatenate([said_by(batch, name) for batch in batches])[places]).all(), name


@given(seed=st.integers(0, 10**6), half_hour=st.integers(0, 47), by=st.sampled_from([-1, 1, 1000]))
def test_the_print_tells_half_hours_apart_and_nothing_else(seed: int, half_hour: int, by: int) -> None:
    batch = made(seed, 3, {"blocks", "origins"}, reading=False)
    assert isinstance(batch, MeterDayBatch)
    assert batch.blocks is not None
    assert batch.origins is not None
    other, origins = batch.blocks.copy(), batch.origins.copy()
    other[1, half_hour] += by
    origins[2, half_hour] += 1
    with Spool() as spool:
        spool.add(batch)
        spool.add(replace(batch, total_wh=batch.total_wh + 1, lines=batch.lines + 9))
        spool.add(replace(batch, blocks=other, origins=origins))
        first, same, changed = spool.column("print").reshape(3, 3)
    assert (first == same).all()
    assert (first == changed).tolist() == [True, False, False]


def test_a_row_without_half_hours_has_no_print() -> None:
    batch = made(1, 2, {"blocks"}, reading=False)
    assert isinstance(batch, MeterDayBatch)
    assert batch.blocks is not None
    batch.blocks[0] = -1
    with Spool() as spool:
        spool.add(batch)
        spool.add(made(2, 1, set(), reading=False))
        assert (spool.column("print") == 0).tolist() == [True, False, True]
        assert spool.column("most_wh").tolist() == [-1, int(batch.blocks[1].max()), -1]


def test_refused_rows_are_kept_in_order_also_of_a_batch_without_rows() -> None:
    refused = [Refused(line=n, rule="VAL-08", reason="cut off") for n in range(3)]
    with Spool() as spool:
        spool.add(only_refused(refused[:2]))
        spool.add(replace(made(3, 1, set(), reading=False), refused=(refused[2],)))
        assert spool.refused == refused
        assert spool.count == 1
        assert not spool.says("blocks")
        assert spool.matrix("blocks", np.zeros(1, np.int64)) is None


def test_nothing_can_be_read_after_the_end() -> None:
    with Spool() as spool:
        spool.add(made(4, 1, {"blocks"}, reading=False))
    with pytest.raises(ValueError, match="closed"):
        spool.matrix("blocks", np.zeros(1, np.int64))
