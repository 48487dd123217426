"""The calls to a registry, and what it may answer."""

import base64
import io
import json
import ssl

import httpx2
import pytest

from hub_kit import PLACE, Broken, FakeRegistry
from wardgan.errors import HubError, UsageError
from wardgan.hub import line as lines
from wardgan.hub import registry as registries
from wardgan.hub.line import TRIES
from wardgan.hub.logins import user_of
from wardgan.hub.registry import Registry
from wardgan.seal.oci import digest_of

DATA = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def _nobody_signed_in(monkeypatch, tmp_path):
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def put(fake, data=DATA, **more):
    seen = []
    fake.client().put("a", digest_of(data), len(data), io.BytesIO(data), seen.append, **more)
    return seen


def status(code, **headers):
    return lambda request, registry: httpx2.Response(code, headers=headers)


def line(error=httpx2.ConnectError):
    return lambda request, registry: error("broken")


def test_what_is_put_in_comes_out():
    fake = FakeRegistry()
    assert sum(put(fake)) == len(DATA)
    client = fake.client()
    assert b"".join(client.blob("a", digest_of(DATA), len(DATA))) == DATA
    assert b"".join(client.blob("a", digest_of(DATA), len(DATA), 100)) == DATA[100:]
    assert client.has("a", digest_of(DATA), len(DATA))
    assert not client.has("a", digest_of(DATA), len(DATA) + 1)
    assert not client.has("a", digest_of(b"x"), 1)


def test_large_blobs_travel_in_pieces(monkeypatch):
    monkeypatch.setattr(registries, "_PIECE", 1000)
    fake = FakeRegistry()
    seen = put(fake)
    assert fake.blobs[digest_of(DATA)] == DATA
    assert sum(seen) == len(DATA)
    assert sum(one.startswith("PATCH") for one in fake.asked) == 10


def half_arrives(request, registry):
    """A piece arrives by half, then the line breaks."""
    if request.method != "PATCH":
        return None
    at = int(request.url.path.rpartition("/")[2])
    registry.uploads[at] += request.content[:400]
    return httpx2.ReadError("broken")


def only(method, fault):
    return lambda request, registry: fault(request, registry) if request.method == method else None


def lost_answer(request, registry):
    """All arrives, but nobody hears of it."""
    if request.method != "PUT":
        return None
    registry.answer(request)
    return httpx2.ReadError("broken")


def forgotten(request, registry):
    """The registry has been started anew and forgot the upload."""
    if request.method != "PATCH":
        return None
    registry.uploads.clear()
    return httpx2.Response(404)


@pytest.mark.parametrize(
    "faults",
    [
        [half_arrives], [half_arrives, half_arrives], [only("PATCH", status(503))], [only("PATCH", line())],
        [only("PUT", status(500))], [only("PUT", line())], [lost_answer], [forgotten], [only("POST", status(429))],
        [only("POST", line()), only("PATCH", status(502)), half_arrives, lost_answer],
    ],
)  # fmt: skip
def test_an_upload_survives(faults, monkeypatch):
    monkeypatch.setattr(registries, "_PIECE", 1000)
    fake = FakeRegistry(faults=list(faults))
    seen = put(fake)
    assert fake.blobs == {digest_of(DATA): DATA}
    assert sum(seen) == len(DATA)
    assert fake.faults == []


def test_an_upload_that_never_arrives_ends():
    fake = FakeRegistry(faults=[only("PUT", status(500))] * 99)
    with pytest.raises(HubError, match=f"did not arrive in {TRIES} tries"):
        put(fake)


def test_a_broken_download_goes_on_where_it_was():
    fake = FakeRegistry(blobs={digest_of(DATA): DATA})

    def cut(request, registry):
        begin = int(request.headers.get("Range", "bytes=0-")[6:-1])
        return httpx2.Response(206 if begin else 200, stream=Broken(DATA[begin : begin + 3000]))

    fake.faults += [cut, cut]
    assert b"".join(fake.client().blob("a", digest_of(DATA), len(DATA))) == DATA
    assert len(fake.waited) == 2


def test_a_server_without_ranges_sends_all_again():
    fake = FakeRegistry(faults=[status(200)])
    fake.faults[0] = lambda request, registry: httpx2.Response(200, content=DATA)
    assert b"".join(fake.client().blob("a", digest_of(DATA), len(DATA), 5000)) == DATA[5000:]


