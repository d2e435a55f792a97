"""Meter data by HTTP from end to end: the server as it is in earnest, a spool, and the worker."""

import base64
import contextlib
import datetime as dt
import gzip
import hashlib
import http.client
import json
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from khata.api import meter_data, spool
from khata.api.spool import lay_down
from khata.commands import work_uploads
from khata.commands.work_uploads import MeterData, sweep
from khata.metering import uploads
from khata.metering.models import Delivery, MeterDay, Sender, Upload, UploadDone, UploadWaiting
from khata.metering.senders import (
    PREFIX,
    SenderError,
    add_sender,
    close_sender,
    credential_hash,
    feed,
    limit_waiting,
    renew_credential,
)
from khata.metering.uploads import load_upload, waiting
from khata.portal import session as portal_session
from tests.cast import ASHA, BINA, Town, town
from tests.database import Database
from tests.pages import served
from tests.portal.scene import TODAY, browser, carry, new_session, web

MOST = 1 << 20
HEADER = "meter,day," + ",".join(f"b{n:02d}" for n in range(1, 49)) + "\n"


def csv(*days: str, meter: str = "SMART-1", wh: int = 100) -> bytes:
    return (HEADER + "".join(f"{meter},{day}{f',{wh}' * 48}\n" for day in days)).encode()


