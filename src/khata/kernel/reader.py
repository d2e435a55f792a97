"""Reads a tariff order's files strictly into `order` values. Text in, values out: no file is opened here."""

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Literal

from khata.kernel.days import Season, month_number
from khata.kernel.order import (
    MODES,
    Condition,
    Doubt,
    Evidence,
    ExcessDemand,
    Line,
    Match,
    Minimum,
    Mode,
    MonthRule,
    Order,
    PercentageRebate,
    PercentOf,
    PerLoad,
    Published,
    Reading,
    Ref,
    Schedule,
    SeasonRate,
    Slab,
    SlabsTelescopic,
    SlabSubsidy,
)
from khata.kernel.yaml_text import Node, parse

_UNIT_SCALE = {"INR/kWh": 4, "INR/kW/month": 4, "%": 2}
_READING = re.compile(r"reading-\d+")


@dataclass(frozen=True)
class SourceFile:
    """One file of an order: its path below the tariff folder, and its text."""

    path: str
    text: str


Refs = Callable[[Node], Ref]


def read_order(schedule: SourceFile, amendments: Sequence[SourceFile]) -> Order:
    """The order with its amendments applied in the order given. Raises OrderError."""
    order = _order(schedule)
    for amendment in amendments:
        order = _amended(order, amendment)
    digest = hashlib.sha256()
    for file in (schedule, *amendments):
        digest.update(f"{file.path}\n{len(file.text)}\n{file.text}".encode())
    return replace(order, sha256=digest.hexdigest())


def amended_orders(amendment: SourceFile) -> tuple[str, ...]:
    """Paths of the orders that an amendment amends."""
    return tuple(node.text for node in parse(amendment.path, amendment.text).take("amendment").take("amends").items)


# -- the order ---------------------------------------------------------------------------------------------------


def _order(file: SourceFile) -> Order:
    root = parse(file.path, file.text)
    head, rules = root.take("order"), root.take("rules")
    readings = tuple(_reading(node) for node in _list_if(root, "readings"))
    refs = _refs({reading.id: reading for reading in readings})
    schedules = tuple(_schedule(node, refs) for node in root.take("schedules").items)
    _unique(root, "schedule", [schedule.name for schedule in schedules])
    _unique(root, "reading", [reading.id for reading in readings])
    in_force, month = head.take("in_force"), rules.take("month")
    rounding, straddle = rules.take("rounding"), rules.take("straddle")
    _word(straddle.take("kind"), "split-by-days")
    supersedes = head.take_if("supersedes")
    order = Order(
        path=file.path.rsplit("/", 1)[0],
        regulator=head.take("regulator").text,
        discoms=tuple(node.text for node in head.take("discoms").items),
        title=head.take("title").text,
        in_force=_date(in_force.take("from")),
        in_force_ref=refs(in_force.take("ref")),
        published=head.take("published").text,
        supersedes=supersedes.text if supersedes else None,
        reviewed_by=_reviewers(head.take("reviewed_by")),
        month=_month_rule(month, refs),
        straddle=refs(straddle.take("ref")),
        line_rounding=_rounding(rounding.take("line"), "0.01 INR", refs),
        slab_rounding=_rounding(rounding.take("slab_limit"), "0.001 kWh", refs),
        schedules=schedules,
        readings=readings,
        sha256="",
    )
    head.take("document")
    for node in (head, in_force, straddle, rounding, rules, root):
        node.done()
    return order


def _reviewers(node: Node) -> tuple[str, ...]:
    if isinstance(node.value, str):
        _word(node, "none")
        return ()
    return tuple(item.text for item in node.items)


def _reading(node: Node) -> Reading:
    name = node.take("id")
    if not _READING.fullmatch(name.text):
        raise name.error(f"{name.text!r} is not a reading's number", "Number readings reading-1, reading-2, …")
    evidence = node.take("evidence")
    if evidence.text not in ("A", "B", "C"):
        raise evidence.error(f"evidence {evidence.text!r} is not A, B or C", "Say how sure the reading is")
    mark: Evidence = evidence.text  # type: ignore[assignment]
    reading = Reading(name.text, node.take("question").text, node.take("answer").text, mark, node.take("because").text)
    node.done()
    return reading


