"""A hub behind its pages, asked by a program: the same API, and nothing of it is believed before it is checked."""

import contextlib
import json
import threading

import httpx2
import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")
pytest.importorskip("uvicorn", reason="uvicorn is not installed (the extra hub)")

import uvicorn

import wardgan as wg
import web_kit as kit
from wardgan.access.database import Database
from wardgan.access.people import new_token
from wardgan.access.rules import Rules, default
from wardgan.errors import DigestError, HubError, OutputError, TrustError, UsageError
from wardgan.hub import bearer
from wardgan.hub import site as sites
from wardgan.hub.site import Site
from wardgan.hub.target import hub_of, target_of
from wardgan.seal import keys
from wardgan.web.app import create_app
from wardgan.web.desk import Desk
from wardgan.web.stock import stock_of

HUB = "https://hub.hospital.example"
A = "cardio/a:1.0"


@contextlib.contextmanager
def pages(clinic, database=None):
    """The pages of a hub on this machine, and their address."""
    stock = stock_of(clinic.home / "hub", trust=clinic.trust)
    stock.refresh()
    desk = None if database is None else Desk(database, Rules(database, default("registered")))
    config = uvicorn.Config(create_app(stock, kit.jobs_in(stock), desk=desk), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    try:
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.stocked(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def address(clinic):
    with pages(clinic) as found:
        yield found


def told(change=None, status=200, digest="sha256:" + "1" * 64):
    """A hub that answers one thing to everything."""
    found = {
        "name": "cardio/a", "tag": "1.0", "digest": digest, "manifest": digest, "kind": "model", "title": "t",
        "created": "2026-01-01", "privacy": {"mode": "none"}, "family": "copula", "licence": None, "hospitals": 1,
        "bytes": 5, "revoked": None, "leaves": [], "schema": {"name": "t", "table": {"x": {"kind": "flag"}}},
    } | (change or {})  # fmt: skip
    return httpx2.MockTransport(lambda _request: httpx2.Response(status, content=json.dumps(found).encode()))


def site(transport, place=HUB):
    return Site(place, pause=lambda _seconds: None, transport=transport)


# --- what people write ------------------------------------------------------------------------------------------------


def test_addresses():
    found = target_of(f"{HUB}/cardio/sprint:1.0")
    assert (found.place, found.name, found.tag, found.pages) == (HUB, "cardio/sprint", "1.0", True)
    assert str(found) == f"{HUB}/cardio/sprint:1.0"
    assert hub_of(f"{HUB}/cardio").name == "cardio"
    assert hub_of("http://localhost:8000/").place == "http://localhost:8000"
    assert not hub_of("hub.hospital.example").pages
    for text in ("https://", "https://a b/c", "https://user@host/x", "ftp://host/x", f"{HUB}/UPPER"):
        with pytest.raises(UsageError):
            target_of(text)
    with pytest.raises(UsageError, match="name the hub alone"):
        hub_of(f"{HUB}/cardio/sprint:1.0")


def test_tokens_do_not_travel_in_the_clear():
    with pytest.raises(UsageError, match="without TLS"):
        Site("http://hub.hospital.example")
    Site("http://hub.hospital.example", plain_http=True).close()
    Site("http://localhost:8000").close()


# --- what it does -----------------------------------------------------------------------------------------------------


def test_list_search_entry_and_pull(clinic, address, tmp_path):
    hub = wg.Hub(address, trust=clinic.trust)
    there = wg.Hub(clinic.home / "hub", trust=clinic.trust)
    assert {(one.name, one.tag, one.digest) for one in hub.list()} == {
        (one.name, one.tag, one.digest) for one in there.list()
    }
    assert {one.name for one in wg.Hub(f"{address}/cardio", trust=clinic.trust).list()} == {"cardio/a"}
    assert [one.name for one in hub.search("region")] == ["region/all"]
    with pytest.raises(UsageError, match="no word"):
        hub.search(" ")
    entry = hub.entry(A)
    assert entry.signature.status == "not checked"
    assert entry.schema == there.entry(A).schema
    seen = []
    pulled = hub.pull(A, tmp_path / "a.hgan", watch=lambda *one: seen.append(one))
    assert pulled.entry.signature.status == "verified"
    assert pulled.path.read_bytes() == clinic.file("a").read_bytes()
    assert seen[-1][0] == seen[-1][1] == len(clinic.file("a").read_bytes())
    assert hub.pull("cardio/a", tmp_path / "newest.hgan").entry.tag == "1.1"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []
    with pytest.raises(OutputError, match="exists"):
        hub.pull(A, tmp_path / "a.hgan")
    with pytest.raises(DigestError, match="somebody replaced"):
        hub.pull(f"{A}@sha256:{'0' * 64}", tmp_path / "b.hgan")
    with pytest.raises(HubError, match="There is no cardio/none"):
        hub.pull("cardio/none", tmp_path / "b.hgan")
    with pytest.raises(HubError, match=r"signed by|unsigned|known"):
        hub.pull("other/unsigned:1", tmp_path / "b.hgan", any_signer=True)  # the hub does not give it away
    assert not (tmp_path / "b.hgan").exists()


def test_patients_are_drawn_there(clinic, address, tmp_path):
    hub = wg.Hub(address, trust=clinic.trust)
    path = hub.sample(A, 500, tmp_path / "some.parquet", where=["arm=intensive", "age=40..80"], seed=3)
    found = pd.read_parquet(path)
    mine = wg.load(clinic.file("a"), trust=clinic.trust).sample(
        500, where={"arm": "intensive", "age": (40, 80)}, seed=3
    )
    pd.testing.assert_frame_equal(found, mine, check_dtype=False)
    with pytest.raises(UsageError, match="nobody"):
        hub.sample(A, 5, tmp_path / "x.csv", where=["arm=nobody"])
    with pytest.raises(UsageError, match="must end with"):
        hub.sample(A, 5, tmp_path / "x.xlsx")
    with pytest.raises(OutputError, match="exists"):
        hub.sample(A, 5, tmp_path / "some.parquet")
    with pytest.raises(UsageError, match="no pages that draw"):
        wg.Hub(clinic.home / "hub").sample(A, 5, tmp_path / "x.csv")
    assert httpx2.get(f"{address}/api/v1/jobs").json() == {"files": []}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["some.parquet"]


def test_it_takes_nothing(clinic, address):
    hub = wg.Hub(address, trust=clinic.trust)
    for what in (lambda: hub.push(clinic.file("a")), lambda: hub.revoke(A, clinic.key, "wrong"), hub.stamp):
        with pytest.raises(UsageError, match="takes none"):
            what()
    with pytest.raises(UsageError, match="has pages already"):
        stock_of(address)


def test_with_accounts_a_token_is_wanted_and_only_this_hub_sees_it(clinic, tmp_path, monkeypatch):
    database = Database(tmp_path / "hub.db")
    token, _ = new_token(database, "Ana")
    with pages(clinic, database) as place:
        hub = wg.Hub(place, trust=clinic.trust)
        assert len(hub.list()) == 5
        for refused in (lambda: hub.pull(A, tmp_path / "a.hgan"), lambda: hub.sample(A, 5, tmp_path / "x.csv")):
            with pytest.raises(HubError, match="WARDGAN_TOKEN"):
                refused()
        monkeypatch.setenv("WARDGAN_TOKEN", token)
        with pytest.raises(HubError, match="WARDGAN_HUB"):
            hub.pull(A, tmp_path / "a.hgan")  # nobody said that the token is for this hub
        monkeypatch.setenv("WARDGAN_HUB", place)
        assert hub.pull(A, tmp_path / "a.hgan").path.exists()
        assert len(pd.read_csv(hub.sample(A, 5, tmp_path / "x.csv"))) >= 5
        monkeypatch.setenv("WARDGAN_TOKEN", "wgt_" + "0" * 12 + "_" + "a" * 43)
        with pytest.raises(HubError, match="not known"):
            hub.pull(A, tmp_path / "b.hgan")
    database.close()
    monkeypatch.setenv("WARDGAN_TOKEN", token)
    monkeypatch.setenv("WARDGAN_HUB", f"{HUB}/cardio")
    heard = []

    def led_away(request):
        heard.append((request.url.host, request.headers.get("authorization")))
        return httpx2.Response(302, headers={"Location": "https://elsewhere.example/"})

    with pytest.raises(HubError):
        site(httpx2.MockTransport(led_away)).entry(target_of(f"{HUB}/{A}"))
    assert heard == [("hub.hospital.example", f"Bearer {token}")]


@pytest.mark.parametrize(
    ("hub", "tokens", "asked", "sent"),
    [
        (HUB, "wgt_a", HUB, "wgt_a"),
        (HUB, "wgt_a", "https://hub.hospital.example:8443", None),
        (HUB, "wgt_a", "https://other.example", None),
        (None, "wgt_a", HUB, None),
        ("./hub", "wgt_a", HUB, None),
        ("https://[bad", "wgt_a", HUB, None),
        ("https://hub.hospital.example/cardio", "wgt_a", HUB, "wgt_a"),
        ("http://localhost:8000", "wgt_a", "https://localhost:8000", None),
        (None, "hub.hospital.example=wgt_a other.example=wgt_b", HUB, "wgt_a"),
        (HUB, "wgt_c other.example=wgt_b", "https://other.example", "wgt_b"),
        (None, "hub.hospital.example:8443=wgt_a", "https://hub.hospital.example:8443", "wgt_a"),
        (None, "evil.hub.hospital.example=wgt_a", HUB, None),
        (HUB, "", HUB, None),
    ],
)
def test_a_token_goes_to_its_own_hub_alone(monkeypatch, hub, tokens, asked, sent):
    monkeypatch.delenv("WARDGAN_HUB", raising=False)
    if hub is not None:
        monkeypatch.setenv("WARDGAN_HUB", hub)
    monkeypatch.setenv("WARDGAN_TOKEN", tokens)
    base = httpx2.URL(asked)
    assert bearer.token_for(base) == sent
    login = bearer.Bearer(asked, sent, base)
    assert login.header(base.join("/x")) == ({"Authorization": f"Bearer {sent}"} if sent else {})
    assert login.header(httpx2.URL("https://elsewhere.example/x")) == {}


def test_this_machine_is_spoken_to_with_tls_where_that_is_said():
    heard = []

    def answers(request):
        heard.append(str(request.url))
        return httpx2.Response(200, content=b"{}")

    with pytest.raises(HubError):
        site(httpx2.MockTransport(answers), "https://localhost:8443").entry(target_of(f"{HUB}/{A}"))
    assert heard[0].startswith("https://localhost:8443/")


def test_a_question_that_may_have_been_heard_is_not_asked_twice(tmp_path):
    """Each order is counted: who asks again because the answer was lost would pay again."""
    asked = []

    def answers(request):
        asked.append(request.method)
        if len(asked) < 3:
            raise httpx2.ConnectError("nobody there yet")
        raise httpx2.ReadTimeout("lost")

    with pytest.raises(HubError, match="cannot be reached"):
        site(httpx2.MockTransport(answers)).draw(
            target_of(f"{HUB}/{A}"), tmp_path / "x.csv", {"n": 5}, "csv", lambda *_: None, force=False
        )
    assert asked == ["POST"] * 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_gets_an_order_once(tmp_path, status):
    asked = []

    def answers(request):
        asked.append(request.method)
        return httpx2.Response(status, content=json.dumps({"error": {"kind": "HubError", "message": "busy"}}).encode())

    with pytest.raises(HubError, match="busy"):
        site(httpx2.MockTransport(answers)).draw(
            target_of(f"{HUB}/{A}"), tmp_path / "x.csv", {"n": 5}, "csv", lambda *_: None, force=False
        )
    assert asked == ["POST"]


def drawn(tmp_path, file, number="1" * 32, said=5):
    """A file drawn at a hub that answers so when it is asked for it, each time with the next."""
    job = {"id": number, "state": "ready", "done": 5, "n": 5, "bytes": said}
    asked, answers = [], list(file)

    def told_of(request):
        asked.append(request.method + request.url.path.rpartition("/")[2])
        if request.url.path.endswith("/file"):
            return answers.pop(0)
        return httpx2.Response(202 if request.method == "POST" else 200, content=json.dumps(job).encode())

    site(httpx2.MockTransport(told_of)).draw(
        target_of(f"{HUB}/{A}"), tmp_path / "x.csv", {"n": 5}, "csv", lambda *_: None, force=False
    )
    return asked


class Cut(httpx2.SyncByteStream):
    def __iter__(self):
        yield b"ab"
        raise httpx2.ReadError("broken")


def test_a_busy_hub_is_asked_for_its_file_again(tmp_path):
    busy = httpx2.Response(429, headers={"Retry-After": "1"}, content=b"{}")
    asked = drawn(tmp_path, [busy, httpx2.Response(200, content=b"hello")])
    assert asked.count("GETfile") == 2
    assert (tmp_path / "x.csv").read_bytes() == b"hello"


def test_who_gives_no_parts_of_files_sends_all_of_it_again(tmp_path):
    half = httpx2.Response(200, headers={"Content-Length": "5"}, stream=Cut())
    drawn(tmp_path, [half, httpx2.Response(200, content=b"hello")])
    assert (tmp_path / "x.csv").read_bytes() == b"hello"


def test_nothing_is_left_of_a_file_that_did_not_come(tmp_path):
    cut = [httpx2.Response(206 if at else 200, headers={"Content-Length": "3"}, stream=Cut()) for at in range(9)]
    with pytest.raises(HubError):
        drawn(tmp_path, cut)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["", "a/../../x", "1" * 31, "A" * 32, None])
def test_numbers_of_files_are_checked(tmp_path, number):
    with pytest.raises(HubError, match="no answer"):
        drawn(tmp_path, [], number)


def test_sizes_that_nobody_signed_do_not_fill_the_disk(tmp_path, monkeypatch):
    pulled = {"any_signer": True, "even_revoked": False, "force": False}
    with pytest.raises(HubError, match="nobody signed"):
        site(told({"bytes": 2**40})).pull(target_of(f"{HUB}/{A}"), tmp_path / "a.hgan", lambda *_: None, **pulled)
    monkeypatch.setattr(sites.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1_000})())
    with pytest.raises(OutputError, match="do not fit"):
        drawn(tmp_path, [httpx2.Response(200, content=b"hello")])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_nobody_known_signed_is_refused(clinic, tmp_path):
    """Whatever the hub says of it."""
    data = clinic.file("by nobody", signed=False).read_bytes()
    digest = wg.inspect(clinic.file("by nobody", signed=False))["digest"]

    def answers(request):
        if "/files/" in request.url.path:
            return httpx2.Response(200, content=data)
        return told({"bytes": len(data)}, digest=digest).handle_request(request)

    one = Site(HUB, trust=clinic.trust, pause=lambda _seconds: None, transport=httpx2.MockTransport(answers))
    target, pulled = target_of(f"{HUB}/{A}"), {"even_revoked": False, "force": False}
    with pytest.raises(TrustError):
        one.pull(target, tmp_path / "a.hgan", lambda *_: None, any_signer=False, **pulled)
    assert list(tmp_path.iterdir()) == []
    one.pull(target, tmp_path / "a.hgan", lambda *_: None, any_signer=True, **pulled)


