"""Hands each message to a gateway: one POST of JSON over https, with a bearer token."""

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

from khata.notices.backends import Answer, Meta

TIMEOUT_SECONDS = 10
_LONGEST_ANSWER = 64 * 1024
_LONGEST_DETAIL = 200
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_REFUSED = {400, 413, 415, 422}  # this message, whoever sends it again; any other error may pass


@dataclass(frozen=True)
class Registered:
    """The content template id and the header under which a text is registered with the operator."""

    dlt_id: str
    header: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take mobile, text and token to another place."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        return None


class Http:
    """`registered` tells under what a message is registered, or None: such a message is refused, as the network would.

    Raises ValueError for an address that is neither https nor on this machine.
    """

    name = "http"

    def __init__(
        self,
        *,
        url: str,
        token: str,
        registered: Callable[[Meta], Registered | None],
        timeout_seconds: int = TIMEOUT_SECONDS,
    ) -> None:
        where = urlsplit(url)
        local = where.hostname in _LOOPBACK
        if not where.hostname or not (where.scheme == "https" or (where.scheme == "http" and local)):
            raise ValueError("the address of the gateway must begin with https://")
        if where.username or where.password:
            raise ValueError("the address of the gateway must not hold a password; give it as the token")
        self.url, self.token, self.registered, self.timeout_seconds = url, token, registered, timeout_seconds
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if local:
            handlers.append(urllib.request.ProxyHandler({}))  # nobody between us and this machine
        self.opener = urllib.request.build_opener(*handlers)

    def send(self, mobile: str, text: str, meta: Meta) -> Answer:
        found = self.registered(meta)
        if found is None:
            what = f"{meta.template} in {meta.language} is not registered for this company"
            return Answer("refused", f"{what}; register it with: khata notices register")
        request = urllib.request.Request(self.url, data=_body(mobile, text, meta, found), method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with self.opener.open(request, timeout=self.timeout_seconds) as answer:
                said = answer.read(_LONGEST_ANSWER)
        except urllib.error.HTTPError as error:
            with error:
                return Answer("refused" if error.code in _REFUSED else "failed", f"the gateway answered {error.code}")
        except (OSError, http.client.HTTPException) as error:  # no route, no answer in time, not HTTP
            return Answer("failed", f"no answer of the gateway: {_reason(error)}")
        return Answer("sent", _reference(said))


def _body(mobile: str, text: str, meta: Meta, registered: Registered) -> bytes:
    """`reference` is the same at each attempt, so that a gateway can tell a repetition."""
    body = {
        "to": f"91{mobile}",
        "text": text,
        "header": registered.header,
        "dlt_template_id": registered.dlt_id,
        "unicode": not text.isascii(),
        "reference": f"khata-{meta.message}",
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _reference(said: bytes) -> str:
    """The gateway's own id of the message, if it gives one. Nothing else of its answer: it may repeat the mobile."""
    try:
        found = json.loads(said)["id"]
    except (ValueError, TypeError, KeyError, IndexError):
        return ""
    text = str(found)
    return f"gateway id {text}" if re.fullmatch(r"[\w.:-]{1,64}", text) and not re.search(r"[6-9]\d{9}", text) else ""


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    return (type(inner).__name__ if not isinstance(inner, OSError) else str(inner) or type(inner).__name__)[
        :_LONGEST_DETAIL
    ]
