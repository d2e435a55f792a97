"""What a consumer's session holds: the connections of a proven mobile, which of them is being looked at."""

import time
import uuid
from dataclasses import asdict, dataclass, replace

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils.crypto import salted_hmac

KEY = "consumer"
FRESH_SECONDS = 15 * 60  # so long after a sign-in what makes an account harder to get back may be done
_SINCE = "signed-in-at"


@dataclass(frozen=True)
class Signed:
    """`mobile` is a keyed hash. `connections` are pairs of connection and consumer; `at` is the one being looked at.

    `views` are pairs of view and connection that holders gave to this mobile; in `at` they come after the own ones.
    """

    mobile: str
    connections: tuple[tuple[int, int], ...]
    at: int
    views: tuple[tuple[str, int], ...] = ()

    @property
    def view(self) -> uuid.UUID | None:
        """By which view this looks at somebody else's connection; None at an own one."""
        beyond = self.at - len(self.connections)
        return uuid.UUID(self.views[beyond][0]) if beyond >= 0 else None

    @property
    def connection(self) -> int:
        if self.view:
            return self.views[self.at - len(self.connections)][1]
        return self.connections[self.at][0]

    @property
    def consumer(self) -> int | None:
        """Of an own connection; at somebody else's there is none."""
        return None if self.view else self.connections[self.at][1]

    def proves(self, mobile_key: str) -> bool:
        """Whether this is the mobile that signed in."""
        return mobile_hash(mobile_key) == self.mobile

    @property
    def several(self) -> bool:
        return len(self.connections) + len(self.views) > 1


def mobile_hash(mobile_key: str) -> str:
    """A mobile's keyed hash: a session does not tell whose it is, and ends when the connection's mobile changes."""
    return salted_hmac("khata.portal.mobile", mobile_key, secret=settings.SECRET_KEY, algorithm="sha256").hexdigest()


def start(session: SessionBase, signed: Signed) -> None:
    """Begins a consumer's session, with a new id, in place of whatever session there was."""
    session.flush()
    session[KEY] = asdict(signed)
    session[_SINCE] = time.time()


def is_fresh(session: SessionBase) -> bool:
    """Whether this sign-in was proven just now: an open session may be in a hand that only found the phone."""
    since: float = session.get(_SINCE, 0)
    return 0 <= time.time() - since <= FRESH_SECONDS


def read(session: SessionBase) -> Signed | None:
    held = session.get(KEY)
    if not held:
        return None
    views = tuple((view, one) for view, one in held.get("views", ()))
    return Signed(held["mobile"], tuple((one, whose) for one, whose in held["connections"]), held["at"], views)


def without_view(session: SessionBase, signed: Signed) -> Signed | None:
    """What is left when the view being looked by was taken back: the first of the others, or nothing."""
    left = tuple(pair for pair in signed.views if pair[0] != str(signed.view))
    if not signed.connections and not left:
        session.flush()
        return None
    kept = replace(signed, at=0, views=left)
    session[KEY] = asdict(kept)
    return kept


def look_at(session: SessionBase, signed: Signed, connection: int) -> bool:
    """Look at another connection that the same mobile opens; False if it is not one of them."""
    for at, one in enumerate([*(one for one, _ in signed.connections), *(one for _, one in signed.views)]):
        if one == connection:
            session[KEY] = asdict(replace(signed, at=at))
            return True
    return False
