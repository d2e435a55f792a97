"""Payments: never before the bill, never after today, never of nothing."""

import datetime as dt

import numpy as np

from khata.rehearsal.counters import Payments, payments

BILL, DUE = dt.date(2024, 6, 8), dt.date(2024, 6, 23)


def made(due: np.ndarray, today: dt.date) -> Payments:
    count = len(due)
    return payments(
        due_paise=due,
        account=[f"{number:010d}" for number in range(count)],
        old=["0012345"] * count,
        bill_date=BILL,
        due_date=DUE,
        today=today,
        rng=np.random.default_rng(5),
    )


def test_people_pay_between_the_bill_and_today() -> None:
    paid = made(np.full(2_000, 123_456), dt.date(2024, 6, 20))
    assert paid.day.min() == np.datetime64(BILL)
    assert paid.day.max() == np.datetime64("2024-06-20")
    assert (np.diff(paid.day).astype(int) >= 0).all()


def test_most_pay_in_full_some_round_up_some_pay_a_part_some_nothing() -> None:
    paid = made(np.full(2_000, 123_456), DUE)
    amounts, counts = np.unique(paid.amount_paise, return_counts=True)
    assert amounts.tolist() == [61_000, 123_456, 130_000]
    assert 0.78 < len(paid.bill) / 2_000 < 0.92
    assert counts[1] > counts[0] + counts[2]


def test_who_owes_nothing_pays_nothing() -> None:
    assert len(made(np.array([0, -500, 0] * 50), DUE).bill) == 0


def test_what_was_typed_means_what_it_matched() -> None:
    paid = made(np.full(2_000, 123_456), DUE)
    assert all(typed.replace(" ", "") == matched for typed, matched in zip(paid.typed, paid.matched, strict=True))
    assert "0012345" in paid.matched
    assert any(" " in typed for typed in paid.typed)
