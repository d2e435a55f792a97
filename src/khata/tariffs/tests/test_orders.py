"""The folder of orders, and the worked examples beside them."""

import datetime as dt
import shutil
from pathlib import Path

import pytest

from khata.kernel.reader import SourceFile
from khata.kernel.tests import oracle
from khata.kernel.tests.orders import INVENTED
from khata.kernel.yaml_text import OrderError
from khata.tariffs.queries import (
    OrderFiles,
    TariffFolderError,
    UnknownDiscomError,
    order_files,
    orders_of,
    read_orders,
)
from khata.tariffs.rules import MONEY, Example, misses, read_examples

REPOSITORY = next(above for above in Path(__file__).resolve().parents if (above / "pyproject.toml").is_file())
TARIFFS = REPOSITORY / "tariffs"
FILES = order_files(TARIFFS)
ORDERS = read_orders(TARIFFS)


def examples(files: OrderFiles) -> list[tuple[Example, int]]:
    assert files.examples, f"{files.path} has no examples"
    found = read_examples(files.examples)
    return [(example, found.tolerance_paise) for example in found.examples]


ALL = [(files.path, example, most) for files in FILES for example, most in examples(files)]


@pytest.mark.parametrize(("order", "example", "most"), ALL, ids=[f"{order}: {each.name}" for order, each, _ in ALL])
def test_an_example_beside_an_order(order: str, example: Example, most: int) -> None:
    company = next(each for each in ORDERS if each.path == order).discoms[0]
    assert misses(example, most, orders_of(ORDERS, company)) == []


@pytest.mark.parametrize(("order", "example", "most"), ALL, ids=[f"{order}: {each.name}" for order, each, _ in ALL])
def test_the_example_holds_without_the_kernel(order: str, example: Example, most: int) -> None:
    given = example.given
    case = oracle.Case(
        given.category,
        given.area,
        given.mode == "prepaid",
        given.period.start,
        given.period.end,
        given.load_w,
        given.demand_w,
        given.energy_wh,
        given.bill_date,
    )
    expected = oracle.bill(case)
    assert ("refused" in expected) == ("refused" in example.words)
    for column, paise in example.paise.items():
        assert abs(int(expected[column]) - paise) <= most, column
    if "schedule" in example.words:
        assert expected["schedule"] == example.words["schedule"]


def test_the_65_real_bills_are_there_with_every_amount() -> None:
    real = [example for _, example, _ in ALL if example.source.startswith("real bill")]
    assert len(real) == 65
    assert all(set(example.paise) == set(MONEY) - {"payable"} for example in real)


def test_an_example_that_does_not_hold_says_how() -> None:
    example = next(example for _, example, _ in ALL if example.name.startswith("Prepaid, 30 of 30"))
    example.paise["duty"] += 1
    try:
        assert misses(example, 0, orders_of(ORDERS, ORDERS[0].discoms[0])) == ["duty is 66.15, not 66.16"]
        assert misses(example, 1, orders_of(ORDERS, ORDERS[0].discoms[0])) == []
    finally:
        example.paise["duty"] -= 1


# -- the folder ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(TARIFFS, tmp_path / "tariffs")
    return tmp_path / "tariffs"