def test_a_key_that_is_known_here_revokes_though_the_hub_does_not_know_it(clinic, tmp_path):
    keyid = keys.read_trust(clinic.trust).keys[0].keyid
    revoked = {"by": None, "keyid": keyid, "date": "2026-01-02", "reason": "wrong", "broken": False}
    one = Site(HUB, trust=clinic.trust, pause=lambda _seconds: None, transport=told({"revoked": revoked}))
    assert one.entry(target_of(f"{HUB}/{A}")).revoked.holds
    with pytest.raises(TrustError, match="was revoked by"):
        one.pull(target_of(f"{HUB}/{A}"), tmp_path / "a.hgan", lambda *_: None, any_signer=True,
                 even_revoked=False, force=False)  # fmt: skip
    stranger = {**revoked, "keyid": "1" * 64}
    one = Site(HUB, trust=clinic.trust, pause=lambda _seconds: None, transport=told({"revoked": stranger}))
    assert not one.entry(target_of(f"{HUB}/{A}")).revoked.holds


@pytest.mark.parametrize("change", [{"name": "../x"}, {"tag": "a b"}, {"manifest": "sha256:1"}, {"leaves": ["x"]}])
def test_a_list_with_what_cannot_be_a_release_is_refused(change):
    one = json.loads(told(change).handle_request(httpx2.Request("GET", HUB)).content)
    listed = httpx2.MockTransport(lambda _: httpx2.Response(200, content=json.dumps({"releases": [one]}).encode()))
    with pytest.raises(HubError, match="cannot be read"):
        site(listed).entries(None)