@dataclass
class Place:
    site: str
    spool: Path
    database: Database
    credentials: dict[str, str]
    town: Town

    def ask(
        self, method: str, path: str, body: Any = None, sender: str = "MDC1", **headers: str
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Status, what was said, headers. A body that is no bytes goes in chunks."""
        asked = http.client.HTTPConnection(self.site.removeprefix("http://"), timeout=20)
        credential = self.credentials.get(sender, sender)
        sent = {"Authorization": f"Bearer {credential}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        try:
            asked.request(method, f"/api/v1/meter-data/{path}", body=body, headers=sent)
            answer = asked.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers
        finally:
            asked.close()

    def send(self, body: Any, form: str = "block-csv", **more: str) -> dict[str, Any]:
        status, told, headers = self.ask("POST", form, body, **more)
        assert status in (200, 202), told
        assert headers["Location"] == f"/api/v1/meter-data/uploads/{told['id']}"
        return told | {"status": status}

    def seen(self, told: Mapping[str, Any], sender: str = "MDC1") -> dict[str, Any]:
        status, found, _ = self.ask("GET", f"uploads/{told['id']}", sender=sender)
        assert status == 200
        return found

    def work(self) -> list[str]:
        """The worker's step, once; what it said."""
        said: list[str] = []
        MeterData(tell=said.append, wait=True)()
        return said

    def in_spool(self) -> list[str]:
        return sorted(path.name for path in self.spool.iterdir()) if self.spool.exists() else []


@pytest.fixture(scope="module")
def place(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    spool = tmp_path_factory.mktemp("spool")
    built = town([ASHA, BINA])
    credentials = {
        code: add_sender(code=code, name=f"Company {code}", actor="test") for code in ("MDC1", "MDC2", "GONE")
    }
    close_sender(code="GONE", actor="test")
    feed(code="MDC1", serials=["SMART-1"], from_date=_day("2024-05-12"), actor="test")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KHATA_TODAY", TODAY)
        environment.setenv("KHATA_SPOOL", str(spool))
        environment.setenv("KHATA_MOST_UPLOAD_BYTES", str(MOST))
        with override_settings(KHATA_SPOOL=spool), served(module_database, today=TODAY) as site:
            yield Place(site, spool, module_database, credentials, built)


def counted(delivery: Mapping[str, Any]) -> list[int]:
    return [delivery[name] for name in ("rows", "accepted", "repeated", "superseding", "quarantined")]


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


# -- what is taken -----------------------------------------------------------------------------------------------------


def test_a_delivery_is_taken_stored_and_told_of(place: Place) -> None:
    body = csv("2024-06-01", "2024-06-02") + csv("2024-06-01", meter="NOBODY-9").split(b"\n", 1)[1]
    told = place.send(body)
    assert (told["status"], told["state"], told["size"]) == (202, "waiting", len(body))
    assert told["sha256"] == hashlib.sha256(body).hexdigest()
    assert place.in_spool() == [told["id"]]
    assert (place.spool / told["id"]).stat().st_mode & 0o777 == 0o600
    assert place.work() == []
    seen = place.seen(told)
    delivery = seen["delivery"]
    assert seen["state"] == "loaded"
    assert [delivery[name] for name in ("rows", "accepted", "repeated", "superseding", "quarantined")] == [
        3,
        2,
        0,
        0,
        1,
    ]
    (failed,) = delivery["failed"]
    assert (failed["rule"], failed["owner"], failed["count"], failed["lines"]) == ("VAL-01", "division", 1, [4])
    assert failed["next"]
    assert failed["title"]
    assert place.in_spool() == []
    assert MeterDay.objects.filter(delivery=delivery["delivery"]).count() == 2


def test_its_consumer_then_sees_the_half_hours(place: Place) -> None:
    place.send(csv("2024-06-17", wh=125))
    place.work()
    asha = (place.town.connections["Asha"], place.town.consumers["Asha"])
    with web(place.database):
        client, session = browser(), new_session()
        portal_session.start(session, portal_session.Signed(portal_session.mobile_hash("9876543210"), (asha,), 0))
        address = f"/api/v1/connections/{place.town.accounts['Asha']}/days/2024-06-17"
        day = json.loads(carry(client, session).get(address).content)
    assert (day["blocks_wh"], day["total_wh"], day["origin"]) == ([125] * 48, 6000, "actual")
    assert (day["origins"], day["off"]) == ("A" * 48, [])
    assert day["received_at"]


def test_gzip_stays_as_it_came_and_is_unpacked_by_the_worker(place: Place) -> None:
    plain = csv("2024-06-03")
    packed = gzip.compress(plain)
    told = place.send(packed, Content_Encoding="gzip")
    assert (told["size"], told["sha256"]) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert (place.spool / told["id"]).read_bytes() == packed
    place.work()
    assert place.seen(told)["delivery"]["accepted"] == 1


def test_a_body_in_chunks_is_taken_with_its_digest(place: Place) -> None:
    body = csv("2024-06-04")
    told = place.send(iter([body[:100], body[100:]]), Content_Digest=digest(body))
    place.work()
    assert place.seen(told)["delivery"]["accepted"] == 1
    status, wrong, _ = place.ask("POST", "block-csv", iter([body]))
    assert (status, wrong["where"]) == (411, "Content-Digest")


def test_the_same_bytes_are_the_same_upload(place: Place) -> None:
    body = csv("2024-06-05")
    first = place.send(body)
    again = place.send(body)
    assert (again["status"], again["id"], again["state"]) == (200, first["id"], "waiting")
    assert place.in_spool() == [first["id"]]
    place.work()
    assert place.send(body)["state"] == "loaded"
    # Another company that sends them has an upload of its own, and is not told of this one: the meter is not its own.
    other = place.send(body, sender="MDC2")
    assert other["id"] != first["id"]
    place.work()
    found = place.seen(other, sender="MDC2")["delivery"]
    assert (found["rows"], found["repeated"], found["accepted"], found["quarantined"]) == (1, 0, 0, 1)
    assert found["delivery"] != place.seen(first)["delivery"]["delivery"]
    assert UploadDone.objects.filter(upload__sha256=hashlib.sha256(body).hexdigest()).count() == 2
    assert Delivery.objects.filter(sha256=hashlib.sha256(body).hexdigest()).count() == 2


def test_what_was_quarantined_may_come_again_and_a_key_says_that_it_did_not(place: Place) -> None:
    body = csv("2024-06-06", meter="LATER-1")
    first = place.send(body, Idempotency_Key="k-1")
    place.work()
    assert place.send(body, Idempotency_Key="k-1")["id"] == first["id"]  # only an answer that was lost
    again = place.send(body)
    assert (again["status"], again["id"] != first["id"]) == (202, True)
    status, wrong, _ = place.ask("POST", "block-csv", csv("2024-06-07"), Idempotency_Key="k-1")
    assert (status, wrong["where"]) == (409, "Idempotency-Key")
    place.work()


def test_two_senders_for_one_meter(place: Place) -> None:
    """Of a meter that nobody owes nothing is taken by HTTP either: a credential is for the meters of its own feed."""
    feed(code="MDC2", serials=["SMART-1"], from_date=_day("2024-05-20"), actor="test")
    feed(code="MDC1", serials=["SMART-1"], from_date=_day("2024-05-21"), actor="test")
    told = place.send(csv("2024-05-11", "2024-05-20", "2024-05-21"), sender="MDC2")
    place.work()
    found = place.seen(told, sender="MDC2")["delivery"]
    assert [(each["rule"], each["owner"], each["lines"]) for each in found["failed"]] == [
        ("VAL-10", "metering", [2, 4])
    ]
    assert (found["rows"] - found["quarantined"], found["quarantined"]) == (1, 2)


# -- what is not -------------------------------------------------------------------------------------------------------


def test_who_has_no_credential_is_told_the_same_as_who_had_one(place: Place) -> None:
    body = csv("2024-06-01")
    answers = []
    for sender in ("GONE", PREFIX + "A" * 43, "", "x" * 3000, "नमस्ते"):
        credential = place.credentials.get(sender, sender).encode().decode("latin-1")
        answers.append(place.ask("POST", "block-csv", body, sender=credential))
    assert {status for status, _, _ in answers} == {401}
    assert len({json.dumps(told) for _, told, _ in answers}) == 1
    assert answers[0][2]["www-authenticate"].startswith("Bearer")
    assert place.ask("GET", f"uploads/{uuid.uuid4()}", sender="GONE")[:2] == answers[0][:2]


def test_an_upload_of_another_sender_is_not_there(place: Place) -> None:
    told = place.send(csv("2024-06-09"))
    never = place.ask("GET", f"uploads/{uuid.uuid4()}", sender="MDC2")
    assert never[0] == 404
    assert place.ask("GET", f"uploads/{told['id']}", sender="MDC2")[:2] == never[:2]
    assert place.ask("GET", "uploads/nothing", sender="MDC2")[:2] == never[:2]
    place.work()


@pytest.mark.parametrize(
    ("form", "headers", "body", "status"),
    [
        ("excel", {}, b"x", 415),
        ("enel", {}, b"x", 415),  # does not say which meter it is of
        ("block-csv", {"Content_Encoding": "br"}, b"x", 415),
        ("block-csv", {"Idempotency_Key": "a b"}, b"x", 400),
        ("block-csv", {"Content_Digest": "md5=:AAAA:"}, b"x", 400),
        ("block-csv", {"Content_Digest": digest(b"y")}, b"x", 400),
        ("block-csv", {}, b"", 400),
        ("block-csv?name=" + "n" * 201, {}, b"x", 422),
    ],
)
def test_what_is_wrong_is_told_before_it_is_kept(
    place: Place, form: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    before = place.in_spool()
    found, told, answered = place.ask("POST", form, body, **headers)
    assert (found, told["status"]) == (status, status)
    assert answered["content-type"] == "application/problem+json"
    assert told["detail"]
    assert told["where"]
    assert told["next"]
    assert place.in_spool() == before


def test_too_much_is_refused_by_its_length_and_while_it_comes(place: Place) -> None:
    before = place.in_spool()
    status, told, _ = place.ask("POST", "block-csv", b"0" * (MOST + 1))
    assert (status, told["where"]) == (413, "body")
    # In chunks nobody says how much it will be: it is cut off as soon as it is too much.
    assert _raw(place, [b"0" * (MOST // 2)] * 3, ends=False)[0] == 413
    assert place.in_spool() == before


@pytest.mark.parametrize("length", [True, False])
def test_a_body_that_is_cut_off_leaves_nothing(place: Place, length: bool) -> None:
    before, uploads = place.in_spool(), Upload.objects.count()
    body = csv("2024-06-10")
    status, told = _raw(place, [body[:-200]], ends=False, length=len(body) if length else None, whole=body)
    assert (status, told["type"]) == (400, "urn:khata:problem:cut-off")
    assert (place.in_spool(), Upload.objects.count()) == (before, uploads)


def _raw(
    place: Place, parts: list[bytes], *, ends: bool, length: int | None = None, whole: bytes = b""
) -> tuple[int, dict[str, Any]]:
    """A request written by hand; without `length` in chunks, and without `ends` it stops in the middle."""
    host, port = place.site.removeprefix("http://").split(":")
    head = f"POST /api/v1/meter-data/block-csv HTTP/1.1\r\nHost: {host}\r\n"
    head += f"Authorization: Bearer {place.credentials['MDC1']}\r\nContent-Digest: {digest(whole)}\r\n"
    head += f"Content-Length: {length}\r\n\r\n" if length else "Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(head.encode())
        with contextlib.suppress(ConnectionError):  # it may have answered and hung up already
            for part in parts:
                line.sendall(part if length else f"{len(part):x}\r\n".encode() + part + b"\r\n")
            if ends:
                line.sendall(b"0\r\n\r\n")
        if not ends:
            line.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return answer.status, json.loads(answer.read())


def test_a_gzip_bomb_and_what_is_no_table_are_refused_by_the_worker(place: Place) -> None:
    bomb = place.send(
        gzip.compress(HEADER.encode() + (csv("2024-06-01").partition(b"\n")[2]) * 100_000), Content_Encoding="gzip"
    )
    table = place.send(b"this,is,no\nmeter,data,1\n", name="")
    assert place.work() == []
    for told, word in ((bomb, "bomb"), (table, "column")):
        seen = place.seen(told)
        assert seen["state"] == "refused"
        assert word in seen["refusal"]["what"]
        assert seen["refusal"]["next"]
        assert seen["delivery"] is None
    assert place.in_spool() == []


def test_too_many(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_data, "LOOKS", 2)
    monkeypatch.setattr(meter_data, "WRONG", 2)
    address = f"/api/v1/meter-data/uploads/{uuid.uuid4()}"
    with web(place.database):
        client = browser(address="10.77.0.1")
        bearer = {"authorization": f"Bearer {place.credentials['MDC2']}"}
        wrong = {"authorization": "Bearer khata_md_wrong"}
        with place.database.connect("admin", autocommit=True) as admin:
            admin.execute("delete from discoms_limit")
        assert [client.get(address, headers=wrong).status_code for _ in range(4)] == [401, 401, 429, 429]
        # Whoever has a credential is not locked out by those who try.
        assert [client.get(address, headers=bearer).status_code for _ in range(4)] == [404, 404, 429, 429]


def test_a_cookie_sends_nothing(place: Place) -> None:
    """So no page of another site can make a browser send: a credential alone counts here."""
    with web(place.database):
        client = browser(csrf=True)
        client.cookies["khata"] = "a" * 32
        answer = client.post("/api/v1/meter-data/block-csv", b"x", content_type="text/csv")
    assert answer.status_code == 401


def test_a_sender_that_is_closed_while_it_sends_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = add_sender(code="SHORT", name="Short", actor="test")
    real = meter_data.lay_down

    def closes(*given: Any, **named: Any) -> Any:
        with place.database.connect("admin", autocommit=True) as admin:
            admin.execute("update metering_sender set active = false, token_hash = '' where code = 'SHORT'")
        return real(*given, **named)

    monkeypatch.setattr(meter_data, "lay_down", closes)
    before, uploads = place.in_spool(), Upload.objects.count()
    with web(place.database):
        bearer = {"authorization": f"Bearer {credential}"}
        address = "/api/v1/meter-data/block-csv"
        answer = browser().post(address, csv("2024-06-16"), content_type="text/csv", headers=bearer)
    assert answer.status_code == 401
    assert (place.in_spool(), Upload.objects.count()) == (before, uploads)


# -- the worker --------------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_leaves_an_upload_to_be_loaded_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    told = place.send(csv("2024-06-11"))
    before = Delivery.objects.count()

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt  # after all rows were stored, before it was written down

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(UploadDone.objects, "create", dies)
        load_upload(upload=Upload.objects.get(id=told["id"]), spool=place.spool, today=_day(TODAY))
    assert Delivery.objects.count() == before  # nor are the rows
    assert place.seen(told)["state"] == "waiting"
    place.work()
    place.work()
    assert Delivery.objects.count() == before + 1
    assert place.seen(told)["delivery"]["accepted"] == 1


def test_a_fault_of_ours_is_told_and_does_not_stop_the_next(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = place.send(csv("2024-06-12")), place.send(csv("2024-06-13"))
    real = work_uploads.load_upload

    def sometimes(**named: Any) -> object:
        if str(named["upload"].id) == one["id"]:
            raise RuntimeError("broken")
        return real(**named)

    with monkeypatch.context() as broken:
        broken.setattr(work_uploads, "load_upload", sometimes)
        (said,) = place.work()
    assert "broken" in said
    assert [place.seen(each)["state"] for each in (one, other)] == ["waiting", "loaded"]
    place.work()
    assert place.seen(one)["state"] == "loaded"


def test_a_file_that_ends_our_process_each_time_is_refused_and_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, other = place.send(csv("2024-06-18")), place.send(csv("2024-06-19"))
    upload = Upload.objects.get(id=told["id"])

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(uploads, "open_delivery", dies)
        for _ in range(uploads.TRIES):
            with pytest.raises(KeyboardInterrupt):
                load_upload(upload=upload, spool=place.spool, today=_day(TODAY))
    assert sweep(place.spool, before=time.time() + 60) == 0  # the marks stay while it waits
    place.work()
    seen = place.seen(told)
    assert (seen["state"], place.seen(other)["state"]) == ("refused", "loaded")
    assert "a fault of ours" in seen["refusal"]["what"] and told["id"] in seen["refusal"]["what"]
    assert place.in_spool() == [f"{told['id']}.kept"] and sweep(place.spool, before=time.time() + 60) == 0
    (place.spool / f"{told['id']}.kept").unlink()


def test_one_body_of_a_sender_at_a_time_and_none_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real, answers = meter_data.lay_down, []
    bearer = {"authorization": f"Bearer {place.credentials['MDC1']}"}

    def post(day: str, headers: dict[str, str]) -> int:
        found = browser().post("/api/v1/meter-data/block-csv", csv(day), content_type="text/csv", headers=headers)
        return int(found.status_code)

    def while_it_comes(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(meter_data, "lay_down", real)
        answers.append(post("2024-06-02", bearer))
        answers.append(post("2024-06-03", {"authorization": f"Bearer {place.credentials['MDC2']}"}))
        monkeypatch.setattr(spool, "SECONDS", -2)
        return real(*given, **named)

    monkeypatch.setattr(meter_data, "lay_down", while_it_comes)
    before = set(place.in_spool())
    with web(place.database):
        assert post("2024-06-01", bearer) == 408
    assert answers == [503, 202]
    assert len(set(place.in_spool()) - before) == 1 and not meter_data.SENDING
    place.work()


@pytest.mark.parametrize(("uploads", "spare"), [(2, 1), (9, -1)])
def test_a_sender_fills_no_more_than_its_share_of_the_spool(place: Place, uploads: int, spare: int) -> None:
    bodies = [csv(f"2024-06-{20 + number}") for number in range(3)]
    limit_waiting(code="MDC2", uploads=uploads, total_bytes=3 * len(bodies[0]) + spare, actor="test")
    first = place.send(bodies[0], sender="MDC2")
    place.send(bodies[1], sender="MDC2", Idempotency_Key=f"w-{uploads}")
    status, told, headers = place.ask("POST", "block-csv", bodies[2], sender="MDC2")
    assert (status, told["type"], told["where"]) == (429, "urn:khata:problem:waiting", "spool")
    assert int(headers["Retry-After"]) >= 60 and "uploads/ID" in told["next"] and told["detail"].startswith("2 ")
    assert len(place.in_spool()) == 2
    # What is there already by its key is answered, and others have their own share.
    assert place.send(bodies[1], sender="MDC2", Idempotency_Key=f"w-{uploads}")["status"] == 200
    other = place.send(csv("2024-06-29"))
    place.work()
    assert place.seen(first, sender="MDC2")["state"] == place.seen(other)["state"] == "loaded"
    assert place.send(bodies[2], sender="MDC2")["status"] == 202
    place.work()


def test_of_two_that_come_at_once_one_takes_the_last_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finds room before its body; the count when it is noted is what holds."""
    limit_waiting(code="MDC2", uploads=1, total_bytes=1 << 30, actor="test")
    monkeypatch.setattr(meter_data, "_may_wait", lambda *_: None)  # as for both that looked before either was noted
    address, found = "/api/v1/meter-data/block-csv", []
    bearer = {"authorization": f"Bearer {place.credentials['MDC2']}"}
    before = set(place.in_spool())
    with web(place.database):
        for day in ("2024-06-27", "2024-06-28"):
            found.append(browser().post(address, csv(day), content_type="text/csv", headers=bearer).status_code)
    assert found == [202, 429]
    assert len(set(place.in_spool()) - before) == 1
    place.work()


def test_who_sends_too_much_is_told_by_one_question(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what waits is kept beside all that ever came: its cost does not grow with them."""
    limit_waiting(code="MDC2", uploads=1, total_bytes=1 << 30, actor="test")
    told = place.send(csv("2024-06-26"), sender="MDC2")
    assert set(UploadWaiting.objects.values_list("upload", flat=True)) == {uuid.UUID(told["id"])}
    bearer = {"authorization": f"Bearer {place.credentials['MDC2']}"}
    with web(place.database), CaptureQueriesContext(connection) as asked:
        answer = browser().post(
            "/api/v1/meter-data/block-csv", csv("2024-06-25"), content_type="text/csv", headers=bearer
        )
    assert answer.status_code == 429
    assert sum("uploads_waiting" in each["sql"] for each in asked) == 1
    place.work()
    assert not UploadWaiting.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("select prosrc from pg_proc where proname = 'uploads_waiting'")
        assert "uploaddone" not in cursor.fetchone()[0]


@pytest.mark.parametrize("length", [1000, None])
def test_a_body_that_trickles_or_stands_still_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    monkeypatch.setattr(spool, "SECONDS", 0.3)
    there, here = socket.socketpair()
    began = time.monotonic()
    with there, here, here.makefile("rb") as body:
        there.sendall(b"it begins")
        with pytest.raises(spool.TooSlowError):
            lay_down(body, spool=tmp_path, most=MOST, length=length, sha256=None)
        assert time.monotonic() - began < 5
        there.shutdown(socket.SHUT_RDWR)  # as the answer does: the thread that still reads ends
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_lost_is_told_and_what_nobody_waits_for_is_swept(place: Place) -> None:
    lost, kept = place.send(csv("2024-06-14")), place.send(csv("2024-06-15"))
    (place.spool / lost["id"]).unlink()
    for name in (f"{uuid.uuid4()}.part", str(uuid.uuid4())):
        (place.spool / name).write_bytes(b"left by a server that died")
    assert sweep(place.spool, before=time.time() - 60) == 0
    assert sweep(place.spool, before=time.time() + 60) == 2
    assert place.in_spool() == [kept["id"]]
    place.work()
    assert place.seen(lost)["state"] == "refused"
    assert "again" in place.seen(lost)["refusal"]["next"]
    assert place.seen(kept)["state"] == "loaded"
    assert waiting() == []


# -- credentials -------------------------------------------------------------------------------------------------------


def test_a_credential_is_long_random_and_stored_as_its_hash_alone(place: Place) -> None:
    one, two = add_sender(code="C1", name="One", actor="test"), add_sender(code="C2", name="Two", actor="test")
    assert one.startswith(PREFIX)
    assert len(one) - len(PREFIX) == 43  # 256 bits
    assert one != two
    assert Sender.objects.get(code="C1").token_hash == credential_hash(one)
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from metering_sender s where s::text like %s", [f"%{one[len(PREFIX) :]}%"])
        assert cursor.fetchone() == (0,)
    renewed = renew_credential(code="C1", actor="test")
    missing = f"uploads/{uuid.uuid4()}"
    assert place.ask("GET", missing, sender=one)[0] == 401
    assert place.ask("GET", missing, sender=renewed)[0] == 404
    close_sender(code="C1", actor="test")
    assert place.ask("GET", missing, sender=renewed)[0] == 401
    for code in ("C1", "khata", "nobody"):
        with pytest.raises(SenderError) as no:
            renew_credential(code=code, actor="test")
        assert no.value.next_step
    with pytest.raises(SenderError):
        add_sender(code="C2", name="Again", actor="test")


def test_whose_days_a_sender_owes_is_said_for_all_meters_or_none(place: Place) -> None:
    with pytest.raises(SenderError) as no:
        feed(code="MDC2", serials=["SMART-1", "NOBODY-1"], from_date=_day("2024-06-01"), actor="test")
    assert "NOBODY-1" in str(no.value)
    first = feed(code="MDC2", serials=["SMART-1", "SMART-1"], from_date=_day("2024-07-01"), actor="test")
    again = feed(code="MDC2", serials=["SMART-1"], from_date=_day("2024-07-05"), actor="test")
    back = feed(code="MDC1", serials=["SMART-1"], from_date=_day("2024-07-01"), actor="test")
    assert [(each.meters, each.new) for each in (first, again, back)] == [(1, 1), (1, 0), (1, 1)]


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