def add(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text(text, encoding="utf-8")


def test_orders_of_a_company_rise_by_their_first_day(folder: Path) -> None:
    add(folder, "anerc/2025-04-01--case-41/schedule.yaml", INVENTED)
    orders = read_orders(folder)
    company = ORDERS[0].discoms[0]
    own = orders_of(orders[::-1], company)
    assert [order.in_force for order in own] == sorted(order.in_force for order in own)
    assert len(own) == len(ORDERS) and own == orders_of(ORDERS, company)
    assert [order.path for order in orders_of(orders, "NADIPUR")] == ["anerc/2025-04-01--case-41"]


def test_an_unknown_company_is_told_which_are_known() -> None:
    with pytest.raises(UnknownDiscomError, match=r"no tariff order names the company 'X'; orders name DVVNL, KESCO"):
        orders_of(ORDERS, "X")
    with pytest.raises(UnknownDiscomError, match="orders name none"):
        orders_of((), "X")


def test_amendments_are_applied_and_part_of_the_hash(folder: Path) -> None:
    shutil.rmtree(next(folder.glob("*/2026-06--fppas")))
    without = read_orders(folder)
    assert [order.sha256 for order in without][-1] == ORDERS[-1].sha256
    assert without[0].sha256 != ORDERS[0].sha256


def test_an_amendment_of_an_order_that_is_not_here_is_an_error(folder: Path) -> None:
    path = next(folder.glob("*/2026-06--fppas")) / "amendment.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("--fy-2025-26", "--fy-2025-27"), encoding="utf-8")
    with pytest.raises(OrderError, match=r"line 2, amendment\.amends: there is no order '\S+--fy-2025-27' to amend"):
        read_orders(folder)


def test_what_is_no_folder_of_orders_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TariffFolderError, match="no such folder"):
        read_orders(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TariffFolderError, match="there is no order"):
        read_orders(tmp_path / "empty")
    add(folder, "anerc/2025-04-01--case-41/shedule.yaml", INVENTED)
    with pytest.raises(TariffFolderError, match=r"neither schedule\.yaml nor amendment\.yaml"):
        read_orders(folder)


def test_hidden_folders_are_left_alone(folder: Path) -> None:
    add(folder, "anerc/.cache/x", "")
    add(folder, ".git/hooks/x", "")
    assert read_orders(folder) == ORDERS


def test_a_file_that_is_not_utf8_is_an_error(folder: Path) -> None:
    (folder / "anerc" / "2025-04-01--case-41").mkdir(parents=True)
    (folder / "anerc" / "2025-04-01--case-41" / "schedule.yaml").write_bytes(b"order:\n  title: caf\xe9\n")
    with pytest.raises(OrderError, match=r"schedule\.yaml, line 2, top: the file is not UTF-8"):
        read_orders(folder)


# -- examples are read as strictly as orders -------------------------------------------------------------------------

EXAMPLE = """\
tolerance: {each: 0.00 INR, because: "none"}
examples:
- name: One
  from: hand computation
  given: {category: LMV-1, area: urban, mode: postpaid, period: 2024-05-01..2024-06-01, sanctioned_load: 2 kW, max_demand: 1 kW, energy: 180 kWh}
  then: {fixed: 165.00, draft: no}
"""  # noqa: E501


def read(text: str) -> Example:
    return read_examples(SourceFile("examples.yaml", text)).examples[0]


def test_an_example_is_read() -> None:
    example = read(EXAMPLE)
    assert example.given.bill_date == dt.date(2024, 6, 1) and example.given.energy_wh == 180_000
    assert (example.words, example.paise) == ({"draft": "no"}, {"fixed": 16_500})


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("fixed: 165.00", "fixed: 165", "'165' is not an amount"),
        ("fixed: 165.00", "fixed: 165.0", "'165.0' is not an amount"),
        ("fixed: 165.00", "fixd: 165.00", "the key 'fixd' is not known"),
        ("{fixed: 165.00, draft: no}", "{}", "nothing is expected"),
        ("energy: 180 kWh", "energy: 180", "'180' is not a quantity in kWh"),
        ("energy: 180 kWh", "energy: 180.0001 kWh", "is not a quantity in kWh"),
        ("energy: 180 kWh", "energy: -1 kWh", "is not a quantity in kWh"),
        ("sanctioned_load: 2 kW", "sanctioned_load: 0 kW", "the sanctioned load is 0"),
        ("mode: postpaid", "mode: credit", "the mode 'credit' is not known"),
        ("2024-05-01..2024-06-01", "2024-06-01..2024-05-01", "ends before it starts"),
        ("2024-05-01..2024-06-01", "2024-05-01 to 2024-06-01", "is not a period"),
        ("2024-05-01..2024-06-01", "2024-05-01..2024-06-31", "'2024-06-31' is not a date"),
        ("  from: hand computation\n", "", "the key 'from' is missing"),
        ("each: 0.00 INR", "each: 0.00", "'0.00' is not an amount"),
    ],
)
def test_a_malformed_example_is_refused(old: str, new: str, what: str) -> None:
    assert EXAMPLE.count(old) == 1
    with pytest.raises(OrderError) as caught:
        read(EXAMPLE.replace(old, new))
    assert what in caught.value.what and caught.value.file == "examples.yaml"
