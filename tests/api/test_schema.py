"""The API against its own description: whatever is asked, the answer is one that openapi.json names (schemathesis)."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
import schemathesis.engine
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, override_settings
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events
from werkzeug.serving import WSGIRequestHandler, make_server

from khata.api import meter_data, own
from khata.metering.senders import add_sender
from tests.database import Database
from tests.portal.scene import TODAY, Scene, web

_WSGI = WSGIHandler()
_OPENAPI = "/api/v1/openapi.json"


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Over https, as in earnest, and not packed: whoever asks here does not unpack."""
    said = {**environ, "wsgi.url_scheme": "https", "HTTP_HOST": "localhost", "HTTP_ACCEPT_ENCODING": "identity"}
    return _WSGI(said, start_response)


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[None]:
    """Over a socket: some checks ask again, and know no other way. In this process, so that its limits can wait."""
    server = make_server("127.0.0.1", 0, app, request_handler=Quiet)
    described.site = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def scene(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database)
    made.credential = add_sender(code="MDC1", name="Company", actor="test")  # type: ignore[attr-defined]
    spool = tmp_path_factory.mktemp("spool")
    with web(module_database), override_settings(KHATA_SPOOL=spool), pytest.MonkeyPatch.context() as patient, serving():
        for module, name in ((own, "MOST"), (meter_data, "UPLOADS"), (meter_data, "LOOKS"), (meter_data, "WRONG")):
            patient.setattr(module, name, 1_000_000)
        yield made
    del os.environ["KHATA_TODAY"]


def described(
    proof: dict[str, dict[str, str]], parameters: dict[str, object], *, coverage: bool = True, stateful: bool = False
) -> Any:
    config = SchemathesisConfig.from_dict(
        {
            "auth": {"openapi": proof},
            "parameters": parameters,
            "generation": {"max-examples": 3, "deterministic": True},
            "phases": {"coverage": {"enabled": coverage}, "stateful": {"enabled": stateful}},
            # A form that is not known is told so by 415, a length that is not said by 411.
            "checks": {
                "negative_data_rejection": {"expected-statuses": [400, 401, 404, 405, 409, 411, 415, 422]},
                "positive_data_acceptance": {"expected-statuses": ["2xx", 400, 401, 404, 409, 415]},
            },
        }
    )
    return schemathesis.openapi.from_url(f"{described.site}{_OPENAPI}", config=config)  # type: ignore[attr-defined]


def session(client: Client) -> dict[str, dict[str, str]]:
    return {"session": {"api_key": client.cookies[settings.SESSION_COOKIE_NAME].value}}


def wrong_in(schema: Any) -> tuple[int, list[str]]:
    """How many requests schemathesis made, and what it found wrong in the answers."""
    asked, wrong = 0, []
    for event in schemathesis.engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            asked += len(event.recorder.interactions)
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.status == Status.FAILURE and check.failure_info:
                        said = check.failure_info
                        wrong.append(f"{event.recorder.label} {check.name}: {said.failure.message}\n{said.code_sample}")
        elif isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(getattr(event, "value", None) or getattr(event, "exception", "")))
    return asked, wrong


def test_a_signed_in_consumer_and_own_numbers(scene: Scene) -> None:
    connection = scene.town.connections["Ashalata"]
    known = {"path.number": scene.town.accounts["Ashalata"], "path.bill": scene.bills[connection]}
    schema = described(session(scene.consumer("Ashalata")), known).include(tag="consumer")
    asked, wrong = wrong_in(schema)
    assert wrong == []
    assert asked > 100


def test_a_signed_in_consumer_and_any_numbers(scene: Scene) -> None:
    asked, wrong = wrong_in(described(session(scene.consumer("Ashalata")), {}, coverage=False).include(tag="consumer"))
    assert wrong == []
    assert asked > 20


def test_a_sender(scene: Scene) -> None:
    credential = {"credential": {"bearer": scene.credential}}  # type: ignore[attr-defined]
    asked, wrong = wrong_in(described(credential, {}, stateful=True).include(tag="meter data"))
    assert wrong == []
    assert asked > 50