def test_more_than_was_asked_for_is_not_read_to_its_end():
    pieces = []

    def endless(request, registry):
        def bytes_():
            while True:
                pieces.append(1)
                yield bytes(1 << 16)

        return httpx2.Response(200, content=bytes_())

    client = Registry(PLACE, transport=Streaming(endless))
    read = sum(map(len, client.blob("a", digest_of(b"x"), 1 << 20)))
    assert 1 << 20 < read < 3 << 20
    with pytest.raises(HubError, match="sent more than"):
        client.manifest("a", "1")
    assert len(pieces) < 200


class Streaming(httpx2.BaseTransport):
    """Gives answers without reading them first."""

    def __init__(self, answer):
        self.answer = answer

    def handle_request(self, request):
        return self.answer(request, None)


def stream_of(chunks):
    class Chunks(httpx2.SyncByteStream):
        def __iter__(self):
            yield from chunks()

    return Chunks()


def endless():
    while True:
        yield bytes(1 << 16)


@pytest.mark.parametrize("code", [200, 401, 403, 404, 500])
def test_no_answer_is_read_without_an_end(code):
    def answer(request, _):
        return httpx2.Response(code, stream=stream_of(endless), headers={"WWW-Authenticate": "Basic"})

    client = Registry(PLACE, pause=lambda _: None, transport=Streaming(answer))
    for ask in (
        lambda: client.tags("a"),
        lambda: client.manifest("a", "1"),
        lambda: put(FakeRegistry(faults=[answer] * 99)),
    ):
        with pytest.raises(HubError):
            ask()
    if code != 200:
        with pytest.raises(HubError):
            list(client.blob("a", digest_of(DATA), len(DATA)))


def test_a_line_that_brings_nothing_ends():
    for brings in (0, 1):

        def answer(request, _, brings=brings):
            begin = int(request.headers.get("Range", "bytes=0-")[6:-1])
            return httpx2.Response(206 if begin else 200, stream=Broken(DATA[begin : begin + brings]))

        waited = []
        client = Registry(PLACE, pause=waited.append, transport=Streaming(answer))
        with pytest.raises(HubError, match="cannot be reached"):
            list(client.blob("a", digest_of(DATA), len(DATA)))
        assert len(waited) == TRIES - 1


def test_an_answer_that_never_comes_to_its_end_is_given_up(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])

    def slowly():
        while True:
            now[0] += 5.0
            yield b"x"

    client = Registry(PLACE, transport=Streaming(lambda *_: httpx2.Response(200, stream=stream_of(slowly))))
    with pytest.raises(HubError, match="less than 1,024 bytes a second"):
        client.tags("a")
    with pytest.raises(HubError, match="less than 1,024 bytes a second"):
        list(client.blob("a", digest_of(DATA), len(DATA)))


@pytest.mark.parametrize("headers", [{}, {"Range": "0-0"}])
def test_a_registry_that_takes_pieces_and_keeps_none(headers, monkeypatch):
    monkeypatch.setattr(registries, "_PIECE", 1000)
    lost = only("PATCH", lambda *_: httpx2.Response(202, headers={"Location": "/uploads/0", **headers}))
    fake = FakeRegistry(faults=[lost] * 99)
    with pytest.raises(HubError, match="did not arrive in 5 tries"):
        put(fake)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, json={"tags": 5}), httpx2.Response(200, json=[1]), httpx2.Response(200, content=b"[" * 100_000),
        httpx2.Response(400, content=b"[" * 100_000), httpx2.Response(200, content=b"\xff"),
        httpx2.Response(200, json={"tags": []}, headers={"Link": '<https://[bad>; rel="next"'}),
        httpx2.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://[bad"'}),
        httpx2.Response(401, headers={"WWW-Authenticate": 'Bearer realm="not an address"'}),
        httpx2.Response(503, headers={"Retry-After": "\u00b2".encode("latin-1")}),
    ],
)  # fmt: skip
def test_strange_answers_are_refusals_and_no_faults(answer):
    client = Registry(PLACE, pause=lambda _: None, transport=Streaming(lambda *_: answer))
    with pytest.raises(HubError):
        client.tags("a")


def test_headers_in_any_letters_are_taken():
    def answer(*_):
        return httpx2.Response(
            200, json={"tags": ["1"]}, headers=[(b"X-Hospital", "Universit\u00e4t".encode("latin-1"))]
        )

    assert Registry(PLACE, transport=Streaming(answer)).tags("a") == ["1"]


