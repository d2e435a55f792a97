"""The stronger sign-in: an authenticator app beside the SMS, recovery codes, and a second look at a mobile long silent.

The app's secret stands nowhere: it is derived from a stored nonce and the installation's key, like a code of sign-in.
"""

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.db import connection, transaction
from django_otp.oath import hotp

from khata.consumers.operations import within_limits
from khata.consumers.rules import (
    RECOVERY_ALPHABET,
    RECOVERY_CODES,
    RECOVERY_LENGTH,
    SECOND_TRIES,
    SILENT_DAYS,
    STEP_SECONDS,
    TAIL_TRIES,
    recovery_typed,
)


@dataclass(frozen=True)
class Authenticator:
    """`last_step` is that of the last code taken; `recovery_left` and `made_at` where its owner looks at it."""

    id: uuid.UUID
    nonce: str
    last_step: int
    recovery_left: int = 0
    made_at: dt.datetime | None = None


# -- the app's secret and its codes ------------------------------------------------------------------------------------


def new_nonce() -> str:
    return secrets.token_hex(16)


def secret_of(nonce: str, key: str) -> bytes:
    """The 160 bits that the app keeps. The nonce alone tells nothing of them."""
    return hmac.digest(key.encode(), b"authenticator:" + nonce.encode(), hashlib.sha256)[:20]


def secret_text(nonce: str, key: str) -> str:
    """As a person types it into an app."""
    return base64.b32encode(secret_of(nonce, key)).decode()


def app_link(*, nonce: str, key: str, account: str, issuer: str) -> str:
    """What the QR code holds; `account` names the entry in the app, and is no secret."""
    query = urlencode({"secret": secret_text(nonce, key), "issuer": issuer, "digits": 6, "period": STEP_SECONDS})
    return f"otpauth://totp/{quote(f'{issuer}:{account}')}?{query}"


def step_of(*, nonce: str, typed: str, after: int, now: dt.datetime, key: str) -> int | None:
    """The step whose code this is, of this one and its neighbours; None if of none, or of none after `after`."""
    if not (len(typed) == 6 and typed.isascii() and typed.isdecimal()):
        return None
    this, secret = int(now.timestamp()) // STEP_SECONDS, secret_of(nonce, key)
    for step in (this, this - 1, this + 1):
        if step > after and hmac.compare_digest(f"{hotp(secret, step):06d}", typed):
            return step
    return None


def new_recovery_codes() -> list[str]:
    """Ten codes of fifty bits each, as they are shown once."""
    drawn = ["".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    return [f"{code[:5]}-{code[5:]}" for code in drawn]


def recovery_hash(code: str, key: str) -> str:
    """Keyed, so that the database alone cannot be searched for codes."""
    return hmac.digest(key.encode(), b"recovery:" + code.encode(), hashlib.sha256).hex()


def off_word(nonce: str, key: str) -> str:
    """What switches an authenticator off. The database has its SHA-256: to say it takes the installation's key."""
    return hmac.digest(key.encode(), b"off:" + nonce.encode(), hashlib.sha256).hex()


# -- switching on and off, in the consumer's own scope -----------------------------------------------------------------


def own_authenticator() -> Authenticator | None:
    """Of the mobile of the consumer in whose scope this is asked."""
    with connection.cursor() as cursor:
        cursor.execute("select authenticator, nonce, last_step, recovery_left, made_at from khata.own_authenticator()")
        row = cursor.fetchone()
    return Authenticator(*row) if row else None


def switch_on(*, nonce: str, typed: str, who: str, now: dt.datetime, key: str) -> list[str] | None:
    """With one code of the app as proof that it has the secret; the recovery codes, or None for a wrong code.

    `who` names the person to the limit of tries. None too where an authenticator is on already.
    """
    if not within_limits(f"switch-on:{who}", SECOND_TRIES, now, key):
        return None
    step = step_of(nonce=nonce, typed=typed, after=0, now=now, key=key)
    if step is None:
        return None
    codes = new_recovery_codes()
    hashes = [recovery_hash(recovery_typed(code), key) for code in codes]
    with connection.cursor() as cursor:
        cursor.execute(
            "select khata.switch_on_authenticator(%s, %s, %s, %s, %s)",
            [uuid.uuid4(), nonce, hashes, step, hashlib.sha256(off_word(nonce, key).encode()).hexdigest()],
        )
        ((made,),) = cursor.fetchall()
    return codes if made else None


def switch_off(*, typed: str, now: dt.datetime, key: str) -> bool:
    """Whether it is off now: only with a code of the app or a recovery code."""
    running = own_authenticator()
    if running is None or not prove(authenticator=running, typed=typed, sign_in=None, now=now, key=key):
        return False
    with connection.cursor() as cursor:
        cursor.execute("select khata.switch_off_authenticator(%s)", [off_word(running.nonce, key)])
        ((ended,),) = cursor.fetchall()
    return bool(ended)


@transaction.atomic
def prove(*, authenticator: Authenticator, typed: str, sign_in: uuid.UUID | None, now: dt.datetime, key: str) -> bool:
    """Whether this is a code of the app, not taken before, or a recovery code, which is used up by it.

    The app is that of the mobile that `sign_in` has just proven, or (None) of whoever is signed in.
    Five tries in a quarter of an hour, twenty a day, whichever session they come from.
    """
    if not within_limits(f"second:{authenticator.id}", SECOND_TRIES, now, key):
        return False
    step = step_of(nonce=authenticator.nonce, typed=typed, after=authenticator.last_step, now=now, key=key)
    if step is not None:
        return _asked("select khata.use_step(%s, %s, %s)", authenticator.id, step, sign_in)
    code = recovery_typed(typed)
    return bool(code) and _asked(
        "select khata.use_recovery(%s, %s, %s)", authenticator.id, recovery_hash(code, key), sign_in
    )


def _asked(call: str, *given: str | int | uuid.UUID | None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(call, given)
        ((answer,),) = cursor.fetchall()
    return bool(answer)


# -- what a sign-in still needs after its code -------------------------------------------------------------------------


@dataclass(frozen=True)
class Further:
    """The authenticator to ask for, and whether the mobile may be another person's by now: it was silent since its last
    sign-in or, where there was none, since it came on record.
    """

    authenticator: Authenticator | None
    silent: bool


def asked_further(*, sign_in: uuid.UUID, now: dt.datetime) -> Further | None:
    """For a sign-in whose code has fitted in the last quarter of an hour; None for any other."""
    with connection.cursor() as cursor:
        cursor.execute("select authenticator, nonce, last_step, seen_at from khata.asked_further(%s)", [sign_in])
        row = cursor.fetchone()
    if row is None:
        return None
    running = Authenticator(*row[:3]) if row[0] else None
    return Further(running, row[3] is not None and now - row[3] > dt.timedelta(days=SILENT_DAYS))


def tail_fits(*, typed: str, known: Sequence[str], who: str, now: dt.datetime, key: str) -> bool:
    """Whether these are the last four digits of one of the numbers known: a meter's, a bill's. Five tries a day."""
    if not within_limits(f"tail:{who}", TAIL_TRIES, now, key):
        return False
    tails = {"".join(character for character in number if character.isdecimal())[-4:] for number in known}
    return len(typed) == 4 and typed in tails


def note_signed_in(*, sign_in: uuid.UUID, now: dt.datetime) -> None:
    """From here on the mobile is not silent."""
    with connection.cursor() as cursor:
        cursor.execute("select khata.note_signed_in(%s, %s)", [sign_in, now])
