"""What a consumer's session holds: the connections of a proven mobile, which of them is being looked at."""

from dataclasses import asdict, dataclass

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils.crypto import salted_hmac

KEY = "consumer"


@dataclass(frozen=True)
class Signed:
    """`mobile` is a keyed hash. `connections` are pairs of connection and consumer; `at` is the one being looked at."""

    mobile: str
    connections: tuple[tuple[int, int], ...]
    at: int

    @property
    def connection(self) -> int:
        return self.connections[self.at][0]

    @property
    def consumer(self) -> int:
        return self.connections[self.at][1]


def mobile_hash(mobile_key: str) -> str:
    """A mobile's keyed hash: a session does not tell whose it is, and ends when the connection's mobile changes."""
    return salted_hmac("khata.portal.mobile", mobile_key, secret=settings.SECRET_KEY, algorithm="sha256").hexdigest()


def start(session: SessionBase, signed: Signed) -> None:
    """Begins a consumer's session, with a new id, in place of whatever session there was."""
    session.flush()
    session[KEY] = asdict(signed)


def read(session: SessionBase) -> Signed | None:
    held = session.get(KEY)
    if not held:
        return None
    return Signed(held["mobile"], tuple((one, whose) for one, whose in held["connections"]), held["at"])


def look_at(session: SessionBase, signed: Signed, connection: int) -> bool:
    """Look at another connection of the same mobile; False if it is not one of them."""
    for at, (one, _) in enumerate(signed.connections):
        if one == connection:
            session[KEY] = asdict(Signed(signed.mobile, signed.connections, at))
            return True
    return False
