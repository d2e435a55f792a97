"""Account numbers of ten digits: drawn for accounts, and kept where a company brings its own."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
from django.db import connection as session
from django.db import transaction

from khata.consumers.rules import Draw, with_check_digit

BATCH = 20_000  # accounts in one transaction
_MOST_ROUNDS = 100  # with nine hundred million numbers, a second round is rare and a third one a fault


class NumbersError(RuntimeError):
    """The draw gives nothing but numbers that are taken."""


def allocate(*, discom: int, accounts: Sequence[str], draw: Draw, now: dt.datetime) -> list[str]:
    """The number of each account of a company, in their order; one that has a number keeps it for ever.

    Each batch is committed by itself, so what a killed process drew is found again. Several processes may draw at once,
    for other accounts or the same ones. Not inside a transaction.
    """
    found: dict[str, str] = {}
    wanted = sorted(set(accounts))  # in one order: two that draw for the same accounts wait for each other, at worst
    for start in range(0, len(wanted), BATCH):
        with transaction.atomic(durable=True):
            found |= issue(discom=discom, accounts=wanted[start : start + BATCH], draw=draw, now=now)
    return [found[account] for account in accounts]


def issue(*, discom: int, accounts: Sequence[str], draw: Draw, now: dt.datetime) -> dict[str, str]:
    """The numbers of different accounts, by account, in the caller's transaction."""
    found = _issued(discom, accounts)
    for _ in range(_MOST_ROUNDS):
        missing = [account for account in accounts if account not in found]
        if not missing:
            return found
        # A number that is taken, and an account that somebody else serves just now, are both passed over.
        found |= {account: number for number, account in _insert(discom, missing, draw, now)}
        found |= _issued(discom, [account for account in missing if account not in found])
    raise NumbersError("no free account number was drawn")


def issue_unnamed(*, discom: int, count: int, draw: Draw, now: dt.datetime) -> list[str]:
    """Numbers for connections that had none before, in the caller's transaction."""
    found: list[str] = []
    for _ in range(_MOST_ROUNDS):
        if len(found) == count:
            return found
        found += [number for number, _ in _insert(discom, [""] * (count - len(found)), draw, now)]
    raise NumbersError("no free account number was drawn")


def _issued(discom: int, accounts: Sequence[str]) -> dict[str, str]:
    query = "select account, number from consumers_issuednumber where discom_id = %s and account = any(%s)"
    with session.cursor() as cursor:
        cursor.execute(query, [discom, list(accounts)])
        return dict(cursor.fetchall())


def _insert(discom: int, accounts: Sequence[str], draw: Draw, now: dt.datetime) -> list[tuple[str, str]]:
    """Pairs of number and account, of those that were free."""
    numbers = with_check_digit(draw(len(accounts))).astype(np.str_).tolist()
    statement = """
        insert into consumers_issuednumber (number, discom_id, account, issued_at)
        select number, %s, coalesce(nullif(account, ''), number), %s
        from unnest(%s::text[], %s::text[]) as q(number, account)
        on conflict do nothing returning number, account"""
    with session.cursor() as cursor:
        cursor.execute(statement, [discom, now, numbers, list(accounts)])
        return [(number, account) for number, account in cursor.fetchall()]


@transaction.atomic
def keep_numbers(*, discom: int, numbers: Sequence[str], now: dt.datetime) -> set[str]:
    """Keep ten-digit numbers that a company brings along; returns those that are already somebody else's.

    Such a number stands for itself as the account; the same company may bring it again.
    """
    keep = """
        insert into consumers_issuednumber (number, discom_id, account, issued_at)
        select distinct number, %s, number, %s::timestamptz from unnest(%s::text[]) as q(number) order by number
        on conflict do nothing"""
    others = (
        "select number from consumers_issuednumber where number = any(%s) and (discom_id <> %s or account <> number)"
    )
    with session.cursor() as cursor:
        cursor.execute(keep, [discom, now, list(numbers)])
        cursor.execute(others, [list(numbers), discom])
        return {number for (number,) in cursor.fetchall()}