def _refs(readings: dict[str, Reading], amendment: str = "") -> Refs:
    """A number's ref: the clause as written, or a reading of this file with its evidence.

    An amendment's refs begin with its name, so that its reading-1 is not taken for the order's.
    """
    prefix = f"{amendment} " if amendment else ""

    def ref(node: Node) -> Ref:
        if not node.text.strip():
            raise node.error("a ref is empty", "Name the clause, or the reading on which the number rests")
        if not _READING.match(node.text):
            return Ref(prefix + node.text)
        reading = readings.get(node.text.split()[0].rstrip(",;:"))
        if reading is None:
            raise node.error(f"{node.text!r} is not among the readings below", "Add the reading, or mend its number")
        return Ref(prefix + node.text, reading.evidence)

    return ref


def _month_rule(node: Node, refs: Refs) -> MonthRule:
    postpaid, prepaid = node.take("postpaid"), node.take("prepaid")
    _word(postpaid.take("kind"), "billing-days")
    _word(prepaid.take("kind"), "calendar-month")
    rule = MonthRule(_whole(postpaid.take("per")), refs(postpaid.take("ref")), refs(prepaid.take("ref")))
    for part in (postpaid, prepaid, node):
        part.done()
    return rule


def _rounding(node: Node, to: str, refs: Refs) -> Ref:
    _word(node.take("to"), to)
    _word(node.take("mode"), "half-up")
    ref = refs(node.take("ref"))
    node.done()
    return ref


# -- schedules and their lines --------------------------------------------------------------------------------------


def _schedule(node: Node, refs: Refs) -> Schedule:
    target = node.take("for")
    area = target.take_if("area")
    match = Match(target.take("category").text, area.text if area else None, _conditions(target))
    target.done()
    lines: list[Line] = []
    for item in node.take("lines").items:
        lines.append(_line(item, lines, refs))
    if not lines:
        raise node.error("the schedule has no lines", "Write at least one line: a schedule without lines bills nothing")
    doubts = tuple(_doubt(item, refs) for item in _list_if(node, "doubts"))
    name, title, ref = node.take("name").text, node.take("title").text, refs(node.take("ref"))
    node.done()
    return Schedule(name, title, match, tuple(lines), doubts, ref)


def _doubt(node: Node, refs: Refs) -> Doubt:
    when = node.take("when")
    doubt = Doubt(_conditions(when), refs(node.take("ref")))
    when.done()
    node.done()
    return doubt


def _conditions(node: Node) -> tuple[tuple[Literal["load", "energy"], Condition], ...]:
    found: list[tuple[Literal["load", "energy"], Condition]] = []
    load, energy = node.take_if("load"), node.take_if("energy")
    if load:
        found.append(("load", _condition(load, "kW")))
    if energy:
        found.append(("energy", _condition(energy, "kWh/month")))
    return tuple(found)


def _condition(node: Node, unit: str) -> Condition:
    if node.text == f"not whole {unit}":
        return Condition("not whole", 1000)
    for word in ("up to", "above", "at least", "below"):
        if node.text.startswith(word + " "):
            return Condition(word, _scaled(node, node.text.removeprefix(word + " "), unit, 3))
    raise node.error(f"{node.text!r} is not a condition", f"Write e.g. 'up to 1 {unit}', 'above 4 {unit}'")


def _line(node: Node, above: list[Line], refs: Refs) -> Line:
    known = {line.id for line in above}
    name, printed, kind, ref = node.take("id"), node.take("printed").text, node.take("kind"), refs(node.take("ref"))
    if name.text in known:
        raise name.error(f"the line {name.text!r} stands twice in this schedule", "Give each line its own id")
    make = _KINDS.get(kind.text)
    if make is None:
        raise kind.error(f"the charge kind {kind.text!r} is not known", f"Kinds are: {', '.join(_KINDS)}")
    line = make(node, name.text, printed, ref, above, refs)
    node.done()
    return line


def _per_load(node: Node, name: str, printed: str, ref: Ref, above: list[Line], refs: Refs) -> Line:
    floor = node.take("floor")
    percent = re.fullmatch(r"(\d{1,3}) % of load", floor.text)
    if not percent or int(percent[1]) > 100:
        raise floor.error(f"{floor.text!r} is not a floor", "Write e.g. '75 % of load'")
    return PerLoad(name, printed, int(percent[1]), _rate(node.take("rate"), "INR/kW/month"), ref)


def _excess(node: Node, name: str, printed: str, ref: Ref, above: list[Line], refs: Refs) -> Line:
    rate = node.take("rate")
    times = re.fullmatch(r"(\d{1,2}) × (\S+)", rate.text)
    if not times or not any(isinstance(line, PerLoad) and line.id == times[2] for line in above):
        raise rate.error(f"{rate.text!r} is not a multiple of a fixed charge printed above", "Write e.g. '2 × fixed'")
    return ExcessDemand(name, printed, int(times[1]), times[2], ref)


