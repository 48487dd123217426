"""Who may what over the web: tokens, sessions, forms, terms, limits; and that no way leads around them."""

import contextlib
import json
import re
import shutil
import sqlite3
import time
from contextlib import closing

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")

from fastapi.responses import FileResponse

import web_kit as kit
from wardgan.access import database as databases
from wardgan.access.journal import lines, verify
from wardgan.access.people import close_account, new_token, revoke_token
from wardgan.errors import TrustError, UsageError
from wardgan.web import desk as desks
from wardgan.web import guard
from wardgan.web import pace as paces
from wardgan.web.pace import Pace
from wardgan.web.workers import Workers

A = "cardio/a:1.0"
OURS = {"Sec-Fetch-Site": "same-origin"}
# Each way to patients or to a file, and what it needs.
WAYS = {
    f"/api/v1/preview/{A}?n=5": "sample", f"/api/v1/sample/{A}?n=5": "sample", f"/play/{A}?seed=1&n=5": "sample",
    f"/api/v1/files/{A}": "file", f"/files/{A}": "file",
}  # fmt: skip


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.stocked(tmp_path_factory.mktemp("accounts"))


@pytest.fixture
def hub(clinic):
    (clinic.home / "hub.db").unlink(missing_ok=True)
    for more in clinic.home.glob("hub.db-*"):
        more.unlink()
    with kit.guarded(clinic) as found:
        yield found


def bearer(database, name="Ana", **more):
    return {"Authorization": f"Bearer {new_token(database, name, **more)[0]}"}


def signed_in(client, database, name="Ana", **more):
    token = new_token(database, name, **more)[0]
    answer = client.post(
        "/sign-in", data={"token": token, "following": "/account"}, headers=OURS, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    return token


def csrf(client, path):
    return re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(path).text)[1]


def test_there_is_no_way_that_this_list_forgets(hub):
    """A new way to a release's patients or file must be thought of here."""
    client, _, _ = hub
    paths = {route.path for route in client.app.routes if "{label" in getattr(route, "path", "")}
    paths |= {
        route.path
        for one in client.app.routes
        for route in getattr(getattr(one, "original_router", one), "routes", ())
        if "{label" in getattr(route, "path", "")
    }
    open_ways = {
        "/releases/{label:path}",
        "/dossiers/{label:path}",
        "/terms/{label:path}",
        "/api/v1/releases/{label:path}",
        "/api/v1/dcat/{label:path}",
    }
    known = {re.sub(r"cardio/a:1\.0.*", "{label:path}", way) for way in WAYS}
    assert paths
    assert paths - open_ways == known


@pytest.mark.parametrize("tier", ["registered", "terms", "sample-only"])
def test_nobody_gets_in_without_a_token(hub, tier):
    client, _, rules = hub
    rules.set("cardio/*", tier, text="Be kind." if tier == "terms" else None)
    for way in WAYS:
        answer = client.get(way, follow_redirects=False)
        if way.startswith("/api/"):
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), way
            assert "sign in first" in answer.json()["error"]["message"]
        else:
            assert answer.status_code == 303, way
            assert answer.headers["location"].startswith("/sign-in?following=%2F")
    assert client.get("/").status_code == client.get(f"/releases/{A}").status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_each_way_wants_its_scope_its_grant_and_its_terms(hub, way):
    client, database, rules = hub
    scope = {"sample": "sample", "file": "pull"}[WAYS[way]]
    others = [one for one in ("read", "sample", "pull") if one != scope]
    assert client.get(way, headers=bearer(database, "Others", scopes=others), follow_redirects=False).status_code == 403
    mine = bearer(database, "Ana", scopes=["read", scope])
    fine = (200, 303) if way.startswith("/files") else (200,)
    assert client.get(way, headers=mine, follow_redirects=False).status_code in fine
    rules.set("cardio/a", "registered", granted=True)
    assert client.get(way, headers=mine, follow_redirects=False).status_code == 403
    rules.grant("Ana", "cardio/*")
    assert client.get(way, headers=mine, follow_redirects=False).status_code in fine
    policy = rules.set("cardio/a", "terms", text="Be kind.")
    answer = client.get(way, headers=mine, follow_redirects=False)
    assert answer.status_code == (403 if way.startswith("/api/") else 303)
    account = desks.account_of(database, mine["Authorization"].split()[1])
    rules.accept(account, policy, policy.terms)
    assert client.get(way, headers=mine, follow_redirects=False).status_code in fine
    rules.set("cardio/a", "sample-only")
    answer = client.get(way, headers=mine, follow_redirects=False)
    assert answer.status_code == (200 if WAYS[way] == "sample" else 403)


