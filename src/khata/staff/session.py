"""What a staff session holds: the person, the post chosen, and when it was last used. It ends when it lies idle."""

from dataclasses import dataclass

from django.contrib.sessions.backends.base import SessionBase

KEY = "staff"
IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 10 * 3600  # a working day, lunch included
_TOUCH_SECONDS = 60  # how exactly the last use is written down


@dataclass(frozen=True)
class SignedIn:
    staff: int
    post: int | None  # None: of several posts none is chosen yet


def start(session: SessionBase, *, staff: int, post: int | None, at: float) -> None:
    """Begins a staff session, with a new id, in place of whatever session there was. `at`: seconds since 1970."""
    session.flush()
    session[KEY] = {"staff": staff, "post": post, "since": at, "seen": at}
    session.set_expiry(LONGEST_SECONDS)


def choose(session: SessionBase, *, post: int) -> None:
    session[KEY] = {**session[KEY], "post": post}


def read(session: SessionBase, *, at: float) -> SignedIn | None:
    """Who is signed in; a session that lay idle, or is older than a working day, is ended."""
    held = session.get(KEY)
    if not held:
        return None
    if at - held["seen"] > IDLE_SECONDS or at - held["since"] > LONGEST_SECONDS:
        session.flush()
        return None
    if at - held["seen"] > _TOUCH_SECONDS:
        session[KEY] = {**held, "seen": at}
    return SignedIn(held["staff"], held["post"])
