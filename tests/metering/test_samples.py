"""Every real sample of meter data through `khata deliveries load`: its documented flaws are found, and nothing else.

The samples lie outside the product; without them these tests are skipped. All are loaded once for all tests (13 s),
every row of them. `KHATA_WRITE_SAMPLES=1` writes the table of docs/algorithms/real-samples.md anew.
"""

import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from tests.cast import REPOSITORY
from tests.database import Database
from tests.metering import sample_sums
from tests.metering.real_samples import INTERCHANGE, SAMPLES, TODAY, Outcome, load_all, table

PAGE = REPOSITORY / "docs" / "algorithms" / "real-samples.md"
WRITE = "KHATA_WRITE_SAMPLES"
NEM12, ESPI, SUPPLIER = "interchange/nem12/", "interchange/espi/", "interchange/supplier_csv/"
INDIAN, HALVES = "india/ceew_daily_kwh.csv.gz", "india/ceew_bareilly_30min_2019.csv"
AUSTRALIAN, SWISS = "other/sgsc_au_30min.parquet", "other/swiss_30min.parquet"
FRENCH = "other/uci_household_30min.csv.gz"
FIVE = "5446AF3F"
SAN_DIEGO = "335b9e89-8868-472a-8f10-08894e8147fb"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples are not on this machine")


@dataclass(frozen=True)
class Row:
    """What is expected of a file. Nothing is superseded by another: each day is there once."""

    rows: int
    accepted: int
    superseding: int = 0
    repeated: int = 0
    quarantined: int = 0
    which: str = ""
    noted: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(f"{cell:,}" if isinstance(cell, int) else cell for cell in astuple(self))