@pytest.mark.parametrize(
    "where", [f"https://{PLACE}/v2/", "https://[bad", "ftp://x.example/", "http://other.example/", ""]
)
def test_redirections_that_lead_nowhere(where):
    answer = httpx2.Response(307, headers={"Location": where})
    client = Registry(PLACE, transport=Streaming(lambda *_: answer))
    with pytest.raises(HubError, match=r"leads|did not say"):
        list(client.blob("a", digest_of(DATA), len(DATA)))


def test_it_waits_longer_each_time_and_no_longer_than_it_is_asked():
    fake = FakeRegistry(faults=[status(503), status(500), status(502)])
    assert fake.client().tags("a") == []
    assert len(fake.waited) == 3
    assert fake.waited[0] < 2 < fake.waited[2]
    fake = FakeRegistry(faults=[status(429, **{"Retry-After": "7"}), status(429, **{"Retry-After": "9999"})])
    fake.client().tags("a")
    assert fake.waited == [7, 30]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (line(), r"cannot be reached \(ConnectError, tried 5 times\)"),
        (line(lambda _: httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]")), "certificate is not trusted.*SSL_CERT_FILE"),
        (status(503), "answered HTTP 503"),
        (status(403), "refuses tags of a"),
        (status(507), "no room left"),
        (lambda *_: httpx2.Response(200, content=b"<html>"), "came in another form"),
        (lambda *_: httpx2.Response(400, json={"errors": [{"message": "bad\x1b[2J"}]}), r"HTTP 400 for tags of a\.$"),
        (lambda *_: httpx2.Response(400, json={"errors": [{"message": "name invalid"}]}), "HTTP 400 for tags of a: name invalid"),
        (lambda *_: httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=Broken(b"x")), "compressed bytes"),
        (lambda *_: httpx2.Response(200, json={"tags": []}, headers={"Link": '<https://evil.example/>; rel="next"'}), "another host"),
        (lambda *_: httpx2.Response(200, json={"tags": []}, headers={"Link": '</v2/x>; rel="next"'}), "does not end"),
    ],
)  # fmt: skip
def test_errors_say_what_happened(fault, why, monkeypatch):
    monkeypatch.setattr(registries, "_PAGES", 20)
    fake = FakeRegistry(faults=[fault] * 50)
    client = Registry(PLACE, pause=fake.waited.append, transport=Streaming(lambda request, _: fake(request)))
    with pytest.raises(HubError, match=why):
        client.tags("a")


def test_lists_come_in_pages_and_only_names_are_taken():
    fake = FakeRegistry(manifests={("a", tag): b"{}" for tag in ("1", "2", "3", "4", "5")})
    assert fake.client().tags("a") == ["1", "2", "3", "4", "5"]
    assert fake.client().tags("b") == []
    fake.manifests |= {("../b", "1"): b"{}", ("c", "x y"): b"{}", ("c", "1"): b"{}"}
    assert fake.client().names() == ["a", "c"]
    assert fake.client().tags("c") == ["1"]


def test_a_manifest_by_digest_must_be_it():
    fake = FakeRegistry(manifests={("a", digest_of(b"{}")): b"{} "})
    with pytest.raises(HubError, match="other bytes"):
        fake.client().manifest("a", digest_of(b"{}"))


# --- who is there ------------------------------------------------------------------------------------------------------


