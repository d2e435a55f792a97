"""Pricing cases: exact units, and a bad line that stops nobody but itself."""

import datetime as dt
import io

import pytest

from khata.formats.cases import PricingCase, RefusedCase, read_cases
from khata.formats.text import FormatError

HEADER = "case,discom,category,area,mode,period_start,period_end,sanctioned_load_kw,max_demand_kw,energy_kwh"
GOOD = {
    "case": "R04",
    "discom": "KESCO",
    "category": "LMV-1",
    "area": "urban",
    "mode": "postpaid",
    "period_start": "2024-05-01",
    "period_end": "2024-06-01",
    "sanctioned_load_kw": "2",
    "max_demand_kw": "1.27",
    "energy_kwh": "312.855",
}


def read(*rows: dict[str, str], header: str = HEADER) -> list[PricingCase | RefusedCase]:
    lines = [header, *(",".join(row.get(name, "") for name in header.split(",")) for row in rows)]
    return list(read_cases(io.BytesIO("\n".join(lines).encode())))


def test_a_case_is_read_exactly() -> None:
    days = dt.date(2024, 5, 1), dt.date(2024, 6, 1)
    assert read(GOOD) == [
        PricingCase(2, "R04", "KESCO", "LMV-1", "urban", "postpaid", *days, 2000, 1270, 312_855, dt.date(2024, 6, 1))
    ]


def test_the_bill_date_may_be_given_and_the_columns_may_stand_otherwise() -> None:
    header = "bill_date," + ",".join(reversed(HEADER.split(",")))
    (case,) = read({**GOOD, "bill_date": "2024-06-05"}, header=header)
    (default,) = read({**GOOD, "bill_date": ""}, header=header)
    assert isinstance(case, PricingCase) and case.bill_date == dt.date(2024, 6, 5)
    assert isinstance(default, PricingCase) and default.bill_date == dt.date(2024, 6, 1)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("case", "", "case is empty"),
        ("discom", " ", "discom is empty"),
        ("category", "", "category is empty"),
        ("area", "town", "area “town” is not one of: urban, rural"),
        ("mode", "Prepaid", "mode “Prepaid” is not one of: postpaid, prepaid"),
        ("sanctioned_load_kw", "0", "sanctioned_load_kw “0” is not above 0"),
        ("sanctioned_load_kw", "-2", "not above 0"),
        ("max_demand_kw", "-0.001", "below 0"),
        ("energy_kwh", "-1", "below 0"),
        ("energy_kwh", "1.2345", "more than 3 decimal places"),
        ("energy_kwh", "1e3", "exponent"),
        ("energy_kwh", "", "energy_kwh is empty"),
        ("period_end", "2024-05-01", "not after its start"),
        ("period_end", "2024-04-30", "not after its start"),
        ("period_start", "01-05-2024", "not a date"),
        ("period_end", "2024-06-31", "not in the calendar"),
    ],
)
def test_a_bad_line_is_refused_and_the_others_are_priced(column: str, value: str, reason: str) -> None:
    first, bad, last = read(GOOD, {**GOOD, "case": "R05", column: value}, {**GOOD, "case": "R06"})
    assert isinstance(first, PricingCase) and isinstance(last, PricingCase)
    assert isinstance(bad, RefusedCase) and bad.line == 3
    assert reason in bad.reason


def test_a_bill_before_its_period_is_refused() -> None:
    (bad,) = read({**GOOD, "bill_date": "2024-04-30"}, header=HEADER + ",bill_date")
    assert isinstance(bad, RefusedCase) and "before the period's start" in bad.reason


def test_the_second_of_two_cases_with_one_name_is_refused() -> None:
    first, second = read(GOOD, GOOD)
    assert isinstance(first, PricingCase)
    assert second == RefusedCase(3, "R04", "the case “R04” stands already on line 2.")


def test_a_line_with_too_few_fields_is_refused_by_itself() -> None:
    file = io.BytesIO(f"{HEADER}\nR01,KESCO\n{','.join(GOOD.values())}\n".encode())
    bad, good = read_cases(file)
    assert isinstance(bad, RefusedCase) and "2 fields, the header has 10" in bad.reason
    assert isinstance(good, PricingCase)


def test_a_file_in_doubt_is_refused_whole() -> None:
    with pytest.raises(FormatError, match="the column energy_kwh is missing"):
        read(header=HEADER.removesuffix(",energy_kwh"))
    with pytest.raises(FormatError, match="not UTF-8"):
        list(read_cases(io.BytesIO(HEADER.encode() + b"\nR\xff")))