def _telescopic(node: Node, name: str, printed: str, ref: Ref, above: list[Line], refs: Refs) -> Line:
    return SlabsTelescopic(name, printed, _slabs(node, refs), ref)


def _subsidy(node: Node, name: str, printed: str, ref: Ref, above: list[Line], refs: Refs) -> Line:
    return SlabSubsidy(name, printed, _slabs(node, refs), ref)


def _minimum(node: Node, name: str, printed: str, ref: Ref, above: list[Line], refs: Refs) -> Line:
    rates = tuple(_season_rate(item, refs) for item in node.take("rates").items)
    for month in range(1, 13):
        middle = dt.date(2001, month, 15)
        if sum(rate.season.covers(middle) for rate in rates) != 1:
            raise node.error(f"the seasons do not cover month {month} exactly once", "Mend the dates of the rates")
    return Minimum(name, printed, _of(node, above), rates, refs(node.take("both_seasons")), ref)


def _season_rate(node: Node, refs: Refs) -> SeasonRate:
    start, end = (_month_day(node.take(key)) for key in ("from", "to"))
    made = SeasonRate(Season(start, end), _rate(node.take("rate"), "INR/kW/month"), refs(node.take("ref")))
    node.done()
    return made


def _percent(node: Node, name: str, printed: str, ref: Ref, above: list[Line], refs: Refs) -> Line:
    rate = node.take("rate")
    if rate.text != "published monthly":
        return PercentOf(name, printed, _of(node, above), _rate(rate, "%"), ref)
    dated, before = node.take("dated_by"), node.take("none_before")
    _word(dated, "bill")
    start = _date(before)
    if start.day != 1:
        raise before.error("a month's first day is wanted", "Write e.g. 2025-04-01")
    return PercentOf(name, printed, _of(node, above), Published(month_number(start)), ref)


def _rebate(node: Node, name: str, printed: str, ref: Ref, above: list[Line], refs: Refs) -> Line:
    mode = node.take("mode")
    if mode.text not in MODES:
        raise mode.error(f"the mode {mode.text!r} is not known", "Modes are: postpaid, prepaid")
    word: Mode = "prepaid" if mode.text == "prepaid" else "postpaid"
    return PercentageRebate(name, printed, _of(node, above), _rate(node.take("rate"), "%"), word, ref)


_KINDS: dict[str, Callable[[Node, str, str, Ref, list[Line], Refs], Line]] = {
    "per-load": _per_load,
    "excess-demand": _excess,
    "slabs-telescopic": _telescopic,
    "slab-subsidy": _subsidy,
    "minimum": _minimum,
    "percent-of": _percent,
    "percentage-rebate": _rebate,
}


def _of(node: Node, above: list[Line]) -> tuple[str, ...]:
    """Names of lines printed above: the file order is the computing order, so there are no cycles."""
    of = node.take("of")
    names = tuple(item.text for item in of.items)
    known = [line.id for line in above]
    for name in names:
        if name not in known:
            raise of.error(f"{name!r} is not a line above this one", f"Lines above are: {', '.join(known) or 'none'}")
    _unique(of, "line", list(names))
    return names


def _slabs(node: Node, refs: Refs) -> tuple[Slab, ...]:
    slabs: list[Slab] = []
    items = node.take("slabs").items
    for number, item in enumerate(items):
        limit = item.take("up_to")
        last = number == len(items) - 1
        if (limit.text == "none") != last:
            raise limit.error("only the last slab, and the last always, is up to none", "Mend the limits")
        up_to = None if last else _scaled(limit, limit.text, "kWh", 3)
        if up_to is not None and up_to <= (slabs[-1].up_to_wh or 0 if slabs else 0):
            raise limit.error(f"{limit.text} is not above the slab before it", "Slabs rise")
        rate = _rate(item.take("rate"), "INR/kWh")
        slabs.append(Slab(up_to, rate, item.take("printed").text, refs(item.take("ref"))))
        item.done()
    if not slabs:
        raise node.error("there are no slabs", "Write at least one slab up to none")
    return tuple(slabs)


# -- amendments -----------------------------------------------------------------------------------------------------