def signed_in(monkeypatch, tmp_path, place=PLACE, **entry):
    path = tmp_path / "auth.json"
    entry = entry or {"auth": base64.b64encode(b"ada:s3cret").decode()}
    path.write_text(json.dumps({"auths": {place: entry}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
    return path


def basic(request, registry):
    wanted = "Basic " + base64.b64encode(b"ada:s3cret").decode()
    if request.headers.get("Authorization") == wanted:
        return registry.answer(request)
    return httpx2.Response(401, headers={"WWW-Authenticate": 'Basic realm="x"'})


def test_a_registry_with_a_password(monkeypatch, tmp_path):
    fake = FakeRegistry(faults=[basic] * 50, blobs={digest_of(DATA): DATA})
    with pytest.raises(HubError, match=f"asks who you are; sign in with: docker login {PLACE}"):
        fake.client().tags("a")
    signed_in(monkeypatch, tmp_path)
    client = fake.client()
    assert b"".join(client.blob("a", digest_of(DATA), len(DATA))) == DATA
    fake.asked.clear()
    put(fake, b"other")
    assert fake.blobs[digest_of(b"other")] == b"other"
    signed_in(monkeypatch, tmp_path, auth=base64.b64encode(b"ada:wrong").decode())
    with pytest.raises(HubError, match="refuses tags of a"):
        fake.client().tags("a")


def bearer(realm):
    def answer(request, registry):
        if request.url.host == "auth.example":
            registry.tokens = [*getattr(registry, "tokens", []), dict(request.url.params)]
            registry.signs = request.headers.get("Authorization")
            return httpx2.Response(200, json={"token": "t0ken"})
        if request.headers.get("Authorization") == "Bearer t0ken":
            return registry.answer(request)
        return httpx2.Response(
            401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="r",scope="repository:a:pull"'}
        )

    return answer


def test_a_registry_with_tokens(monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path)
    fake = FakeRegistry(faults=[bearer("https://auth.example/token")] * 50, manifests={("a", "1"): b"{}"})
    client = fake.client()
    assert client.tags("a") == ["1"]
    assert client.tags("a") == ["1"]
    assert fake.tokens == [{"service": "r", "scope": "repository:a:pull"}]
    assert fake.signs.startswith("Basic ")


def test_passwords_do_not_go_to_an_address_without_tls(monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path)
    fake = FakeRegistry(faults=[bearer("http://auth.example/token")] * 50)
    with pytest.raises(HubError, match="without TLS"):
        fake.client().tags("a")
    assert not hasattr(fake, "signs")


def test_passwords_do_not_follow_to_another_host(monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path)
    heard = []

    def storage(request, registry):
        if request.url.host == "storage.example":
            heard.append(request.headers.get("Authorization"))
            return httpx2.Response(200, content=DATA)
        if request.headers.get("Authorization") is None:
            return httpx2.Response(401, headers={"WWW-Authenticate": "Basic"})
        return httpx2.Response(307, headers={"Location": "https://storage.example/x"})

    fake = FakeRegistry(faults=[storage] * 50)
    assert b"".join(fake.client().blob("a", digest_of(DATA), len(DATA))) == DATA
    assert heard == [None]


def test_passwords_do_not_go_to_another_host_that_takes_uploads(monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path)
    heard = []

    def elsewhere(request, registry):
        if request.url.host == "storage.example":
            heard.append(request.headers.get("Authorization"))
            return (
                httpx2.Response(401, headers={"WWW-Authenticate": "Basic"}) if len(heard) == 1 else httpx2.Response(201)
            )
        if request.headers.get("Authorization") is None:
            return httpx2.Response(401, headers={"WWW-Authenticate": "Basic"})
        if request.method == "POST":
            return httpx2.Response(202, headers={"Location": "https://storage.example/x"})
        return None

    fake = FakeRegistry(faults=[elsewhere] * 50)
    with pytest.raises(HubError, match="refuses"):
        put(fake)
    assert heard == [None]


def test_passwords_do_not_go_where_a_storage_host_says(monkeypatch, tmp_path):
    """A host to which a registry leads may not ask in the registry's name."""
    signed_in(monkeypatch, tmp_path)
    heard = []

    def answer(request, registry):
        heard.append((request.url.host, request.url.scheme, request.headers.get("Authorization")))
        if request.url.host == "cdn.example":
            return httpx2.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://evil.example/t"'})
        if request.url.host != PLACE:
            return httpx2.Response(200, json={"token": "x"})
        if request.headers.get("Authorization") is None:
            return httpx2.Response(401, headers={"WWW-Authenticate": "Basic"})
        return httpx2.Response(307, headers={"Location": "https://cdn.example/x"})

    client = FakeRegistry(faults=[answer] * 50).client()
    for _ in range(2):  # before and after the registry itself has asked
        with pytest.raises(HubError):
            list(client.blob("a", digest_of(DATA), len(DATA)))
    assert {host for host, _, header in heard if header} == {PLACE}
    assert "evil.example" not in {host for host, *_ in heard}


def test_another_port_is_somebody_else(monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path)
    heard = []

    def answer(request, registry):
        heard.append((request.url.port, request.headers.get("Authorization")))
        if request.url.port == 8443:
            return httpx2.Response(200, content=DATA)
        if request.headers.get("Authorization") is None:
            return httpx2.Response(401, headers={"WWW-Authenticate": "Basic"})
        return httpx2.Response(307, headers={"Location": f"https://{PLACE}:8443/x"})

    client = FakeRegistry(faults=[answer] * 50).client()
    for _ in range(2):
        assert b"".join(client.blob("a", digest_of(DATA), len(DATA))) == DATA
    assert [header for port, header in heard if port == 8443] == [None, None]


@pytest.mark.parametrize("way", ["Location", "Link"])
def test_an_address_without_tls_on_the_same_host_is_asked_with_tls(way, monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path)
    seen = []

    def answer(request, registry):
        seen.append((request.url.scheme, request.headers.get("Authorization")))
        if request.headers.get("Authorization") is None:
            return httpx2.Response(401, headers={"WWW-Authenticate": "Basic"})
        if request.method == "POST":
            return httpx2.Response(202, headers={"Location": f"http://{PLACE}/uploads/0"})
        if way == "Link" and "begin" not in request.url.params:
            return httpx2.Response(
                200, json={"tags": ["1"]}, headers={"Link": f'<http://{PLACE}/v2/a/tags/list?begin=1>; rel="next"'}
            )
        return httpx2.Response(201 if request.method == "PUT" else 200, json={"tags": ["2"]})

    fake = FakeRegistry(faults=[answer] * 50)
    if way == "Link":
        assert fake.client().tags("a") == ["1", "2"]
    else:
        put(fake)
    assert {scheme for scheme, _ in seen} == {"https"}


def test_a_registry_without_tls_sends_nobody_elsewhere_without_tls(monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path, place="localhost:5000")
    fake = FakeRegistry(faults=[bearer("http://auth.example/token")] * 9)
    with pytest.raises(HubError, match="without TLS"):
        fake.client("localhost:5000").tags("a")
    assert not hasattr(fake, "signs")


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert not Registry("localhost:5000")._line._client._mounts
    assert Registry("r.example")._line._client._mounts


@pytest.mark.parametrize("place", ["R.Example", "r.example:443"])
def test_a_host_written_in_another_way_is_the_same(place, monkeypatch, tmp_path):
    from wardgan.hub.target import hub_of

    written = hub_of(place).place
    signed_in(monkeypatch, tmp_path, place=written)
    fake = FakeRegistry(faults=[basic] * 9, manifests={("a", "1"): b"{}"})
    assert fake.client(written).tags("a") == ["1"]


def test_a_sign_in_for_a_name_below_the_host(monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path, place=f"{PLACE}/cardio")
    assert user_of(PLACE) == "ada:s3cret"


def test_what_a_registry_may_ask_for():
    for header in ("", "Negotiate", 'Digest realm="x"', "\x1b]0;evil\x07X"):
        fake = FakeRegistry(faults=[status(401, **{"WWW-Authenticate": header})] * 9)
        with pytest.raises(HubError, match="way of signing in that is not known"):
            fake.client().tags("a")
    for answer in (
        httpx2.Response(200, json={"token": "a\nb"}),
        httpx2.Response(200, content=b"x"),
        httpx2.Response(500),
    ):
        asks = bearer("https://auth.example/token")
        fake = FakeRegistry(faults=[lambda r, f, a=answer, b=asks: a if r.url.host == "auth.example" else b(r, f)] * 9)
        with pytest.raises(HubError, match="gave no token"):
            fake.client().tags("a")


def test_sign_ins_are_looked_for_where_tools_put_them(monkeypatch, tmp_path):
    home = tmp_path / "home"
    assert user_of(PLACE) is None
    (home / ".docker").mkdir(parents=True)
    entry = {"auth": base64.b64encode(b"a:1").decode()}
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {f"https://{PLACE}": entry}, "x": 1}))
    assert user_of(PLACE) == "a:1"
    assert user_of("other.example") is None
    signed_in(monkeypatch, tmp_path)
    assert user_of(PLACE) == "ada:s3cret"
    signed_in(monkeypatch, tmp_path, auth="%%%")
    with pytest.raises(UsageError, match="malformed; sign in again"):
        user_of(PLACE)
    signed_in(monkeypatch, tmp_path, email="a@b.example")
    with pytest.raises(UsageError, match="another program"):
        user_of(PLACE)
    (tmp_path / "auth.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read as a file of sign-ins"):
        user_of(PLACE)


def test_tls_is_left_out_on_this_machine_only():
    assert Registry("localhost:5000")._line._client.base_url.scheme == "http"
    assert Registry("r.example")._line._client.base_url.scheme == "https"
    assert Registry("r.example", plain=True)._line._client.base_url.scheme == "http"
    assert Registry("r.example")._line._client._transport._pool._ssl_context.verify_mode == ssl.CERT_REQUIRED
