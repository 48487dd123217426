"""The calls to a registry, and what it may answer."""

import base64
import io
import json
import ssl

import httpx
import pytest

from hub_kit import PLACE, Broken, FakeRegistry
from wardgan.errors import HubError, UsageError
from wardgan.hub import registry as registries
from wardgan.hub.logins import user_of
from wardgan.hub.registry import TRIES, Registry
from wardgan.hub.store import digest_of

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
    return lambda request, registry: httpx.Response(code, headers=headers)


def line(error=httpx.ConnectError):
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
    return httpx.ReadError("broken")


def only(method, fault):
    return lambda request, registry: fault(request, registry) if request.method == method else None


def lost_answer(request, registry):
    """All arrives, but nobody hears of it."""
    if request.method != "PUT":
        return None
    registry.answer(request)
    return httpx.ReadError("broken")


def forgotten(request, registry):
    """The registry has been started anew and forgot the upload."""
    if request.method != "PATCH":
        return None
    registry.uploads.clear()
    return httpx.Response(404)


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
        return httpx.Response(206 if begin else 200, stream=Broken(DATA[begin : begin + 3000]))

    fake.faults += [cut, cut]
    assert b"".join(fake.client().blob("a", digest_of(DATA), len(DATA))) == DATA
    assert len(fake.waited) == 2


def test_a_server_without_ranges_sends_all_again():
    fake = FakeRegistry(faults=[status(200)])
    fake.faults[0] = lambda request, registry: httpx.Response(200, content=DATA)
    assert b"".join(fake.client().blob("a", digest_of(DATA), len(DATA), 5000)) == DATA[5000:]


def test_more_than_was_asked_for_is_not_read_to_its_end():
    pieces = []

    def endless(request, registry):
        def bytes_():
            while True:
                pieces.append(1)
                yield bytes(1 << 16)

        return httpx.Response(200, content=bytes_())

    client = Registry(PLACE, transport=Streaming(endless))
    read = sum(map(len, client.blob("a", digest_of(b"x"), 1 << 20)))
    assert 1 << 20 < read < 3 << 20
    with pytest.raises(HubError, match="sent more than"):
        client.manifest("a", "1")
    assert len(pieces) < 200


class Streaming(httpx.BaseTransport):
    """Gives answers without reading them first."""

    def __init__(self, answer):
        self.answer = answer

    def handle_request(self, request):
        return self.answer(request, None)


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
        (line(lambda _: httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]")), "certificate is not trusted.*SSL_CERT_FILE"),
        (status(503), "answered HTTP 503"),
        (status(403), "refuses tags of a"),
        (status(507), "no room left"),
        (lambda *_: httpx.Response(200, content=b"<html>"), "no JSON"),
        (lambda *_: httpx.Response(400, json={"errors": [{"message": "bad\x1b[2J"}]}), r"HTTP 400 for tags of a\.$"),
        (lambda *_: httpx.Response(400, json={"errors": [{"message": "name invalid"}]}), "HTTP 400 for tags of a: name invalid"),
        (lambda *_: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Broken(b"x")), "compressed bytes"),
        (lambda *_: httpx.Response(200, json={"tags": []}, headers={"Link": '<https://evil.example/>; rel="next"'}), "another host"),
        (lambda *_: httpx.Response(200, json={"tags": []}, headers={"Link": '</v2/x>; rel="next"'}), "does not end"),
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
    return httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="x"'})


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
            return httpx.Response(200, json={"token": "t0ken"})
        if request.headers.get("Authorization") == "Bearer t0ken":
            return registry.answer(request)
        return httpx.Response(
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
            return httpx.Response(200, content=DATA)
        if request.headers.get("Authorization") is None:
            return httpx.Response(401, headers={"WWW-Authenticate": "Basic"})
        return httpx.Response(307, headers={"Location": "https://storage.example/x"})

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
                httpx.Response(401, headers={"WWW-Authenticate": "Basic"}) if len(heard) == 1 else httpx.Response(201)
            )
        if request.headers.get("Authorization") is None:
            return httpx.Response(401, headers={"WWW-Authenticate": "Basic"})
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": "https://storage.example/x"})
        return None

    fake = FakeRegistry(faults=[elsewhere] * 50)
    with pytest.raises(HubError, match="refuses"):
        put(fake)
    assert heard == [None]


def test_what_a_registry_may_ask_for():
    for header in ("", "Negotiate", 'Digest realm="x"'):
        fake = FakeRegistry(faults=[status(401, **{"WWW-Authenticate": header})] * 9)
        with pytest.raises(HubError, match="way of signing in that is not known"):
            fake.client().tags("a")
    for answer in (httpx.Response(200, json={"token": "a\nb"}), httpx.Response(200, content=b"x"), httpx.Response(500)):
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
    assert Registry("localhost:5000")._client.base_url.scheme == "http"
    assert Registry("r.example")._client.base_url.scheme == "https"
    assert Registry("r.example", plain=True)._client.base_url.scheme == "http"
    assert Registry("r.example")._client._transport._pool._ssl_context.verify_mode == ssl.CERT_REQUIRED