NO_HEADER = ("", "", "", "", "", "the whole file is refused: line 2: the header (100) is missing.", "")
EXPECTED: dict[str, Row | tuple[str, ...]] = {
    # 48 values under an interval length of 15 minutes, 96 under 30
    NEM12 + "invalid_15min_200_30min_300.csv": Row(1, 0, quarantined=1, which="VAL-06 line 3"),
    NEM12 + "invalid_30min_200_15min_400.csv": Row(1, 0, quarantined=1, which="VAL-06 line 3"),
    # one day of four has no values at all; the three beside it stand
    NEM12 + "invalid_incomplete_interval.csv": Row(4, 3, quarantined=1, which="VAL-06 line 3"),
    NEM12 + "invalid_missing_header.csv": NO_HEADER,
    NEM12 + "invalid_powercor_missing_fields.csv": NO_HEADER,
    NEM12 + "nem12_15_and_30min_mixed.csv": Row(4, 4),
    NEM12 + "nem12_15min_many_reason_codes.csv": Row(2, 2),
    NEM12 + "nem12_30min_actual.csv": Row(4, 4),
    NEM12 + "nem12_30min_broken_lines_as_published.csv": Row(7, 7),
    NEM12 + "nem12_30min_estimated_E52_final_F52.csv": Row(3, 3),
    NEM12 + "nem12_30min_estimates_and_500_register_reads.csv": Row(7, 7),
    # its publisher copied the second half of 28 March 2005 into the 29th
    NEM12 + "nem12_30min_null_data_N.csv": Row(9, 9, noted="VAL-22 1: 10184 1"),
    NEM12 + "nem12_30min_substituted_S11_S52_F52.csv": Row(2, 2),
    NEM12 + "nem12_30min_variable_quality_V_400.csv": Row(8, 8),
    # registers of quality E62 and S62: they were not read
    NEM12 + "nem13_four_registers_two_550.csv": Row(4, 2, quarantined=2, which="VAL-08 lines 4, 6"),
    NEM12 + "nem13_six_registers.csv": Row(6, 2, quarantined=4, which="VAL-08 lines 4, 5, 6, 7"),
    NEM12 + "nem13_three_registers_reversal_550.csv": Row(4, 4),
    ESPI + "usage_feed_small.xml": Row(1, 1),
    # the small feed's day again; and the day on which summer time begins, of 23 hours
    ESPI + "usage_feed_large.xml.gz": Row(14, 12, repeated=1, quarantined=1, which="VAL-06 line 8960"),
    # the days of 23 and 25 hours
    ESPI + "sdge_hourly_year.xml.gz": Row(364, 362, quarantined=2, which="VAL-06 lines 6980, 48623"),
    # the day on which summer time ends, of 50 half-hours, import and export
    SUPPLIER + "fluvius_15min_totals.csv.gz": Row(40, 38, quarantined=2, which="VAL-06 lines 3848, 3849"),
    SUPPLIER + "enel_15min_matrix_2024-09.csv": Row(30, 30),
    # VAL-14: the laid registers turn over once. The others: the page gives the reason of each.
    INDIAN: Row(
        31_724,
        31_724,
        noted="VAL-14 63: 63 meters; VAL-16 10: BR19 7, BR20 3; "
        "VAL-17 112: BR02 1, BR04 1, BR07 24, BR15 10, BR19 22, BR20 3, BR23 5, BR24 4, BR31 31, BR34 1, BR52 1, "
        "MH02 2, MH07 2, MH24 5; VAL-18 2: BR42 2",
    ),
    HALVES: Row(21, 21, noted="VAL-21 1: HBR24 1"),  # the real case: 50.000 Hz at 280-308 V
    # the two homes with thousands of zero half-hours
    AUSTRALIAN: Row(4_097, 4_097, noted="VAL-17 1: SGSC-10017936 1; VAL-18 30: SGSC-10006704 13, SGSC-10017994 17"),
    # VAL-05: the home with 230 kWh in a half-hour. VAL-16: the rest of the 662 half-hours above 20 kWh. VAL-18: three
    # empty homes, and one that was left in December. VAL-17: ten homes whose heating comes on.
    SWISS: Row(
        8_330,
        8_317,
        quarantined=13,
        which="VAL-05 13: CH-2046645 13",
        noted="VAL-16 70: CH-2046645 18, CH-4952170 41, CH-8214623 11; VAL-17 55: CH-1513097 5, CH-1604352 10, "
        "CH-2367900 2, CH-2545699 3, CH-2654080 1, CH-3509288 13, CH-3541772 2, CH-5033229 4, CH-5394240 4, "
        "CH-8502512 11; VAL-18 10: CH-3487292 1, CH-5219426 1, CH-7761776 1, CH-8685145 7",
    ),
    # VAL-22: the days that its giver's package filled with the day before. VAL-17: back from the holidays of 2008.
    FRENCH: Row(731, 731, noted="VAL-17 26: FR-1 26; VAL-22 3: FR-1 3"),
}


