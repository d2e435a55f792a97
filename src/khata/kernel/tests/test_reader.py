"""What the strict reader refuses; each error names the file, the line, the clause and the next step."""

import pytest

from khata.kernel.order import ExcessDemand, PercentOf, PerLoad, SlabsTelescopic
from khata.kernel.reader import SourceFile, amended_orders, read_order
from khata.kernel.tests.orders import INVENTED, PATH, invented
from khata.kernel.yaml_text import OrderError, parse

SLAB = '{printed: "Up to 300 units", up_to: 300 kWh, rate: 6.00 INR/kWh, ref: "row 4"}'
DUTY = '{id: duty,   printed: "Duty", kind: percent-of, of: [fixed, excess, energy], rate: 9.00 %, ref: "row 6"}'


def refused(*changes: tuple[str, str]) -> OrderError:
    with pytest.raises(OrderError) as caught:
        read_order(invented(*changes), ())
    error = caught.value
    assert error.file == PATH and error.what and error.next_step
    assert str(error).startswith(f"{PATH}, line {error.line}, ")
    return error


def line_of(text: str, *changes: tuple[str, str]) -> int:
    source = invented(*changes).text
    return source[: source.index(text)].count("\n") + 1


def test_the_invented_order_is_read() -> None:
    order = read_order(invented(), ())
    fixed, excess, energy, duty, _ = order.schedules[0].lines
    assert isinstance(fixed, PerLoad) and (fixed.floor_percent, fixed.rate_e4) == (75, 1_000_000)
    assert isinstance(excess, ExcessDemand) and (excess.times, excess.of) == (2, "fixed")
    assert isinstance(energy, SlabsTelescopic) and [slab.up_to_wh for slab in energy.slabs] == [100_000, 300_000, None]
    assert isinstance(duty, PercentOf) and duty.rate == 900
    assert order.discoms == ("NADIPUR",) and order.reviewed_by == ()
    assert order.path == "anerc/2025-04-01--case-41"