def test_one_name_opens_no_other(hub):
    client, database, rules = hub
    rules.set("*", "registered", granted=True)
    mine = bearer(database)
    rules.grant("Ana", "research/open")
    assert client.get("/api/v1/preview/research/open:1?n=3", headers=mine).status_code == 200
    for label in (
        A,
        "cardio/a",
        "cardio/a:1.1",
        "region/all:1",
        "research/../cardio/a:1.0",
        "research/open/../../cardio/a:1.0",
    ):
        for kind in ("preview", "sample", "files"):
            assert client.get(f"/api/v1/{kind}/{label}", headers=mine).status_code in (400, 403, 404), label


def test_patients_of_a_limited_release_are_counted_on_every_way(hub):
    client, database, rules = hub
    rules.set("cardio/a", "sample-only", rows=100)
    mine = bearer(database)
    rules.grant("Ana", "cardio/a")
    assert client.get(f"/api/v1/preview/{A}?n=40", headers=mine).status_code == 200
    assert client.get("/api/v1/sample/cardio/a:1.1?n=40", headers=mine).status_code == 200
    answer = client.get(f"/play/{A}?seed=1&n=21", headers=mine)
    assert answer.status_code == 429
    assert "more than the 20 of 100" in answer.text
    assert client.get(f"/play/{A}?seed=1&n=20", headers=mine).status_code == 200
    assert client.get(f"/api/v1/preview/{A}?n=1", headers=mine).status_code == 429
    assert "look at them on their own page" in client.get(f"/compare?a={A}&b=research/open:1", headers=mine).text
    done = [(one.action, json.loads(one.detail)["rows"]) for one in lines(database) if one.action == "sampled"]
    assert done == [("sampled", 40), ("sampled", 40), ("sampled", 20)]


def test_what_is_taken_is_in_the_log(hub):
    client, database, _ = hub
    mine = bearer(database)
    client.get(f"/api/v1/sample/{A}?n=7&seed=3&where=arm=intensive", headers=mine)
    client.get(f"/api/v1/files/{A}", headers=mine)
    client.get(f"/api/v1/preview/{A}?n=7", headers=mine)
    sampled, taken, seen = (one for one in lines(database) if one.action in ("sampled", "file taken"))
    assert (sampled.who, sampled.subject) == ("Ana", A)
    found = json.loads(sampled.detail)
    assert (found["rows"], found["seed"], found["where"]) == (7, 3, ["arm=intensive"])
    assert found["digest"].startswith("sha256:")
    assert (taken.who, taken.subject) == ("Ana", A)
    assert (seen.action, json.loads(seen.detail)["how"]) == ("sampled", "preview")
    assert verify(database).wrong == ()