@pytest.fixture(scope="module")
def outcomes(module_database: Database) -> Iterator[dict[str, Outcome]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KHATA_TODAY", TODAY)
        yield load_all()


def test_every_file_of_the_folder_is_loaded_or_holds_no_meter_data(outcomes: dict[str, Outcome]) -> None:
    there = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*") if path.is_file()}
    other = {name for name in there if name.endswith((".md", ".xsd")) or name.startswith(("bills/", "lists/"))}
    assert there - other == outcomes.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_what_becomes_of_its_rows(name: str, outcomes: dict[str, Outcome]) -> None:
    expected = EXPECTED[name]
    assert outcomes[name].cells == (expected.cells if isinstance(expected, Row) else expected)


def days(outcome: Outcome, rule: str, meter: str) -> list[str]:
    return [day for found, serial, day in outcome.noted if (found, serial) == (rule, meter)]


def test_flaws_that_the_source_names_are_found_on_their_days(outcomes: dict[str, Outcome]) -> None:
    indian, french = outcomes[INDIAN], outcomes[FRENCH]
    assert days(indian, "VAL-17", "BR20") == ["2020-01-16", "2020-01-17", "2020-01-18"]  # 42.6, 39.3, 39.2 kWh
    assert days(indian, "VAL-17", "BR34") == ["2019-08-05"]  # back at a fifth of what it was
    assert (
        len([day for day in days(indian, "VAL-17", "BR31") if "2020-06" <= day <= "2020-11"]) == 20
    )  # its runs of 25-45 kWh
    assert days(indian, "VAL-18", "BR42") == ["2019-11-15", "2020-02-16"]  # the thirtieth day of zeros
    assert days(outcomes[HALVES], "VAL-21", "HBR24") == ["2019-12-04"]
    assert days(french, "VAL-22", "FR-1") == ["2007-04-28", "2007-04-29", "2007-04-30"]
    assert {day[:7] for day in days(french, "VAL-17", "FR-1")} == {"2008-09"}


SUMMED = [name for name in INTERCHANGE if "nem12_" in name]


@pytest.mark.parametrize("name", SUMMED)
def test_nem12_stands_there_as_a_naive_reading_sums_it(name: str, outcomes: dict[str, Outcome]) -> None:
    sums = sample_sums.nem12(SAMPLES / name)
    assert outcomes[name].stored == sums and any(sums.values())


def test_registers_of_nem13_are_the_sums_of_their_dials(outcomes: dict[str, Outcome]) -> None:
    found = {name: outcome.readings for name, outcome in outcomes.items() if "nem13" in name}
    assert found == {
        NEM12 + "nem13_four_registers_two_550.csv": {
            ("15082", "2004-04-15"): (6_427 + 38_969) * 1_000,
            ("15082", "2004-06-09"): (6_858 + 38_972) * 1_000,
        },
        NEM12 + "nem13_six_registers.csv": {
            ("18142", "2004-12-12"): (6_100 + 38_959) * 1_000,
            ("18142", "2005-02-15"): (6_427 + 38_969) * 1_000,
        },
        NEM12 + "nem13_three_registers_reversal_550.csv": {
            ("16111", "2004-07-01"): 239_000,
            ("16111", "2004-10-01"): 766_000,
            ("16111", "2005-01-01"): 1_276_000,
            ("16111", "2005-04-01"): 1_852_000,
        },
    }


def test_feeds_and_exports_stand_there_as_a_naive_reading_sums_them(outcomes: dict[str, Outcome]) -> None:
    small, large = SAMPLES / ESPI / "usage_feed_small.xml", SAMPLES / ESPI / "usage_feed_large.xml.gz"
    year, fluvius = SAMPLES / ESPI / "sdge_hourly_year.xml.gz", SAMPLES / SUPPLIER / "fluvius_15min_totals.csv.gz"
    enel = SAMPLES / SUPPLIER / "enel_15min_matrix_2024-09.csv"
    east, west = "America/New_York", "America/Los_Angeles"
    # of 8 February 2011 the year lacks eight hours: hours give a day's total or nothing
    broken = ("2011-02-08", "2011-03-13", "2011-11-06")
    sums = sample_sums
    expected = {
        small.name: sums.espi(small, meter=FIVE, zone=east, without=()),
        large.name: sums.espi(small, large, meter=FIVE, zone=east, without=("2012-03-11",)),
        year.name: sums.espi(year, meter=SAN_DIEGO, zone=west, without=broken),
        fluvius.name: sums.fluvius(fluvius, without=("31-10-2021",)),
        enel.name: sums.enel(enel, "ENEL-1"),
    }
    assert {Path(name).name: outcomes[name].stored for name in outcomes if Path(name).name in expected} == expected


def test_homes_stand_there_as_a_naive_reading_sums_them(outcomes: dict[str, Outcome]) -> None:
    impossible = {(meter, day) for _, _, meter, day in outcomes[SWISS].quarantined}
    assert len(impossible) == 13
    for name in (INDIAN, HALVES, AUSTRALIAN, SWISS, FRENCH):
        assert outcomes[name].stored == sample_sums.homes(SAMPLES / name, without=impossible), name


def test_the_page_shows_what_was_found(outcomes: dict[str, Outcome]) -> None:
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    before, _, rest = PAGE.read_text("utf-8").partition(begin)
    shown, _, after = rest.partition(end)
    if os.environ.get(WRITE):
        PAGE.write_text(before + begin + table(outcomes) + end + after, "utf-8")
    else:
        assert shown == table(outcomes), f"Next step: {WRITE}=1 .venv/bin/python -m pytest -n0 {__file__}"