@pytest.mark.parametrize(
    ("old", "new", "clause", "what"),
    [
        ("  published:   2025-03-20\n", "  published: 2025-03-20\n  published: 2025-03-21\n", "order", "stands twice"),
        ('  title: "Homes"\n', '  title: "Homes"\n  colour: red\n', "schedules.Home.colour", "'colour' is not known"),
        (SLAB, SLAB.replace("6.00 INR/kWh", "6.00"), "slabs[2].rate", "'6.00' has not the unit INR/kWh"),
        (SLAB, SLAB.replace("6.00 INR/kWh", "4.2"), "slabs[2].rate", "'4.2' has not the unit INR/kWh"),
        (SLAB, SLAB.replace("6.00 INR/kWh", "6.00 INR/kW/month"), "slabs[2].rate", "has not the unit INR/kWh"),
        (SLAB, SLAB.replace("6.00 INR/kWh", '"6,00 INR/kWh"'), "slabs[2].rate", "not a number"),
        (SLAB, SLAB.replace("6.00 INR/kWh", "६.०० INR/kWh"), "slabs[2].rate", "not a number"),
        (SLAB, SLAB.replace("6.00 INR/kWh", "6e0 INR/kWh"), "slabs[2].rate", "not a number"),
        (SLAB, SLAB.replace("6.00 INR/kWh", "6.00001 INR/kWh"), "slabs[2].rate", "more than 4 decimals"),
        (SLAB, SLAB.replace("300 kWh", "300"), "slabs[2].up_to", "not a number with the unit kWh"),
        (SLAB, SLAB.replace("up_to: 300 kWh", "up_to: 100 kWh"), "slabs[2].up_to", "100 kWh is not above the slab"),
        (SLAB, SLAB.replace("up_to: 300 kWh", "up_to: none"), "slabs[2].up_to", "only the last slab"),
        (SLAB, SLAB.replace(', ref: "row 4"', ""), "slabs[2]", "the key 'ref' is missing"),
        (SLAB, SLAB.replace('ref: "row 4"', 'ref: ""'), "slabs[2].ref", "a ref is empty"),
        (SLAB, SLAB.replace('ref: "row 4"', "ref: reading-9"), "slabs[2].ref", "not among the readings"),
        (DUTY, DUTY.replace("9.00 %", "9.00"), "lines.duty.rate", "has not the unit %"),
        (DUTY, DUTY.replace(", energy]", ", rebate]"), "lines.duty.of", "'rebate' is not a line above"),
        (DUTY, DUTY.replace(", energy]", ", duty]"), "lines.duty.of", "'duty' is not a line above"),
        (DUTY, DUTY.replace(", energy]", ", fixed]"), "lines.duty.of", "'fixed' stands twice"),
        (DUTY, DUTY.replace("[fixed, excess, energy]", "fixed"), "lines.duty.of", "a list is wanted"),
        (DUTY, DUTY.replace("id: duty", "id: energy"), "lines.energy.id", "'energy' stands twice"),
        (DUTY, DUTY.replace("kind: percent-of", "kind: percentage"), "lines.duty.kind", "'percentage' is not known"),
        ("rate: 2 × fixed", "rate: 2 × energy", "lines.excess.rate", "not a multiple of a fixed charge"),
        ("rate: 2 × fixed", "rate: 2 x fixed", "lines.excess.rate", "not a multiple of a fixed charge"),
        ("floor: 75 % of load", "floor: 175 % of load", "lines.fixed.floor", "not a floor"),
        ("mode: prepaid\n", "mode: no\n", "lines.rebate.mode", "'no' is not known"),
        ("for:   {category: LMV-1}", "for: {category: LMV-1, load: up to 1}", "schedules.Home.for.load", "unit kW"),
        ("for:   {category: LMV-1}", "for: {category: LMV-1, load: <= 1 kW}", "for.load", "not a condition"),
        ("from: 2025-04-01", "from: 01-04-2025", "order.in_force.from", "'01-04-2025' is not a date"),
        ("from: 2025-04-01", "from: 22:00", "order.in_force.from", "'22:00' is not a date"),
        ("reviewed_by: none", "reviewed_by: no", "order.reviewed_by", "'no' is not known here"),
        ("per: 30", "per: 30.5", "rules.month.postpaid.per", "not a whole number"),
        ("per: 30", "per: 0", "rules.month.postpaid.per", "not a whole number"),
        ("to: 0.01 INR, mode: half-up", "to: 1 INR, mode: half-up", "rules.rounding.line.to", "'1 INR' is not known"),
        ("to: 0.01 INR, mode: half-up", "to: 0.01 INR, mode: up", "rules.rounding.line.mode", "'up' is not known"),
        ("evidence: C", "evidence: D", "readings.reading-1.evidence", "not A, B or C"),
        ("id: reading-1", "id: reading one", "readings.reading one.id", "not a reading's number"),
    ],
)  # fmt: skip
def test_a_malformed_order_is_refused(old: str, new: str, clause: str, what: str) -> None:
    error = refused((old, new))
    assert what in error.what
    assert error.clause.endswith(clause), error.clause
    assert abs(error.line - line_of(new.split("\n")[-2] if "\n" in new else new, (old, new))) <= 1