def test_what_cannot_be_written_into_the_log_does_not_leave(hub, clinic, monkeypatch, capfd):
    client, database, _ = hub
    mine = bearer(database)
    monkeypatch.setattr(databases, "_BUSY", 0.2)
    with database.write() as line:
        line.exec_driver_sql("PRAGMA busy_timeout=200")
    with closing(sqlite3.connect(clinic.home / "hub.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.get(f"/api/v1/files/{A}", headers=mine)
        assert answer.status_code == 503
        assert "database does not answer" in answer.json()["error"]["message"]
        assert str(clinic.home) not in answer.text
    assert str(clinic.home) in capfd.readouterr().err
    assert client.get(f"/api/v1/files/{A}", headers=mine).status_code == 200


def test_what_fails_is_in_the_log_and_what_cannot_be_is_not_counted(hub, monkeypatch):
    client, database, rules = hub
    mine = bearer(database)
    rules.set("cardio/a", "sample-only", rows=500)
    rules.grant("Ana", "cardio/a")
    for way in (f"/api/v1/preview/{A}?n=5000", f"/play/{A}?seed=1&n=5000"):
        assert client.get(way, headers=mine).status_code == 400
    assert "sampled" not in {one.action for one in lines(database)}
    ways = (f"/api/v1/preview/{A}?n=20", f"/api/v1/sample/{A}?n=20", f"/play/{A}?n=20&seed=1")
    for way in ways:
        wrong = "&more=arm=nobody" if way.startswith("/play") else "&where=arm=nobody"
        assert client.get(way + wrong, headers=mine).status_code == 400
    assert "sampled" not in {one.action for one in lines(database)}

    def broken(*_args):
        raise UsageError("That takes longer.")

    monkeypatch.setattr(Workers, "parts", broken)
    for way in ways:
        assert client.get(way, headers=mine).status_code == 400
        sampled, failed = list(lines(database))[-2:]
        assert (sampled.action, failed.action, failed.subject) == ("sampled", "failed", A)
        assert json.loads(failed.detail)["why"] == "UsageError"


def test_nobody_fills_the_log(hub):
    client, database, rules = hub
    rules.set("cardio/*", "public")
    many = "%0A".join(f"age={low}..100" for low in range(40))
    for way in (
        f"/play/{A}?seed=1&balance={'x' * 9000}",
        f"/play/{A}?seed=1&more={many}",
        f"/api/v1/sample/{A}?where=age={'1' * 9000}",
    ):
        assert client.get(way).status_code == 400
    assert max(len(one.detail) for one in lines(database)) < 500


def test_two_beside_each_other_are_in_the_log(hub):
    client, database, _ = hub
    mine = bearer(database)
    assert client.get("/compare?a=cardio/a:1.0&b=cardio/a:1.1", headers=mine).status_code == 200
    assert [json.loads(one.detail)["how"] for one in lines(database) if one.action == "sampled"] == ["compare"] * 2


def test_a_stream_ends_when_its_right_does(hub, monkeypatch):
    client, database, _ = hub
    monkeypatch.setattr(guard, "AGAIN", 0.0)
    token, _ = new_token(database, "Ana")
    mine = {"Authorization": f"Bearer {token}"}
    whole = client.get(f"/api/v1/sample/{A}?n=200000", headers=mine).content
    revoked = []
    check = desks.Desk.still

    def still(self, visitor, entry, action):
        if not revoked:
            revoked.append(revoke_token(database, token))
        check(self, visitor, entry, action)

    monkeypatch.setattr(desks.Desk, "still", still)
    part = client.get(f"/api/v1/sample/{A}?n=200000", headers=mine).content
    assert len(part) < len(whole) / 4
    assert json.loads(list(lines(database))[-1].detail)["why"] == "AccessError"


def test_a_release_that_is_revoked_ends_its_streams(hub, monkeypatch):
    client, database, _ = hub
    monkeypatch.setattr(guard, "AGAIN", 0.0)
    mine = bearer(database)
    whole = client.get(f"/api/v1/sample/{A}?n=200000", headers=mine).content
    stock = client.app.state.stock
    asked, check = [], stock.check

    def now_revoked(entry):
        asked.append(entry)
        if len(asked) > 3:
            raise TrustError("revoked")
        check(entry)

    monkeypatch.setattr(stock, "check", now_revoked)
    assert len(client.get(f"/api/v1/sample/{A}?n=200000", headers=mine).content) < len(whole) / 2
    assert json.loads(list(lines(database))[-1].detail)["why"] == "TrustError"


@pytest.mark.parametrize("way", [f"/api/v1/files/{A}", "job"])
def test_a_file_ends_when_its_right_does(hub, monkeypatch, way):
    client, database, _ = hub
    monkeypatch.setattr(guard, "AGAIN", 0.0)
    monkeypatch.setattr(FileResponse, "chunk_size", 1_000)
    token, _ = new_token(database, "Ana")
    mine = {"Authorization": f"Bearer {token}"}
    if way == "job":
        number = client.post(f"/api/v1/sample/{A}?n=5000&seed=1", headers=mine).json()["id"]
        while client.get(f"/api/v1/jobs/{number}", headers=mine).json()["state"] != "ready":
            time.sleep(0.05)
        way = f"/api/v1/jobs/{number}/file"
    whole = client.get(way, headers=mine).content
    asked, check = [], desks.Desk.still

    def still(self, visitor, entry, action):
        asked.append(action)
        if len(asked) == 3:
            revoke_token(database, token)
        check(self, visitor, entry, action)

    monkeypatch.setattr(desks.Desk, "still", still)
    part = client.get(way, headers=mine).content
    assert 0 < len(part) < len(whole) / 4
    assert set(asked) == {"file" if "files" in way else "sample"}
    assert json.loads(list(lines(database))[-1].detail)["why"] == "AccessError"


def test_an_account_has_one_stream_at_a_time(hub):
    client, database, _ = hub
    mine, other = bearer(database), bearer(database, "Bo")
    desk = client.app.state.desk
    visitor = desk.visitor(Asking(mine))
    with desk.alone(visitor):
        assert client.get(f"/api/v1/sample/{A}?n=5", headers=mine).status_code == 429
        assert client.get(f"/api/v1/sample/{A}?n=5", headers=other).status_code == 200
    for _ in range(2):
        assert client.get(f"/api/v1/sample/{A}?n=5", headers=mine).status_code == 200
    assert client.get(f"/api/v1/sample/{A}?n=5&where=nobody", headers=mine).status_code == 400
    assert client.get(f"/api/v1/sample/{A}?n=5", headers=mine).status_code == 200


class Asking:
    """As much of a request as says who asks."""

    def __init__(self, headers):
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.client = None


def test_who_reads_too_slowly_is_given_up(monkeypatch):
    import anyio

    monkeypatch.setattr(guard, "STALLED", 0.3)
    monkeypatch.setattr(guard, "SLOWEST", 1_000_000)
    sent = []

    async def send(message):
        sent.append(message)
        await anyio.sleep(0.1)

    async def run():
        paced = guard._Paced(send, lambda: None)
        for _ in range(100):
            await paced({"type": "http.response.body", "body": b"x" * 100, "more_body": True})

    with pytest.raises(TimeoutError):
        anyio.run(run)
    assert 2 < len(sent) < 10


def test_a_token_for_reading_draws_and_drops_nothing(hub):
    client, database, _ = hub
    token = new_token(database, "Ana")[0]
    number = client.post(f"/api/v1/sample/{A}?n=5", headers={"Authorization": f"Bearer {token}"}).json()["id"]
    reads = {"Authorization": f"Bearer {new_token(database, 'Ana', scopes=['read'])[0]}"}
    for answer in (client.get("/api/v1/jobs", headers=reads), client.delete(f"/api/v1/jobs/{number}", headers=reads)):
        assert answer.status_code == 403


def test_a_program_is_told_where_the_terms_are(hub):
    client, database, rules = hub
    rules.set("cardio/a", "terms", text="Be kind.")
    answer = client.get(f"/api/v1/sample/{A}?n=5", headers=bearer(database))
    assert f"{kit.HERE}/terms/cardio/a:1." in answer.json()["error"]["message"]


def test_an_order_without_room_counts_nobody(hub, monkeypatch):
    client, database, rules = hub
    rules.set("cardio/a", "sample-only", rows=1_000)
    mine = bearer(database)
    rules.grant("Ana", "cardio/a")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1000})())
    assert client.post(f"/api/v1/sample/{A}?n=900", headers=mine).status_code == 503
    monkeypatch.undo()
    assert client.post(f"/api/v1/sample/{A}?n=900", headers=mine).status_code == 202


