"""Errors as machines read them (RFC 9457, problem+json): what, where, and the next step."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

ROOT = "/api/"  # below it errors are told like this
MEDIA_TYPE = "application/problem+json"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "where", "next"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "description": "a name of this kind of problem that does not change"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong"},
        "where": {"type": "string", "description": "at which value, line or file; empty for the whole request"},
        "next": {"type": "string", "description": "what to do"},
    },
}


_TITLES = {
    400: gettext_lazy("Bad Request"),
    401: gettext_lazy("Unauthorized"),
    404: gettext_lazy("Not Found"),
    405: gettext_lazy("Method Not Allowed"),
    408: gettext_lazy("Request Timeout"),
    409: gettext_lazy("Conflict"),
    411: gettext_lazy("Length Required"),
    413: gettext_lazy("Request Entity Too Large"),
    415: gettext_lazy("Unsupported Media Type"),
    422: gettext_lazy("Unprocessable Entity"),
    429: gettext_lazy("Too Many Requests"),
    500: gettext_lazy("Internal Server Error"),
    503: gettext_lazy("Service Unavailable"),
}


@dataclass(eq=False)
class ProblemError(Exception):
    """It cannot be done as asked. Sentences in the asker's language, without a full stop; never a person's number."""

    status: int
    kind: str
    detail: str
    where: str = ""
    next_step: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> HttpResponse:
        told = {
            "type": f"urn:khata:problem:{self.kind}",
            "title": str(_TITLES.get(self.status) or HTTPStatus(self.status).phrase),
            "status": self.status,
            "detail": self.detail,
            "where": self.where,
            "next": self.next_step,
        }
        answer = HttpResponse(json.dumps(told), status=self.status, content_type=MEDIA_TYPE, headers=dict(self.headers))
        answer["Cache-Control"] = "no-store"
        return answer


def not_there() -> ProblemError:
    """The one answer for what does not exist and for what is somebody else's."""
    return ProblemError(404, "not-there", _("there is nothing at this address"), next_step=_("Check the number in it"))


def sign_in() -> ProblemError:
    wrong = _("this is for a consumer who is signed in")
    return ProblemError(401, "sign-in", wrong, where="cookie", next_step=_("Sign in at /sign-in/ and send its cookie"))


def no_credential() -> ProblemError:
    return ProblemError(
        401,
        "credential",
        _("no sender has this credential"),
        where="Authorization",
        next_step=_("Send `Authorization: Bearer` with the credential that the company gave you, or ask for a new one"),
        headers={"WWW-Authenticate": 'Bearer realm="meter data"'},
    )


def too_many(seconds: int) -> ProblemError:
    return ProblemError(
        429,
        "too-many",
        _("too many requests"),
        next_step=_("Try again in %(minutes)s minutes") % {"minutes": seconds // 60},
        headers={"Retry-After": str(seconds)},
    )


def told(*statuses: int) -> dict[str, Any]:
    """These answers as OpenAPI describes them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"responses": {each: {"description": HTTPStatus(each).phrase, "content": content} for each in statuses}}