# --- a hub that is not what it says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../etc"}, {"tag": "a b"}, {"digest": "sha256:1"}, {"bytes": "5"}, {"leaves": ["x"]}, {"kind": None},
        {"schema": {"name": 3}}, {"privacy": {}}, {"hospitals": 1.5}, {"revoked": "yes"}, {"name": "cardio/b"}, {"tag": "2"},
    ],
)  # fmt: skip
def test_a_release_that_cannot_be_one_is_refused(change):
    with pytest.raises(HubError):
        site(told(change)).entry(target_of(f"{HUB}/{A}"))


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{", b"\xff", b'{"a": 1, "a": 2}', b'{"releases": [5]}'])
def test_answers_that_are_none_are_refused(content):
    answers = httpx2.MockTransport(lambda _request: httpx2.Response(200, content=content))
    for ask in (lambda one: one.entry(target_of(f"{HUB}/{A}")), lambda one: one.entries(None)):
        with pytest.raises((HubError, UsageError)):
            ask(site(answers))


def test_a_file_that_is_another_one_is_not_kept(clinic, tmp_path):
    data = clinic.file("a").read_bytes()

    def answers(request):
        if "/files/" in request.url.path:
            return httpx2.Response(200, content=data)
        change = {"bytes": len(data)}
        return told(change).handle_request(request)

    with pytest.raises(DigestError, match="and said it is"):
        site(answers if isinstance(answers, httpx2.BaseTransport) else httpx2.MockTransport(answers)).pull(
            target_of(f"{HUB}/{A}"),
            tmp_path / "a.hgan",
            lambda *_: None,
            any_signer=True,
            even_revoked=False,
            force=False,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("headers", "sent"), [({}, 3 << 20), ({"Content-Length": "100"}, 50), ({"Content-Length": "x"}, 5)]
)
def test_more_or_fewer_bytes_than_said_are_refused(tmp_path, headers, sent):
    class Some(httpx2.SyncByteStream):
        def __iter__(self):
            yield b"x" * sent

    def answers(request):
        if "/files/" in request.url.path:
            return httpx2.Response(200, headers={"Content-Length": str(sent)} | headers, stream=Some())
        return told({"bytes": 10}).handle_request(request)

    with pytest.raises(HubError, match="bytes"):
        site(httpx2.MockTransport(answers)).pull(
            target_of(f"{HUB}/{A}"),
            tmp_path / "a.hgan",
            lambda *_: None,
            any_signer=True,
            even_revoked=False,
            force=False,
        )
    assert not (tmp_path / "a.hgan").exists()


def test_what_was_revoked_is_not_fetched(tmp_path):
    revoked = {"by": "Us", "keyid": "1" * 64, "date": "2026-01-02", "reason": "wrong", "broken": False}
    with pytest.raises(TrustError, match="revoked by Us"):
        site(told({"revoked": revoked})).pull(
            target_of(f"{HUB}/{A}"),
            tmp_path / "a.hgan",
            lambda *_: None,
            any_signer=True,
            even_revoked=False,
            force=False,
        )


def test_a_broken_line_goes_on_where_it_was(clinic, tmp_path):
    data = clinic.file("a").read_bytes()
    there = wg.Hub(clinic.home / "hub", trust=clinic.trust).entry(A)
    asked = []

    class Half(httpx2.SyncByteStream):
        def __iter__(self):
            yield data[:1000]
            raise httpx2.ReadError("broken")

    def answers(request):
        if "/files/" not in request.url.path:
            said = {**there.to_dict(), "bytes": len(data)}
            return httpx2.Response(200, content=json.dumps(said, default=str).encode())
        asked.append(request.headers.get("range"))
        if len(asked) == 1:
            return httpx2.Response(200, headers={"Content-Length": str(len(data))}, stream=Half())
        return httpx2.Response(206, content=data[1000:])

    one = Site(HUB, trust=clinic.trust, pause=lambda _seconds: None, transport=httpx2.MockTransport(answers))
    path, _ = one.pull(
        target_of(f"{HUB}/{A}"), tmp_path / "a.hgan", lambda *_: None, any_signer=False, even_revoked=False, force=False
    )
    assert path.read_bytes() == data
    assert asked == [None, "bytes=1000-"]


def test_what_fails_there_is_told(tmp_path):
    job = {"id": "1" * 32, "state": "failed", "done": 0, "n": 5, "bytes": None, "problem": "The hub failed."}
    asked = []

    def answers(request):
        asked.append(request.method)
        return httpx2.Response(202 if request.method == "POST" else 200, content=json.dumps(job).encode())

    with pytest.raises(HubError, match="The hub failed"):
        site(httpx2.MockTransport(answers)).draw(
            target_of(f"{HUB}/{A}"), tmp_path / "x.csv", {"n": 5}, "csv", lambda *_: None, force=False
        )
    assert asked == ["POST", "GET", "DELETE"]
    assert bearer.TOKEN == "WARDGAN_TOKEN"