@pytest.mark.parametrize("way", [f"/api/v1/files/{A}", "/compare?a=cardio/a:1.0&b=cardio/a:1.1", f"/releases/{A}"])
def test_every_way_has_its_pace(hub, monkeypatch, way):
    client, database, _ = hub
    mine = bearer(database)
    monkeypatch.setattr(client.app.state.desk, "_draws", Pace(1, 3_600.0))
    client.get(way, headers=mine)
    assert client.get(way, headers=mine).status_code == 429


def test_a_file_has_its_pace_too(hub, monkeypatch):
    client, database, _ = hub
    mine = bearer(database)
    number = client.post(f"/api/v1/sample/{A}?n=5", headers=mine).json()["id"]
    while client.get(f"/api/v1/jobs/{number}", headers=mine).json()["state"] != "ready":
        time.sleep(0.05)
    monkeypatch.setattr(client.app.state.desk, "_draws", Pace(1, 3_600.0))
    found = [client.get(f"/api/v1/jobs/{number}/file", headers=mine).status_code for _ in range(2)]
    assert found == [200, 429]


def test_another_page_drops_no_file(hub):
    client, database, _ = hub
    mine = bearer(database)
    number = client.post(f"/api/v1/sample/{A}?n=5", headers=mine).json()["id"]
    headers = mine | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.delete(f"/api/v1/jobs/{number}", headers=headers).status_code == 403
    assert client.get(f"/api/v1/jobs/{number}", headers=mine).status_code == 200


