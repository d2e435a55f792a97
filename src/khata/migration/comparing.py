"""An old bill beside the kernel's: rated once more, and the difference given a class. Pure: columns in, columns out.

Each row is compared by itself; what stands beside it changes nothing. See docs/algorithms/parallel-run.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from khata.billing.rules import PRICEABLE_WH, summed
from khata.display.labels import Label, Language
from khata.kernel.bills import NO_CATEGORY, NO_ORDER, NO_SCHEDULE, UNPUBLISHED, Priced, Segments, price
from khata.kernel.days import day_number, first_days, months_of
from khata.kernel.order import Order
from khata.kernel.quantities import Bool, HeadRoomError, Int64

RESULTS = ("equal", "rounding", "rule", "data", "unknown")
EQUAL, ROUNDING, RULE, DATA, UNKNOWN = range(5)
LINE_ROUNDINGS_PAISE = 5  # so far apart an amount may be when its lines were rounded otherwise
BY_READING = (b"MU", b"")
MODES = ("half-up", "half-even", "up", "down")
_RUPEE, _UNIT_WH = 100, 1000

Texts = npt.NDArray[np.bytes_]

REFUSED = {NO_ORDER: "no-order", NO_CATEGORY: "no-category", NO_SCHEDULE: "no-schedule", UNPUBLISHED: "no-figure"}
# Why a bill is in its class, by the first word of `why`; what follows the word takes the place of {}.
WORDS = {
    "": Label("", ""),
    "lines": Label("पंक्तियों का पूर्णांकन अलग", "lines were rounded otherwise"),
    "rupee": Label("पूरे रुपये में ({})", "rounded to the rupee ({})"),
    "basis": Label("बिल रीडिंग पर नहीं बना: {}", "not billed by reading: {}"),
    "no-order": Label("उन दिनों का कोई टैरिफ आदेश नहीं", "no tariff order was in force"),
    "no-category": Label("आदेश में यह विधा नहीं", "the order has no such category"),
    "no-schedule": Label("आदेश की कोई अनुसूची लागू नहीं", "no schedule of the order matches"),
    "no-figure": Label("माह का FPPAS प्रकाशित नहीं", "the month's FPPAS is not published"),
    "whole-units": Label("पूरी यूनिट पर बिल बना", "billed on whole units"),
    "subsidy": Label("सब्सिडी नहीं घटाई गई", "the subsidy was not taken off"),
    "rebate": Label("प्रीपेड छूट नहीं दी गई", "the prepaid rebate was not given"),
    "fppas-before": Label("पिछले माह का FPPAS लगा", "FPPAS of the month before"),
    "fppas-after": Label("अगले माह का FPPAS लगा", "FPPAS of the month after"),
    "mode": Label("दूसरे मोड (पोस्टपेड/प्रीपेड) से बना", "billed in the other mode, postpaid or prepaid"),
    "demand": Label("नियत प्रभार पूरे स्वीकृत भार पर", "fixed charge on the whole load, demand not looked at"),
    "order-before": Label("पुराने टैरिफ आदेश से बना", "billed by the tariff order before"),
    "missing": Label("कोई आँकड़ा नहीं है", "a figure is missing"),
    "period": Label("अवधि उल्टी या शून्य", "the period does not end after it starts"),
    "load": Label("भार शून्य", "the load is not above 0"),
    "units": Label("यूनिट रीडिंग से नहीं मिलतीं", "old units are not those of the readings"),
    "too-large": Label("आँकड़े इतने बड़े कि दर नहीं लग सकती", "figures too large to be rated"),
}


def why_in_words(why: str, language: Language) -> str:
    word, _, rest = why.partition(" ")
    return WORDS[word].in_(language).format(rest.replace(",", ", "))


# -- comparing: pure -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OldBills:
    """Bills of the old system, one row an account. Registers in Wh before the factor; days as numbers."""

    basis: Texts
    category: Texts
    area: Texts
    prepaid: Int64
    load_w: Int64
    demand_w: Int64
    start: Int64
    end: Int64
    bill_day: Int64
    previous_wh: Int64
    present_wh: Int64
    factor: Int64
    billed_wh: Int64
    assessed_paise: Int64
    payable_paise: Int64
    missing: Bool  # a figure that rating needs is not there

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: Int64) -> "OldBills":
        return OldBills(**{column.name: getattr(self, column.name)[rows] for column in fields(OldBills)})


@dataclass(frozen=True)
class Ours:
    """The same bills by the kernel. `refusal` as in kernel.bills, -1: figures too large; lines part after part."""

    refusal: Int64
    assessed_paise: Int64
    subsidy_paise: Int64
    rebate_paise: Int64
    payable_paise: Int64
    lines: Int64  # (n, most)
    count: Int64  # lines of each row

    def take(self, rows: Int64) -> "Ours":
        return Ours(**{column.name: getattr(self, column.name)[rows] for column in fields(Ours)})


@dataclass(frozen=True)
class Comparison:
    """Classes of some bills. Ours count only where `rated`; energy is that of the readings."""

    result: Int64  # position in RESULTS
    why: Texts
    energy_wh: Int64
    rated: Bool
    ours: Ours


def compare(old: OldBills, orders: Sequence[Order]) -> Comparison:
    """Class every bill. Orders are those of the company, rising; the rows do not look at each other."""
    count = len(old)
    why, result = np.zeros(count, "S64"), np.full(count, UNKNOWN)
    difference = old.present_wh - old.previous_wh
    large = np.abs(difference) > PRICEABLE_WH // np.maximum(np.abs(old.factor), 1)
    energy = np.where(large, 0, difference * np.where(large, 0, old.factor))
    open_rows = np.ones(count, np.bool_)

    def say(rows: Bool, kind: int, word: bytes | Texts) -> None:
        rows = rows & open_rows
        result[rows], why[rows] = kind, word if isinstance(word, bytes) else word[rows]
        open_rows[rows] = False

    say(~np.isin(old.basis, BY_READING), RULE, np.char.add(b"basis ", old.basis))
    say(old.missing, DATA, b"missing")
    say(old.end <= old.start, DATA, b"period")
    say(old.load_w <= 0, DATA, b"load")
    say(large, DATA, b"too-large")
    say(energy < 0, DATA, b"units")
    rows = np.flatnonzero(open_rows)
    rated = open_rows.copy()
    some = rate(old.take(rows), energy[rows], orders)
    ours = _spread(some, rows, count)
    for refusal in np.unique(some.refusal[some.refusal != 0]).tolist():
        kind, word = (DATA, "too-large") if refusal < 0 else (RULE, REFUSED[refusal])
        say(ours.refusal == refusal, kind, word.encode())
    rated &= ours.refusal == 0
    say((old.billed_wh != energy) & ~_on_whole_units(old, energy, orders, open_rows), DATA, b"units")
    say(old.billed_wh != energy, RULE, b"whole-units")
    say((old.assessed_paise == ours.assessed_paise) & (old.payable_paise == ours.payable_paise), EQUAL, b"")
    rounding = roundings(old, ours)
    say(rounding != b"", ROUNDING, rounding)
    for word, applied in ALTERNATIVES.items():
        rows = np.flatnonzero(open_rows)
        if not len(rows):
            break
        fits = np.zeros(count, np.bool_)
        fits[rows] = applied(old.take(rows), energy[rows], ours.take(rows), orders)
        say(fits, RULE, word.encode())
    return Comparison(result, why, energy, rated, ours)


def rate(old: OldBills, energy_wh: Int64, orders: Sequence[Order]) -> Ours:
    """Price these bills; where figures are too large for the kernel, only their own rows are refused."""
    try:
        return _rated(old, energy_wh, orders)
    except HeadRoomError:
        if len(old) == 1:
            none = np.zeros(1, np.int64)
            return Ours(none - 1, none, none, none, none, none.reshape(1, 1), none)
    half = len(old) // 2
    parts = [slice(0, half), slice(half, len(old))]
    made = [rate(old.take(np.arange(len(old))[part]), energy_wh[part], orders) for part in parts]
    first, second = (_spread(each, np.arange(len(old))[part], len(old)) for each, part in zip(made, parts, strict=True))
    widest = max(first.lines.shape[1], second.lines.shape[1])
    lines = np.zeros((len(old), widest), np.int64)
    for each in (first, second):
        lines[:, : each.lines.shape[1]] += each.lines
    sums = {
        column.name: getattr(first, column.name) + getattr(second, column.name)
        for column in fields(Ours)
        if column.name != "lines"
    }
    return Ours(**sums, lines=lines)


def _rated(old: OldBills, energy_wh: Int64, orders: Sequence[Order]) -> Ours:
    category, area = (np.unique(column, return_inverse=True) for column in (old.category, old.area))
    segments = Segments(
        bill=np.arange(len(old)),
        start=old.start,
        end=old.end,
        category=category[1],
        area=area[1],
        prepaid=old.prepaid,
        load_w=old.load_w,
        demand_w=old.demand_w,
        energy_wh=energy_wh,
        bill_day=old.bill_day,
        categories=tuple(text.decode() for text in category[0].tolist()),
        areas=tuple(text.decode() for text in area[0].tolist()),
    )
    priced = price(orders, segments, metered=False)
    bills = summed(priced, np.arange(len(old)))
    refusal = np.zeros(len(old), np.int64)
    refused = np.flatnonzero(priced.refusal)[::-1]  # of a bill in parts the first refusal stays
    refusal[priced.segments.bill[refused]] = priced.refusal[refused]
    lines, count = _lines(priced, len(old))
    return Ours(
        refusal, bills.assessed_paise, bills.subsidy_paise, bills.rebate_paise, bills.payable_paise, lines, count
    )


def _lines(priced: Priced, bills: int) -> tuple[Int64, Int64]:
    """The lines of each bill beside each other, one part after the other: (bills, most), and how many."""
    bill_of = priced.segments.bill
    width = np.zeros(len(bill_of), np.int64)
    for group in priced.groups:
        width[group.rows] = group.rated.lines.shape[1]
    upto = np.cumsum(width)
    count = np.zeros(bills, np.int64)
    np.add.at(count, bill_of, width)
    before = upto - width - (np.cumsum(count) - count)[bill_of]
    lines = np.zeros((bills, max(1, int(count.max(initial=0)))), np.int64)
    for group in priced.groups:
        places = before[group.rows, None] + np.arange(group.rated.lines.shape[1])
        lines[bill_of[group.rows, None], places] = group.rated.lines
    return lines, count


def _spread(ours: Ours, rows: Int64, count: int) -> Ours:
    """The same figures at their rows of `count`, zeros elsewhere."""

    def wide(column: Int64) -> Int64:
        made = np.zeros((count, *column.shape[1:]), np.int64)
        made[rows] = column
        return made

    return Ours(**{column.name: wide(getattr(ours, column.name)) for column in fields(Ours)})


def roundings(old: OldBills, ours: Ours) -> Texts:
    """How each pair of amounts could be ours rounded otherwise; empty where it could not."""
    pairs = ((old.assessed_paise, ours.assessed_paise), (old.payable_paise, ours.payable_paise))
    same = [theirs == mine for theirs, mine in pairs]
    near = [np.abs(theirs - mine) <= LINE_ROUNDINGS_PAISE for theirs, mine in pairs]
    whole, either = np.zeros(len(old), np.int64), np.zeros(len(old), np.int64)
    for bit, mode in enumerate(MODES):
        fits = [theirs == to_rupee(mine, mode) for theirs, mine in pairs]
        whole |= ((same[0] | fits[0]) & (same[1] | fits[1])).astype(np.int64) << bit
        either |= ((near[0] | fits[0]) & (near[1] | fits[1])).astype(np.int64) << bit
    names = [",".join(mode for bit, mode in enumerate(MODES) if code >> bit & 1) for code in range(2 ** len(MODES))]
    named = np.array([b"rupee " + name.encode() if name else b"" for name in names], "S64")
    found = named[np.where(whole > 0, whole, either)]
    return np.where((whole == 0) & near[0] & near[1], np.array(b"lines", "S64"), found)


def to_rupee(paise: Int64, mode: str) -> Int64:
    """Whole rupees, in paise. Up is away from zero, as half up is."""
    size = np.abs(paise)
    rupees, rest = size // _RUPEE, size % _RUPEE
    more = {
        "half-up": 2 * rest >= _RUPEE,
        "half-even": (2 * rest > _RUPEE) | ((2 * rest == _RUPEE) & (rupees % 2 == 1)),
        "up": rest > 0,
        "down": np.zeros(len(paise), np.bool_),
    }[mode]
    return np.asarray(np.sign(paise) * (rupees + more) * _RUPEE, np.int64)


def _on_whole_units(old: OldBills, energy: Int64, orders: Sequence[Order], rows: Bool) -> Bool:
    """Where the old units are ours cut or rounded to whole ones, and its amounts are those of whole units."""
    apart = np.abs(old.billed_wh - energy)
    at = np.flatnonzero(rows & (old.billed_wh % _UNIT_WH == 0) & (apart > 0) & (apart < _UNIT_WH))
    fits = np.zeros(len(old), np.bool_)
    if len(at):
        some = old.take(at)
        fits[at] = _same(some, rate(some, some.billed_wh, orders))
    return fits


# The closed list of rules by which the old system may have billed: (its bills, energy, ours, orders) → where the rule
# gives the old amounts to the paisa. The first that does names the difference.
Applied = Callable[[OldBills, Int64, Ours, Sequence[Order]], Bool]


def _same(old: OldBills, other: Ours) -> Bool:
    same = (old.assessed_paise == other.assessed_paise) & (old.payable_paise == other.payable_paise)
    return np.asarray(same & (other.refusal == 0), np.bool_)


def _kept_on(column: str) -> Applied:
    def applied(old: OldBills, _energy: Int64, ours: Ours, _orders: Sequence[Order]) -> Bool:
        return _same(old, replace(ours, payable_paise=ours.payable_paise + getattr(ours, column)))

    return applied


def _with(change: Callable[[OldBills], OldBills]) -> Applied:
    def applied(old: OldBills, energy: Int64, _ours: Ours, orders: Sequence[Order]) -> Bool:
        return _same(old, rate(change(old), energy, orders))

    return applied


def _by_the_order_before(old: OldBills, energy: Int64, _ours: Ours, orders: Sequence[Order]) -> Bool:
    fits = np.zeros(len(old), np.bool_)
    newest = sum(
        ((old.end > day_number(order.in_force)).astype(np.int64) for order in orders), np.zeros(len(old), np.int64)
    )
    for number in range(2, len(orders) + 1):
        rows = np.flatnonzero(newest == number)
        if len(rows):
            some = old.take(rows)
            fits[rows] = _same(some, rate(some, energy[rows], orders[: number - 1]))
    return fits


ALTERNATIVES: Mapping[str, Applied] = {
    "subsidy": _kept_on("subsidy_paise"),
    "rebate": _kept_on("rebate_paise"),
    "fppas-before": _with(lambda old: replace(old, bill_day=first_days(months_of(old.bill_day)) - 1)),
    "fppas-after": _with(lambda old: replace(old, bill_day=first_days(months_of(old.bill_day) + 1))),
    "mode": _with(lambda old: replace(old, prepaid=1 - old.prepaid)),
    "demand": _with(lambda old: replace(old, demand_w=old.load_w)),
    "order-before": _by_the_order_before,
}