def test_a_repeated_schedule_reading_or_absent_lines_are_refused() -> None:
    schedule = INVENTED[INVENTED.index("- name:  Home") : INVENTED.index("\nreadings:")]
    with pytest.raises(OrderError, match="the schedule 'Home' stands twice"):
        read_order(SourceFile(PATH, INVENTED.replace(schedule, schedule * 2)), ())
    lines = schedule[schedule.index("  lines:") :]
    with pytest.raises(OrderError, match="the schedule has no lines"):
        read_order(SourceFile(PATH, INVENTED.replace(lines, "  lines: []\n")), ())
    reading = INVENTED[INVENTED.index("- {id: reading-1") :]
    with pytest.raises(OrderError, match="the reading 'reading-1' stands twice"):
        read_order(SourceFile(PATH, INVENTED + reading), ())


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: &x 1\nb: *x\n", 1, "anchors, aliases and tags"),
        ("a: 1\nb: !!float 4.20\n", 2, "anchors, aliases and tags"),
        ("a: !secret 1\n", 1, "anchors, aliases and tags"),
        ("a: 1\na: 2\n", 2, "the key 'a' stands twice"),
        ("a: [1, 2\nb: 3\n", 2, "this is not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "this is not YAML"),
        ("\ta: 1\n", 1, "this is not YAML"),
        ("", 1, "the file is empty"),
        ("# nothing\n", 1, "the file is empty"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(text: str, line: int, what: str) -> None:
    with pytest.raises(OrderError) as caught:
        parse("f.yaml", text)
    assert what in caught.value.what and caught.value.line == line


def test_every_scalar_stays_the_characters_that_were_written() -> None:
    written = {"a": "no", "b": "22:00", "c": "4.20", "d": "0x10", "e": "2025-04-01", "f": "~", "g": "1_000", "h": "NaN"}
    root = parse("f.yaml", "\ufeff" + "".join(f"{key}: {value}\n" for key, value in written.items()))
    assert {key: root.take(key).text for key in written} == written
    root.done()


# -- amendments ------------------------------------------------------------------------------------------------------

MONTHLY = (DUTY, DUTY.replace("9.00 %", "published monthly, dated_by: bill, none_before: 2025-04-01"))
AMENDMENT = """\
amendment:
  amends:   [anerc/2025-04-01--case-41]
  order:    "Circular 6"
  in_force: {from: 2025-06-01, until: 2025-07-01}
  dated_by: bill
lines:
- {at: every.duty.rate, was: not published, becomes: -1.50 %, ref: reading-1}
readings:
- {id: reading-1, question: "Q?", answer: "A.", evidence: B, because: "B."}
"""


def amended(*changes: tuple[str, str], times: int = 1) -> PercentOf:
    text = AMENDMENT
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    line = (
        read_order(invented(MONTHLY), [SourceFile("anerc/2025-06--duty/amendment.yaml", text)] * times)
        .schedules[0]
        .lines[3]
    )
    assert isinstance(line, PercentOf)
    return line


def test_an_amendment_publishes_a_months_figure_under_its_own_name() -> None:
    line = amended()
    assert not isinstance(line.rate, int)
    ((month, (figure, ref)),) = line.rate.figures.items()
    assert (month, figure) == ((2025 - 1970) * 12 + 5, -150)
    assert (ref.text, ref.evidence) == ("2025-06--duty reading-1", "B")
    assert amended_orders(SourceFile("x", AMENDMENT)) == ("anerc/2025-04-01--case-41",)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("was: not published", "was: 1.00 %", "is not '1.00 %'"),
        ("was: not published", "was: 1.00", "has not the unit %"),
        ("from: 2025-06-01, until: 2025-07-01", "from: 2025-06-01, until: 2025-08-01", "not one calendar month"),
        ("from: 2025-06-01, until: 2025-07-01", "from: 2025-06-02, until: 2025-07-02", "not one calendar month"),
        ("from: 2025-06-01, until: 2025-07-01", "from: 2025-03-01, until: 2025-04-01", "is not 'not published'"),
        ("at: every.duty.rate", "at: every.fppas.rate", "has no line 'fppas' that is published monthly"),
        ("at: every.duty.rate", "at: duty", "not a place in the order"),
        ("becomes: -1.50 %", "becomes: -1.50", "has not the unit %"),
        ("dated_by: bill", "dated_by: reading", "'reading' is not known"),
        ("ref: reading-1}", "ref: reading-2}", "not among the readings"),
        ("dated_by: bill", "dated_by: bill\n  colour: red", "the key 'colour' is not known here"),
        ("  order:    ", "  orders:   ", "the key 'order' is missing"),
    ],
)
def test_a_malformed_amendment_is_refused(old: str, new: str, what: str) -> None:
    with pytest.raises(OrderError) as caught:
        amended((old, new))
    assert what in caught.value.what
    assert caught.value.file == "anerc/2025-06--duty/amendment.yaml"


def test_an_amendment_applied_twice_is_refused() -> None:
    with pytest.raises(OrderError, match="is not 'not published'"):
        amended(times=2)


def test_the_hash_follows_every_character_of_every_file() -> None:
    amendment = SourceFile("anerc/2025-06--duty/amendment.yaml", AMENDMENT)
    plain = read_order(invented(MONTHLY), ()).sha256
    with_amendment = read_order(invented(MONTHLY), [amendment]).sha256
    spaced = read_order(SourceFile(PATH, invented(MONTHLY).text + "\n"), ()).sha256
    assert len({plain, with_amendment, spaced}) == 3
    assert read_order(invented(MONTHLY), ()).sha256 == plain