def test_who_leaves_in_the_middle_is_in_the_log(clinic, hub):
    """By hand, since this client reads all of an answer."""
    import anyio

    sent, broke = [], []
    parts = contextlib.nullcontext(iter([b"x" * 10, b"y" * 10, b"z" * 10]))

    async def send(message):
        sent.append(message)
        await anyio.sleep(0.05)

    async def receive():
        await anyio.sleep(0.08)
        return {"type": "http.disconnect"}

    answer = guard.Streamed(parts, {}, "text/csv", broke=broke.append)
    anyio.run(answer, {"type": "http"}, receive, send)
    assert broke == ["the reader left"]
    assert sent[-1].get("more_body", True)


def test_a_mixture_with_a_revoked_release_is_closed(tmp_path):
    from wardgan.hub.hub import Hub

    clinic = kit.stocked(tmp_path)
    with kit.served(clinic) as (client, stock):
        assert client.get("/api/v1/sample/region/all:1?n=5").status_code == 200
        Hub(clinic.home / "hub", trust=clinic.trust).revoke("cardio/a:1.0", clinic.key, "wrong")
        stock.refresh()
        for way in ("/api/v1/sample/region/all:1?n=5", "/api/v1/files/region/all:1", "/api/v1/preview/region/all:1"):
            answer = client.get(way)
            assert answer.status_code == 403
            assert "holds cardio/a:1.0, which was revoked" in answer.json()["error"]["message"]


def test_terms_of_a_release_within_another_are_found(hub):
    client, database, rules = hub
    rules.set("cardio/a", "terms", text="Be kind.")
    signed_in(client, database)
    answer = client.get("/play/region/all:1?seed=1", headers=OURS, follow_redirects=False)
    assert answer.status_code == 303
    page = client.get(answer.headers["location"], headers=OURS)
    assert "Be kind." in page.text
    assert "Holds cardio/a: its rules" in client.get("/releases/region/all:1").text


# --- tokens and sessions ----------------------------------------------------------------------------------------------


def test_a_session_is_as_good_as_its_token(hub):
    client, database, _ = hub
    token = signed_in(client, database)
    assert "Ana" in client.get("/account").text
    assert client.get(f"/play/{A}?seed=1&n=5").status_code == 200
    revoke_token(database, token)
    assert client.get("/account", follow_redirects=False).status_code == 303
    assert client.get(f"/api/v1/preview/{A}").status_code == 401
    signed_in(client, database)
    close_account(database, "Ana")
    assert client.get("/account", follow_redirects=False).status_code == 303


def test_a_cookie_cannot_be_made_or_read_by_scripts(hub):
    client, database, _ = hub
    token = new_token(database, "Ana")[0]
    answer = client.post("/sign-in", data={"token": token}, headers=OURS, follow_redirects=False)
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said
    assert token.split("_")[2].lower() not in said
    value = client.cookies["wardgan"]
    for forged in (value[:-2] + "xx", value + "x", token, token[4:16], "a"):
        client.cookies.clear()
        client.cookies.set("wardgan", forged)
        assert client.get("/account", follow_redirects=False).status_code == 303, forged


def test_signing_in_again_ends_the_session_before(hub):
    client, database, _ = hub
    signed_in(client, database)
    old = client.cookies["wardgan"]
    signed_in(client, database)
    assert client.cookies["wardgan"] != old
    client.cookies.clear()
    client.cookies.set("wardgan", old, domain="localhost.local")
    assert client.get("/account", follow_redirects=False).status_code == 303


def test_nobody_signs_in_without_end(hub, monkeypatch):
    monkeypatch.setattr(desks, "ENTRIES", (3, 600.0))
    client, database, _ = hub
    client.app.state.desk._entries = Pace(3, 600.0)
    token = new_token(database, "Ana")[0]
    codes = [
        client.post("/sign-in", data={"token": token}, headers=OURS, follow_redirects=False).status_code
        for _ in range(5)
    ]
    assert codes == [303, 303, 303, 429, 429]


