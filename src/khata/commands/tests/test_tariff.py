"""`khata tariff` price, explain, check and show."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from khata.commands import tariff_price
from khata.commands.main import BAD_INPUT, CHECK_FAILED, DONE, main
from khata.commands.tariff_orders import folder as tariff_folder
from khata.commands.tariff_price import kilowatts, rupees

HEADER = (
    "case,discom,category,area,mode,period_start,period_end,sanctioned_load_kw,max_demand_kw,energy_kwh,bill_date\n"
)
SHOP = "R04,KESCO,LMV-2,urban,postpaid,2026-05-01,2026-06-01,1,1.27,107.37,2026-06-08\n"
SPLIT = "s1,KESCO,LMV-1,urban,postpaid,2026-06-15,2026-07-16,1,0.5,62,2026-07-20\n"
UNPUBLISHED = "u1,KESCO,LMV-1,urban,postpaid,2026-03-01,2026-04-01,1,0.5,62,2026-04-20\n"
REVERSED = "p1,KESCO,LMV-1,urban,postpaid,2026-04-01,2026-03-01,1,0.5,62,2026-04-20\n"


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.csv"
    path.write_text(HEADER + SHOP + SPLIT + UNPUBLISHED + REVERSED, encoding="utf-8")
    return path


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["tariff", *arguments]) == DONE
    return capsys.readouterr().out


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["tariff", *arguments]) == BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    return captured.err


# -- price -----------------------------------------------------------------------------------------------------------


def test_the_columns_of_the_contract(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, shop, *_ = output(capsys, "price", "--input", str(cases), "--output", "-").splitlines()
    assert header == (
        "case,schedule,billable_kw,excess_kw,fixed,excess_fixed,energy,subsidy,minimum_top_up,fppas,duty,rebate,"
        "assessed,payable,draft,refused"
    )
    assert (
        shop
        == "R04,LMV-2 urban up to 4 kW,1.00,0.27,330.00,267.30,805.28,0.00,0.00,140.26,115.71,0.00,1658.55,1658.55,no,"
    )


def test_blocks_do_not_change_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.csv"
    lines = [line.replace("R04", f"c{n}").replace("s1", f"c{n}") for n in range(30) for line in [(SHOP, SPLIT)[n % 2]]]
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    whole = output(capsys, "price", "--input", str(path), "--output", "-")
    monkeypatch.setattr(tariff_price, "_BLOCK", 7)
    assert output(capsys, "price", "--input", str(path), "--output", "-") == whole


def test_one_absurd_case_does_not_take_the_others_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, absurd = tmp_path / "cases.csv", SHOP.replace("107.37", "9000000000000000").replace("R04", "absurd")
    path.write_text(HEADER + SHOP + absurd + SPLIT, encoding="utf-8")
    rows = list(csv.DictReader(output(capsys, "price", "--input", str(path), "--output", "-").splitlines()))
    assert [row["payable"] for row in rows] == ["1658.55", "", "217.26"]
    assert "does not fit into 64 bits" in rows[1]["refused"]


def test_the_output_replaces_an_older_one_whole_and_with_usual_permissions(cases: Path) -> None:
    target = cases.with_name("out.csv")
    target.write_text("old", encoding="utf-8")
    mask = os.umask(0o022)
    try:
        assert main(["tariff", "price", "--input", str(cases), "--output", str(target)]) == DONE
    finally:
        os.umask(mask)
    assert target.read_text(encoding="utf-8").startswith("case,") and target.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in cases.parent.iterdir()) == ["cases.csv", "out.csv"]


def test_the_input_may_be_the_output(cases: Path) -> None:
    assert main(["tariff", "price", "--input", str(cases), "--output", str(cases)]) == DONE
    assert cases.read_text(encoding="utf-8").startswith("case,schedule")


def test_an_older_output_survives_a_refusal(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = cases.with_name("out.csv")
    target.write_text("old", encoding="utf-8")
    cases.write_bytes(cases.read_bytes() + b"\xff\n")
    assert "line 6" in failure(capsys, "price", "--input", str(cases), "--output", str(target))
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in cases.parent.iterdir()) == ["cases.csv", "out.csv"]


def test_a_device_is_written_and_not_replaced(cases: Path) -> None:
    link = cases.with_name("nothing")
    link.symlink_to(os.devnull)
    assert main(["tariff", "price", "--input", str(cases), "--output", str(link)]) == DONE
    assert link.is_symlink() and not Path(os.devnull).is_file()


def test_places_that_cannot_be_read_or_written(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, out = str(cases.with_name("missing.csv")), str(cases.with_name("out.csv"))
    assert "missing.csv: there is no such file" in failure(capsys, "price", "--input", missing, "--output", out)
    for bad in (str(cases.parent / "nowhere" / "out.csv"), str(cases.parent)):
        error = failure(capsys, "price", "--input", str(cases), "--output", bad)
        assert bad in error and "Next step: Name a file" in error
    assert "folder" in failure(capsys, "price", "--input", str(cases), "--output", out, "--tariffs", missing)


def test_help_has_an_example_that_can_be_priced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tariff", "price", "--help"])
    example = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  h1,"))
    path = tmp_path / "cases.csv"
    good_line = example.strip().replace("COMPANY", "KESCO") + "\n"
    path.write_text(HEADER + good_line + good_line.replace("h1,KESCO,LMV-1", "h2,KESCO,LMV-1 urban"), encoding="utf-8")
    good, wrong = csv.DictReader(output(capsys, "price", "--input", str(path), "--output", "-").splitlines())
    assert good["payable"] == "1244.25"
    assert wrong["refused"].endswith("; write LMV-1 in the category and urban in the area")


@pytest.mark.parametrize(
    ("paise", "text"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (-12_345, "-123.45"), (100, "1.00")]
)
def test_rupees(paise: int, text: str) -> None:
    assert rupees(paise) == text


@pytest.mark.parametrize(
    ("centiwatts", "text"), [(0, "0.00"), (75_000, "0.75"), (100_000, "1.00"), (75, "0.00075"), (133_300, "1.333")]
)
def test_kilowatts(centiwatts: int, text: str) -> None:
    assert kilowatts(centiwatts) == text


# -- explain ---------------------------------------------------------------------------------------------------------


def test_explain_says_quantity_rate_amount_and_clause(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(output(capsys, "explain", str(cases), "R04").split())
    assert "Demand above sanctioned load 0.27 kW 990.00 ₹/kW/month 267.30 reading-2 (A)" in text
    assert "2026-06--fppas reading-1 (A)" in text and "payable ₹1,658.55" in text
    assert "ऊर्जा प्रभार" in output(capsys, "explain", str(cases), "R04", "--lang", "hi")


def test_explain_shows_every_part_and_says_draft(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "explain", str(cases), "s1")
    assert "15 June 2026 to 1 July 2026" in text and "2 July 2026 to 15 July 2026" in text
    assert "Monthly charges x 17/31" in text and "Prepaid rebate" not in text
    assert "payable ₹217.26" in text and "draft" in text


def test_explained_steps_make_up_the_lines(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: dict[str, Any] = json.loads(output(capsys, "explain", str(cases), "s1", "--json"))
    assert sum(part["energy_wh"] for part in said["parts"]) == said["energy_wh"] == 62_000
    lines = [line for part in said["parts"] for line in part["lines"]]
    assert sum(line["amount_paise"] for line in lines) == said["payable_paise"] == 21_726
    for line in lines:
        assert all(step["clause"] for step in line["steps"])
        if line["line"] == "energy":
            e7 = sum(step["quantity"] * step["rate_e4"] for step in line["steps"])
            assert e7 == line["amount_paise"] * 100_000
    assert said["draft"] is True and said["refused"] is None


def test_explain_a_case_that_is_not_priced(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Not priced: the FPPAS figure for bills of 2026-04" in output(capsys, "explain", str(cases), "u1")
    said = json.loads(output(capsys, "explain", str(cases), "u1", "--json"))
    assert (said["payable_paise"], said["parts"]) == (None, []) and "2026-04" in said["refused"]
    assert "line 5, case p1: the period ends" in failure(capsys, "explain", str(cases), "p1")
    assert "Did you mean R04?\n" in failure(capsys, "explain", str(cases), "R40")


def test_explain_says_how_wide_the_slabs_of_two_months_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cases.csv"
    path.write_text(HEADER + "m2,KESCO,LMV-1,urban,postpaid,2024-05-01,2024-07-01,2,1.4,382.5,\n", encoding="utf-8")
    text = " ".join(output(capsys, "explain", str(path), "m2").split())
    assert "Up to 150 units × 2 months 300 kWh 1.35 ₹/kWh" in text


# -- check -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tariffs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tariff_folder(None), tmp_path / "tariffs"))


def change(tariffs: Path, pattern: str, old: str, new: str) -> None:
    (path,) = tariffs.glob(pattern)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def checked(tariffs: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    code = main(["tariff", "check", "--tariffs", str(tariffs), "--json"])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert code == (DONE if all(each["ok"] for each in found) else CHECK_FAILED)
    return found


def test_the_repositorys_orders_pass(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "check").splitlines()
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert "all pass" in lines[-1] and "not reviewed by anybody yet" in lines[-1]


def test_every_broken_order_is_told_and_the_others_still_checked(
    tariffs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(tariffs, "*/*--fy-2022-23/schedule.yaml", "6.50 INR/kWh", "6.50")
    change(tariffs, "*/*--fy-2026-27/schedule.yaml", "reviewed_by: none", "reviewed_by: no")
    found = checked(tariffs, capsys)
    assert [each["ok"] for each in found] == [False, False, True, False]
    assert "has not the unit INR/kWh" in found[0]["errors"][0]
    assert "supersedes" in found[1]["errors"][0]
    assert found[2]["examples"] == 67


def test_an_example_that_fails_is_told_with_its_line(tariffs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(tariffs, "*/*--fy-2022-23/examples.yaml", "duty:       66.15", "duty:       66.16")
    (error,) = checked(tariffs, capsys)[0]["errors"]
    assert error.endswith("Prepaid, 30 of 30 days: duty is 66.15, not 66.16") and "examples.yaml, line " in error


def test_dates_and_places_must_agree(tariffs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(tariffs, "*/*--fy-2024-25/schedule.yaml", "from: 2024-10-24", "from: 2025-11-22")
    found = {each["order"].rsplit("--", 1)[1]: " ".join(each["errors"]) for each in checked(tariffs, capsys)}
    assert "the folder says 2024-10-24" in found["fy-2024-25"]
    assert "begins on the same day" in found["fy-2025-26"] and "does not begin before it" in found["fy-2025-26"]


def test_no_folder_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no such folder" in failure(capsys, "check", "--tariffs", str(tmp_path / "nowhere"))


# -- show ------------------------------------------------------------------------------------------------------------


def test_show_as_printed_has_every_number_with_its_clause(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", "--as-printed", "--on", "2026-06-30")
    assert "FY 2025-26" in text and "Not reviewed by anybody yet" in text
    for expected in (
        "6.85 INR/kWh",
        "-3.30 INR/kWh",
        "475.00 INR/kW/month",
        "October to March",
        "3 × fixed",
        "-1.52 %",
    ):
        assert expected in text
    assert "load up to 1 kW, energy up to 100 kWh/month" in text and "reading-11 [A]" in text


def test_show_finds_orders_and_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    assert "FY 2026-27" in output(capsys, "show")
    assert "FY 2024-25" in output(capsys, "show", "--on", "2025-11-21", "--discom", "KESCO")
    assert "LMV-2 rural: for LMV-2, rural area" in output(capsys, "show", "lmv-2 RURAL")
    assert output(capsys, "show", "LMV-2").count("Electricity duty") == 3
    said = json.loads(output(capsys, "show", "LMV-1 urban", "--json"))
    assert [line["kind"] for line in said["schedules"][0]["lines"]][:2] == ["PerLoad", "ExcessDemand"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("LMV-1 urbn",), "Did you mean LMV-1 urban or LMV-1 rural?\n"),
        (("LMV-9",), "there is no schedule 'LMV-9'"),
        (("--on", "2022-07-31"), "no order was in force on 2022-07-31"),
        (("--on", "31.7.2022"), "is not a date"),
        (("--discom", "X"), "no tariff order names the company 'X'"),
        (("--order", "x"), "there is no order 'x'"),
    ],
)
def test_show_says_what_it_cannot_find(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in failure(capsys, "show", *arguments)
