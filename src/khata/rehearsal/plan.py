"""What kind of connection each row of the demo is: home or shop, smart meter or reader's round, load and use."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64
from khata.rehearsal.households import Series, demand_w, load_for
from khata.rehearsal.readings import CYCLE_SHARES, CYCLES

Bool = npt.NDArray[np.bool_]

_SHOPS_OF_THE_REST = 0.1875  # of the four fifths without a smart meter: 15 % of all
_RURAL_OF_THE_REST, _SMALL_OF_THE_REST = 0.04, 0.24
_PREPAID_OF_SMART = 0.05


@dataclass(frozen=True)
class Plan:
    """What kind of connection each row is."""

    shop: Bool
    rural: Bool
    smart: Bool
    prepaid: Bool
    series: Int64  # position in the series; -1 for meters that somebody reads
    cycle: Int64  # position in CYCLES
    mean_wh: Int64
    load_factor: Int64  # per mille, of a day for smart meters, of a month for the others
    load_w: Int64
    start_wh: Int64  # register when the demo begins
    since: npt.NDArray[np.datetime64]  # connected on
    meter: npt.NDArray[np.bytes_]  # the number on its plate


def draw_plan(accounts: int, series: Sequence[Series], singles: int, rng: np.random.Generator) -> Plan:
    """Chance decides, except that a fifth is smart. The last `singles` series stand for one connection each."""
    smart = np.zeros(accounts, np.bool_)
    smart[rng.permutation(accounts)[: accounts // 5]] = True
    shop = ~smart & (rng.random(accounts) < _SHOPS_OF_THE_REST)
    rural = ~smart & (rng.random(accounts) < _RURAL_OF_THE_REST)
    prepaid = smart & (rng.random(accounts) < _PREPAID_OF_SMART)
    which = np.full(accounts, -1)
    which[smart] = _share_out(int(smart.sum()), len(series), singles, rng)
    # A series that breaks off is a household of its own kind; prepaid ones are steady.
    prepaid &= which < len(series) - singles
    means = np.array([int(each.wh.sum()) // len(each.wh) for each in series])
    small = ~shop & ~smart & (rng.random(accounts) < _SMALL_OF_THE_REST)
    mean = rng.choice(means, accounts) * rng.lognormal(0, 0.35, accounts) * np.where(shop, 1.3, 1)
    mean_wh = np.where(small, rng.integers(900, 3_000, accounts), np.clip(mean, 500, 24_000).astype(np.int64))
    factor = np.where(smart, rng.integers(180, 350, accounts), rng.integers(110, 220, accounts))
    peaks = np.array([int(np.percentile(each.wh, 99)) for each in series])
    peak_wh = np.where(smart, peaks[which], mean_wh * 145 // 100)
    load_w = load_for(demand_w(peak_wh, factor), rng.uniform(0.9, 1.6, accounts))
    load_w = np.where(small, 1_000, load_w)
    cycle = rng.choice(len(CYCLES), accounts, p=CYCLE_SHARES)
    start_wh = rng.integers(50, 20_000, accounts) * 1000
    since = np.datetime64("1990-01-01") + rng.integers(0, 365 * 32, accounts).astype("timedelta64[D]")
    numbers = rng.permutation(max(900_000, accounts))[:accounts] + 100_000
    meter = np.char.add(np.where(smart, b"KS", b"KM"), numbers.astype("S"))
    return Plan(shop, rural, smart, prepaid, which, cycle, mean_wh, factor, load_w, start_wh, since, meter)


def _share_out(connections: int, series: int, singles: int, rng: np.random.Generator) -> Int64:
    """Series for smart connections: the oddities and other broken ones once, but few of them in a very small demo."""
    broken = np.arange(series - singles, series)[: max(3, connections // 10)]
    steady = series - singles
    rest = np.arange(connections - len(broken)) % steady
    return rng.permutation(np.concatenate([broken, rest]))