def _amended(order: Order, file: SourceFile) -> Order:
    root = parse(file.path, file.text)
    head = root.take("amendment")
    in_force = head.take("in_force")
    start, until = _date(in_force.take("from")), _date(in_force.take("until"))
    if (until - start).days not in range(28, 32) or start.day != 1 or until.day != 1:
        raise in_force.error(f"{start} until {until} is not one calendar month", "A published figure is for one month")
    _word(head.take("dated_by"), "bill")
    readings = [_reading(node) for node in _list_if(root, "readings")]
    _unique(root, "reading", [reading.id for reading in readings])
    folder = file.path.rsplit("/", 1)[0].rsplit("/", 1)[-1]
    refs = _refs({reading.id: reading for reading in readings}, folder)
    head.take("amends")
    head.take("order")
    for item in root.take("lines").items:
        order = _with_figure(order, item, month_number(start), refs)
    for node in (in_force, head, root):
        node.done()
    named = tuple(replace(reading, id=f"{folder} {reading.id}") for reading in readings)
    return replace(order, readings=(*order.readings, *named))


def _with_figure(order: Order, node: Node, month: int, refs: Refs) -> Order:
    at, becomes, ref = node.take("at"), _rate(node.take("becomes"), "%"), refs(node.take("ref"))
    place = re.fullmatch(r"every\.([a-z_]+)\.rate", at.text)
    if not place:
        raise at.error(f"{at.text!r} is not a place in the order", "Write e.g. every.fppas.rate")
    was = node.take("was")
    known = None if was.text == "not published" else _rate(was, "%")
    node.done()
    found = False
    schedules = []
    for schedule in order.schedules:
        lines = []
        for line in schedule.lines:
            if isinstance(line, PercentOf) and line.id == place[1] and isinstance(line.rate, Published):
                before = line.rate.figures.get(month)
                if month < line.rate.none_before or (before[0] if before else None) != known:
                    raise was.error(f"the figure of {order.path} is not {was.text!r}", "Quote what stands there now")
                line = replace(line, rate=replace(line.rate, figures={**line.rate.figures, month: (becomes, ref)}))
                found = True
            lines.append(line)
        schedules.append(replace(schedule, lines=tuple(lines)))
    if not found:
        raise at.error(f"{order.path} has no line {place[1]!r} that is published monthly", "Mend the place")
    return replace(order, schedules=tuple(schedules))


# -- small values -----------------------------------------------------------------------------------------------------


def _rate(node: Node, unit: str) -> int:
    """`4.20 INR/kWh` → 42000; `-2.33 %` → -233. The unit stands inside the value so that none can be forgotten."""
    if not node.text.endswith(" " + unit):
        raise node.error(f"{node.text!r} has not the unit {unit}", f"Write e.g. 4.20 {unit}")
    return _scaled(node, node.text, unit, _UNIT_SCALE[unit])


def _scaled(node: Node, text: str, unit: str, places: int) -> int:
    number = text.removesuffix(" " + unit).strip()
    try:
        if number == text or not re.fullmatch(r"-?\d+(\.\d+)?", number, re.ASCII):
            raise InvalidOperation
        scaled = Decimal(number).scaleb(places)
    except InvalidOperation:
        raise node.error(f"{text!r} is not a number with the unit {unit}", f"Write e.g. 4.20 {unit}") from None
    if scaled != int(scaled):
        raise node.error(f"{text!r} has more than {places} decimals", "Check the order")
    return int(scaled)


def _whole(node: Node) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", node.text, re.ASCII):
        raise node.error(f"{node.text!r} is not a whole number above 0", "Write e.g. 30")
    return int(node.text)


def _date(node: Node) -> dt.date:
    try:
        return dt.date.fromisoformat(node.text)
    except ValueError:
        raise node.error(f"{node.text!r} is not a date", "Write it as 2025-04-01") from None


def _month_day(node: Node) -> tuple[int, int]:
    found = re.fullmatch(r"(\d\d)-(\d\d)", node.text, re.ASCII)
    if not found or found[2] != "01" or not 1 <= int(found[1]) <= 12:
        raise node.error(f"{node.text!r} is not the first day of a month", "Write it as 04-01")
    return int(found[1]), int(found[2])


def _word(node: Node, word: str) -> None:
    if node.text != word:
        raise node.error(f"{node.text!r} is not known here", f"Write {word}")


def _list_if(node: Node, key: str) -> list[Node]:
    found = node.take_if(key)
    return found.items if found else []


def _unique(node: Node, what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise node.error(f"the {what} {name!r} stands twice", "Keep one")