def test_cookies_and_headers_behind_tls(clinic, tmp_path):
    with kit.guarded(clinic, secure=True) as (client, database, _):
        token = new_token(database, "Ana")[0]
        answer = client.post("/sign-in", data={"token": token}, headers=OURS, follow_redirects=False)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-wardgan=")
        for word in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
            assert word in cookie
        assert "max-age" in client.get("/").headers["strict-transport-security"]


def test_good_tokens_are_no_guesses(hub):
    client, database, _ = hub
    mine = bearer(database)
    assert {client.get(f"/api/v1/preview/{A}?n=1", headers=mine).status_code for _ in range(15)} == {200}
    assert client.get(f"/api/v1/preview/{A}?n=1", headers={"Authorization": "Bearer x"}).status_code == 401


def test_an_origin_that_is_none_is_refused(hub):
    client, _, _ = hub
    for origin in ("http://[", "null", "http://localhost:99999999"):
        assert client.post("/sign-in", data={"token": "x"}, headers={"Origin": origin}).status_code == 403


def test_signing_out_ends_it(hub):
    client, database, _ = hub
    signed_in(client, database)
    answer = client.post("/sign-out", data={"csrf": csrf(client, "/account")}, headers=OURS, follow_redirects=False)
    assert answer.status_code == 303
    assert client.get("/account", follow_redirects=False).status_code == 303


def test_forms_of_other_pages_are_refused(hub):
    client, database, rules = hub
    policy = rules.set("cardio/a", "terms", text="Be kind.")
    signed_in(client, database)
    good = {"csrf": csrf(client, f"/terms/{A}"), "digest": policy.terms}
    for headers, data in (
        ({}, good), ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, good),
        ({"Sec-Fetch-Site": "same-site"}, good), ({"Origin": "https://evil.example"}, good), ({"Origin": "null"}, good),
        (OURS, {**good, "csrf": ""}), (OURS, {**good, "csrf": "0" * 64}), (OURS, {"digest": policy.terms}),
    ):  # fmt: skip
        assert client.post(f"/terms/{A}", data=data, headers=headers).status_code == 403, (headers, data)
    assert client.post("/sign-in", data={"token": "x"}).status_code == 403
    assert not [one for one in lines(database) if one.action == "terms accepted"]
    other = {"Origin": kit.HERE}
    assert client.post(f"/terms/{A}", data=good, headers=other, follow_redirects=False).status_code == 303
    assert [one.who for one in lines(database) if one.action == "terms accepted"] == ["Ana"]


def test_a_form_of_another_session_is_refused(hub):
    client, database, rules = hub
    rules.set("cardio/a", "terms", text="Be kind.")
    signed_in(client, database)
    hers = csrf(client, f"/terms/{A}")
    client.cookies.clear()
    signed_in(client, database, "Bo")
    mine = csrf(client, f"/terms/{A}")
    assert mine != hers
    data = {"csrf": hers, "digest": rules.of("cardio/a").terms}
    assert client.post(f"/terms/{A}", data=data, headers=OURS).status_code == 403
    data = {"csrf": mine, "digest": "0" * 64}
    assert "have changed" in client.post(f"/terms/{A}", data=data, headers=OURS).text


def test_nobody_guesses_tokens(hub):
    client, database, _ = hub
    good = bearer(database)
    for at in range(desks.GUESSES[0]):
        answer = client.get("/api/v1/releases", headers={"Authorization": f"Bearer wgt_{at:012x}_{'a' * 43}"})
        assert answer.status_code == 401
    assert (
        client.get("/api/v1/releases", headers={"Authorization": f"Bearer wgt_{0:012x}_{'a' * 43}"}).status_code == 429
    )
    assert client.post("/sign-in", data={"token": "x"}, headers=OURS).status_code == 429
    for header in ("Bearer", "Bearer " + "x" * 5000, "Bearer wgt_\x1b[2J"):
        assert client.get("/api/v1/releases", headers={"Authorization": header}).status_code == 429
    told = [one for one in lines(database) if one.action == "token refused"]
    assert [one.subject for one in told] == [f"{at:012x}" for at in range(desks.GUESSES[0])]
    # Nobody locks out others from behind the same address, nor does what is no token at all.
    assert client.get(f"/api/v1/files/{A}", headers=good).status_code == 200
    assert client.get("/api/v1/releases", headers={"Authorization": "Basic YTpi"}).status_code == 200


