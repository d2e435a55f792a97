"""`khata usage` as an operator calls it: what a connection used, whatever meters hung there."""

import json

import numpy as np
import pytest

from khata.commands.main import main
from khata.discoms.models import Discom
from khata.metering.models import MeterDay
from khata.metering.operations import NewDays, take_days
from tests.cast import ASHA, CHARAN, Hung, Town, Usage, day, hang_up, town
from tests.database import Database

BLOCKS = [100 + n for n in range(48)]


@pytest.fixture(scope="module")
def built(module_database: Database) -> Town:
    """Asha's meter is changed on 20 May; the last day of May has half-hours, two of them in the dark."""
    made = town((ASHA.with_(meters=(Hung("OLD", usage=(Usage("2024-05-01", (8_000,) * 19),)),)), CHARAN))
    hang_up(
        made,
        "Asha",
        Hung("NEW", since="2024-05-20", usage=(Usage("2024-05-20", (5_000,) * 10),)),
        Discom.objects.get(code="KESCO"),
    )
    days = NewDays(
        np.array([made.meters["NEW"]]),
        np.array(["2024-05-31"], "datetime64[D]"),
        np.array([sum(BLOCKS)]),
        np.array([-1]),
        np.array([900]),
        np.array([BLOCKS], np.int32),
        np.array([0b11]),
    )
    take_days(days=days, sender="test", today=day("2024-06-20"))
    made.run("2024-06")
    return made


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHATA_TODAY", "2024-06-20")


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["usage", *arguments, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_both_meters_days_are_told_with_their_half_hours(built: Town, capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(capsys, built.accounts["Asha"], "--from", "2024-05-19", "--to", "2024-05-31")
    rows = {row["day"]: row for row in answer["days"]}  # type: ignore[attr-defined]
    assert (len(rows), answer["days_known"], answer["days_missing"]) == (13, 12, 1)
    assert answer["total_wh"] == 8_000 + 10 * 5_000 + sum(BLOCKS) == sum(r["total_wh"] or 0 for r in rows.values())
    last, gap = rows["2024-05-31"], rows["2024-05-30"]
    assert (last["blocks_wh"], last["off"], last["origin"], last["origins"]) == (BLOCKS, [1, 2], "actual", "A" * 48)
    assert (gap["stored"], gap["total_wh"], gap["blocks_wh"], gap["origins"]) == (False, None, [None] * 48, "-" * 48)
    assert rows["2024-05-20"]["origins"] == "-" * 48


def test_the_old_number_finds_the_same_and_an_estimate_says_its_rule(
    built: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    (stored,) = MeterDay.objects.filter(meter=built.meters["OLD"], day="2024-05-02")
    stored.revision, stored.origin, stored.rule, stored.total_wh = 1, 2, "EST-01", 7_500
    stored.save(force_insert=True)
    (row,) = asked(capsys, "1234567", "--from", "2024-05-02", "--to", "2024-05-02")["days"]  # type: ignore[misc]
    assert (row["total_wh"], row["origin"], row["rule"]) == (7_500, "estimated", "EST-01")


def test_the_rupees_of_the_days_add_up_and_words_are_hindi(built: Town, capsys: pytest.CaptureFixture[str]) -> None:
    account = built.accounts["Asha"]
    whole = asked(capsys, account, "--from", "2024-05-01", "--to", "2024-05-31", "--rupees")
    assert whole["total_paise"] == sum(row["paise"] for row in whole["days"]) > 0  # type: ignore[attr-defined]
    part = asked(capsys, account, "--from", "2024-05-10", "--to", "2024-05-12", "--rupees")
    assert part["days"] == whole["days"][9:12]  # type: ignore[index]
    assert main(["usage", account, "--from", "2024-05-29", "--to", "2024-05-31"]) == 0
    said = capsys.readouterr().out
    assert "2024-05-30  दर्ज नहीं" in said
    assert "1 घंटे बिजली नहीं" in said
    assert said.splitlines()[-1] == "1 दिन दर्ज नहीं"


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["9999999999", "--from", "2024-05-01", "--to", "2024-05-02"], "no connection has this number"),
        (["x", "--from", "2024-05-01", "--to", "2024-05-02"], "not a digit"),
        (["1234567", "--from", "2024-05-03", "--to", "2024-05-02"], "the first day comes after the last"),
        (["1234567", "--from", "2020-05-03", "--to", "2024-05-02"], "more than 800 days"),
    ],
)
def test_what_cannot_be_answered_says_the_next_step(
    built: Town, capsys: pytest.CaptureFixture[str], arguments: list[str], wrong: str
) -> None:
    assert main(["usage", *arguments]) == 2
    said = capsys.readouterr().err
    assert (wrong in said, "Next step" in said) == (True, True)
