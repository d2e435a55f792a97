"""The API under /api/v1/: what there is, how it is described, and what an error looks like."""

from functools import cache, wraps
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import ValidationError

from khata.api import bills, meter_data, usage
from khata.api.problems import SCHEMA, ProblemError, not_there

ROOT = "/api/v1/"
_SESSION = {
    "type": "apiKey",
    "in": "cookie",
    "name": "__Host-khata",
    "description": "the session of a consumer who has signed in at /sign-in/",
}
_CREDENTIAL = {"type": "http", "scheme": "bearer", "description": "given to a sender of meter data by the company"}


class Api(NinjaAPI):
    """Django-ninja's, described as it is served here."""

    def get_openapi_schema(self, **_named: Any) -> Any:
        return _described(self)


@cache
def _described(api: NinjaAPI) -> Any:
    """Once for as long as the process lives: anybody may ask for it."""
    found = NinjaAPI.get_openapi_schema(api, path_prefix=ROOT)
    found["components"]["schemas"]["Problem"] = SCHEMA
    found["components"]["securitySchemes"] = {"session": _SESSION, "credential": _CREDENTIAL}
    return found


api = Api(
    title="Khata",
    version="1",
    description="Energy in Wh, demand in W, money in paise, days in Indian time. Errors are problem+json (RFC 9457).",
    docs_url=None,
    urls_namespace="api",
)
for room in (meter_data, usage, bills):
    api.add_router("", room.router)


@api.exception_handler(ProblemError)
def _problem(request: HttpRequest, problem: ProblemError) -> HttpResponse:
    return problem.response()


@api.exception_handler(Http404)
def _not_there(request: HttpRequest, error: Http404) -> HttpResponse:
    return not_there().response()


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Where and why, without the value: it may be somebody's number."""
    first = error.errors[0]
    where = ".".join(str(part) for part in first["loc"][:2])
    detail = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] != "value_error" and get_language() != "en":  # the library's own words, which are English
        detail = _("this value does not fit here")
    return ProblemError(422, "value", detail, where, _("See /api/v1/openapi.json for what stands there")).response()


def _answered(view: Any) -> Any:
    @wraps(view)
    def answered(request: HttpRequest, *args: object, **named: object) -> HttpResponseBase:
        response: HttpResponseBase = view(request, *args, **named)
        if isinstance(response, HttpResponseNotAllowed):
            wrong = _("%(method)s is not what this address is for") % {"method": request.method}
            headers = {"Allow": response["Allow"]}
            instead = _("Use %(methods)s") % {"methods": response["Allow"]}
            return ProblemError(405, "method", wrong, next_step=instead, headers=headers).response()
        return response

    return answered


def _patterns() -> list[URLPattern]:
    found = []
    for pattern in api.urls[0]:
        # The root is only there for links of pages that we do not serve.
        if not isinstance(pattern, URLPattern) or pattern.name == "api-root":
            continue
        view = require_safe(pattern.callback) if pattern.name == "openapi-json" else pattern.callback
        pattern.callback = _answered(view)
        if pattern.name == "send":  # no transaction stays open while a gigabyte comes in
            transaction.non_atomic_requests(pattern.callback)
        found.append(pattern)
    return found


app_name = "api"
urlpatterns = _patterns()
