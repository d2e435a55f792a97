"""Errors as machines read them (RFC 9457, problem+json): what, where, and the next step."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

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


@dataclass(eq=False)
class ProblemError(Exception):
    """It cannot be done as asked. Sentences without a full stop; never a person's number."""

    status: int
    kind: str
    detail: str
    where: str = ""
    next_step: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> HttpResponse:
        told = {
            "type": f"urn:khata:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
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
    return ProblemError(404, "not-there", "there is nothing at this address", next_step="Check the number in it")


def sign_in() -> ProblemError:
    wrong = "this is for a consumer who is signed in"
    return ProblemError(401, "sign-in", wrong, where="cookie", next_step="Sign in at /sign-in/ and send its cookie")


def no_credential() -> ProblemError:
    return ProblemError(
        401,
        "credential",
        "no sender has this credential",
        where="Authorization",
        next_step="Send `Authorization: Bearer` with the credential that the company gave you, or ask for a new one",
        headers={"WWW-Authenticate": 'Bearer realm="meter data"'},
    )


def too_many(seconds: int) -> ProblemError:
    return ProblemError(
        429,
        "too-many",
        "too many requests",
        next_step=f"Try again in {seconds // 60} minutes",
        headers={"Retry-After": str(seconds)},
    )


def told(*statuses: int) -> dict[str, Any]:
    """These answers as OpenAPI describes them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"responses": {each: {"description": HTTPStatus(each).phrase, "content": content} for each in statuses}}