def test_wrong_tokens_of_many_addresses_do_not_fill_the_log(hub, monkeypatch):
    client, database, _ = hub
    desk = client.app.state.desk
    monkeypatch.setattr(desk, "_refusals", Pace(5, 3_600.0))
    addresses = iter(range(100))
    monkeypatch.setattr(desks, "address_of", lambda _request: f"192.0.2.{next(addresses)}")
    found = [
        client.get("/api/v1/releases", headers={"Authorization": f"Bearer wgt_{at:012x}_{'a' * 43}"}).status_code
        for at in range(8)
    ]
    assert found == [401] * 5 + [429] * 3
    assert sum(one.action == "token refused" for one in lines(database)) == 5
    assert client.get(f"/api/v1/files/{A}", headers=bearer(database)).status_code == 200


def test_where_somebody_comes_from_is_not_what_they_say(hub):
    client, database, _ = hub
    for at in range(desks.GUESSES[0] + 1):
        headers = {"Authorization": f"Bearer wgt_{at:012x}_{'a' * 43}", "X-Forwarded-For": f"2001:db8::{at:x}"}
        answer = client.get("/api/v1/releases", headers=headers)
    assert answer.status_code == 429
    assert not any("2001" in one.detail for one in lines(database))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "unknown"),
        ("", "unknown"),
    ],
)
def test_of_ipv6_the_network_counts(given, wanted):
    class Request:
        class client:
            host = given

    assert desks.address_of(Request) == wanted


def test_links_of_other_sites_do_nothing_in_somebodys_name(hub):
    client, database, rules = hub
    rules.set("cardio/a", "sample-only", rows=100)
    new_token(database, "Ana")
    rules.grant("Ana", "cardio/a")
    signed_in(client, database)
    for site, mode in (("cross-site", "navigate"), ("same-site", "navigate"), ("same-site", "no-cors")):
        for way in (
            f"/api/v1/sample/{A}?n=5",
            f"/play/{A}?seed=1&n=5",
            "/api/v1/files/region/all:1",
            f"/compare?a={A}&b={A}",
        ):
            answer = client.get(way, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}, follow_redirects=False)
            assert answer.status_code == 403, (site, way)
    assert not [one for one in lines(database) if one.action in ("sampled", "file taken")]
    for site in ("same-origin", "none"):
        assert client.get(f"/api/v1/sample/{A}?n=5", headers={"Sec-Fetch-Site": site}).status_code == 200
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_over_tls_a_session_draws_only_where_the_browser_says_whose_page_asks(clinic):
    with kit.guarded(clinic, secure=True) as (client, database, _):
        token = new_token(database, "Ana")[0]
        headers = OURS | {"Origin": "https://localhost"}
        client.post("/sign-in", data={"token": token, "following": "/"}, headers=headers, follow_redirects=False)
        assert "Sign out" in client.get("/account").text
        assert client.get(f"/api/v1/sample/{A}?n=5").status_code == 403
        assert client.get(f"/api/v1/sample/{A}?n=5", headers=OURS).status_code == 200
        client.cookies.clear()
        assert client.get(f"/api/v1/sample/{A}?n=5", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_file_obeys_the_rules_of_all_that_it_holds(hub):
    client, database, rules = hub
    mine = bearer(database)
    assert client.get("/api/v1/files/region/all:1", headers=mine).status_code == 200
    rules.set("cardio/*", "sample-only", rows=100)
    for way in ("files/region/all:1", "sample/region/all:1?n=5", "files/other/unsigned:1"):
        assert client.get(f"/api/v1/{way}", headers=mine).status_code == 403, way
    rules.grant("Ana", "cardio/a")
    assert client.get("/api/v1/files/region/all:1", headers=mine).status_code == 403
    assert client.get("/api/v1/sample/region/all:1?n=60", headers=mine).status_code == 200
    assert client.get("/api/v1/sample/cardio/a:1.0?n=60", headers=mine).status_code == 429
    assert client.get("/api/v1/files/research/open:1", headers=mine).status_code == 200


def test_a_form_is_read_to_its_limit_whatever_its_headers_say(hub):
    client, _, _ = hub
    seen = []

    def body():
        for _ in range(1_000):
            seen.append(1)
            yield b"x" * 1_000

    assert client.post("/sign-in", content=body(), headers=OURS).status_code == 400
    answer = client.post(
        "/sign-in", content=body(), headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    )
    assert answer.status_code == 403


def test_a_pace_is_kept(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(paces.time, "monotonic", lambda: now[0])
    pace = Pace(3, 30.0)
    assert [pace.left("a") for _ in range(4)] == [True, True, True, False]
    assert pace.left("b")
    now[0] = 9.0
    assert not pace.left("a")
    now[0] = 20.1
    assert [pace.left("a") for _ in range(3)] == [True, True, False]
    assert pace.left("b", spend=0)
    monkeypatch.setattr(paces, "_KEYS", 2)
    for who in "cdefg":
        pace.left(who)
    assert len(pace._seen) == 2


def test_who_draws_too_often_waits(hub, monkeypatch):
    client, database, _ = hub
    client.app.state.desk._draws = Pace(2, 60.0)
    mine = bearer(database)
    found = [client.get(f"/api/v1/preview/{A}?n=2", headers=mine).status_code for _ in range(3)]
    assert found == [200, 200, 429]
    assert client.get(f"/api/v1/preview/{A}?n=2", headers=bearer(database, "Bo")).status_code == 200


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\r\nSet-Cookie: x=y"],
)
def test_signing_in_leads_nowhere_else(hub, place):
    client, database, _ = hub
    token = new_token(database, "Ana")[0]
    answer = client.post("/sign-in", data={"token": token, "following": place}, headers=OURS, follow_redirects=False)
    assert answer.headers["location"] == "/"
    assert "evil.example" not in client.get("/sign-in", params={"following": place}).text


def test_a_wrong_token_is_told_on_the_page_and_kept_nowhere(hub):
    client, database, _ = hub
    token = new_token(database, "Ana")[0][:-1] + "_"
    answer = client.post("/sign-in", data={"token": token}, headers=OURS)
    assert answer.status_code == 401
    assert "not known" in answer.text
    assert token.split("_", 2)[2] not in answer.text
    assert not any(token.split("_", 2)[2] in one.subject + one.detail for one in lines(database))
    assert client.post("/sign-in", content=b"token=" + b"x" * 20_000, headers=OURS).status_code == 400
    assert client.post("/sign-in", content=b"%ff=1&" * 60, headers=OURS).status_code in (400, 401)


def test_a_closed_hub_shows_nothing(clinic, tmp_path):
    (clinic.home / "hub.db").unlink(missing_ok=True)
    with kit.guarded(clinic, tier="public", closed=True) as (client, database, _):
        for path in (
            "/",
            f"/releases/{A}",
            "/statistics",
            "/compare",
            f"/dossiers/{A}",
            f"/play/{A}",
            "/filters/label",
            f"/terms/{A}",
        ):
            answer = client.get(path, follow_redirects=False)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path
        for path in (
            "/api/v1/releases",
            f"/api/v1/releases/{A}",
            f"/api/v1/files/{A}",
            f"/api/v1/sample/{A}",
            f"/api/v1/preview/{A}",
        ):
            assert client.get(path).status_code == 401, path
        assert client.get("/sign-in").status_code == client.get("/static/hub.css").status_code == 200
        assert client.get("/api/v1/releases", headers=bearer(database)).json()["total"] == 5
        assert client.get("/api/v1/releases", headers=bearer(database, "B", scopes=["pull"])).status_code == 403


def test_pages_say_what_is_needed(hub):
    client, database, rules = hub
    rules.set("cardio/a", "terms", text="Be <b>kind</b>.")
    rules.set("research/*", "sample-only", rows=1234)
    page = client.get(f"/releases/{A}").text
    assert "accepted its terms" in page
    assert f'href="/terms/{A}"' in page
    assert "Be &lt;b&gt;kind&lt;/b&gt;." in client.get(f"/terms/{A}").text
    assert "/sign-in?following=" in client.get(f"/terms/{A}").text
    limited = client.get("/releases/research/open:1").text
    assert "1,234" in limited
    assert "/files/" not in limited
    signed_in(client, database)
    assert "I accept these terms" in client.get(f"/terms/{A}").text
    assert client.get("/terms/region/all:1").status_code == 404
    assert "Nothing beyond" in client.get("/account").text


def test_without_accounts_there_are_none(clinic):
    with kit.served(clinic) as (client, _):
        for path in ("/sign-in", "/account", f"/terms/{A}"):
            assert client.get(path).status_code == 404
        assert "Sign in" not in client.get("/").text
        assert client.get(f"/api/v1/files/{A}").status_code == 200
