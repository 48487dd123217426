"""A hub behind a registry asks that registry and nobody else, whatever visitors, publishers or the registry write."""

import base64
import contextlib
import io
import json
from urllib.parse import quote

import httpx2
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")

import hosts_kit
import release_kit
import web_kit as kit
from hub_kit import Clinic, FakeRegistry
from wardgan.access.people import new_token
from wardgan.errors import DigestError, FormatError, HubError
from wardgan.hub.hub import Hub
from wardgan.hub.parcel import RELEASE_TYPE
from wardgan.hub.registry import Registry
from wardgan.seal import artifact
from wardgan.seal.json_text import canonical
from wardgan.seal.oci import digest_of

A = "cardio/a:1.0"
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(autouse=True)
def _nobody_signed_in(monkeypatch, tmp_path):
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def other():
    with hosts_kit.elsewhere() as found:
        yield found


@pytest.fixture
def fake():
    return FakeRegistry()


@pytest.fixture
def place(fake):
    with hosts_kit.listening(fake) as found:
        yield found


@pytest.fixture
def client(place):
    with contextlib.closing(Registry(place)) as found:
        yield found


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return Clinic(tmp_path_factory.mktemp("clinic"))


def signed_in(monkeypatch, tmp_path, **users):
    """Notes sign-ins for hosts, as docker login does."""
    found = {host: {"auth": base64.b64encode(user.encode()).decode()} for host, user in users.items()}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": found}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))


# What visitors write.


def labels(host):
    """Names of releases that mean another host, or would if they were put into an address as they are."""
    return [
        f"http://{host}/x", f"https://{host}/x:1", f"//{host}/x", f"{host}/cardio/a:1.0", f"x@{host}/a:1", f"@{host}/a",
        f"a/../../..//{host}/x:1", f"..%2f..%2f{host}", f"a:1@http://{host}/", f"a\\..\\\\{host}\\x", f"a:{host}",
        f"{A}@sha256:{'0' * 64}", f"a?n=1#@{host}/", f"a\r\nHost: {host}", f"./hub:{host}/a:1", f"~/{host}", "_catalog",
        f"a:1.0/../../../_catalog?x=http://{host}", "localhost/a:1",
    ]  # fmt: skip


GETS = (
    "/releases/", "/play/", "/dossiers/", "/files/", "/terms/", "/api/v1/releases/", "/api/v1/files/",
    "/api/v1/preview/", "/api/v1/sample/", "/api/v1/dcat/",
)  # fmt: skip


def test_what_visitors_write_is_no_address(clinic, fake, place, other):
    Hub(place, trust=clinic.trust).push(clinic.file(), A)
    with kit.guarded(clinic, tier="public", place=place) as (client, database, _):
        mine = {"Authorization": f"Bearer {new_token(database, 'Ana')[0]}"}
        fake.asked.clear()
        answers = []
        for label in labels(other.place):
            path = quote(label, safe="/:@%?")
            answers += [client.get(before + path, headers=mine, follow_redirects=False) for before in GETS]
            answers.append(client.post(f"/api/v1/sample/{path}?n=5", headers=mine))
            answers += [
                client.get("/compare", params=pair, headers=mine, follow_redirects=False)
                for pair in ({"a": label, "b": A}, {"a": A, "b": label})
            ]
        assert {one.status_code for one in answers} <= {400, 404}
        # Nor is the registry asked for what they name; the hub looks by itself at what is there.
        assert {one.partition("?")[0] for one in fake.asked} <= {
            "GET /v2/_catalog", "GET /v2/cardio/a/tags/list", "GET /v2/cardio/a/manifests/1.0",
        }  # fmt: skip
        assert client.get(f"/api/v1/preview/{A}?n=5", headers=mine).status_code == 200
    assert other.heard == []


def test_where_a_visitor_goes_on_is_never_elsewhere(clinic, place, other):
    Hub(place, trust=clinic.trust).push(clinic.file(), A)
    with kit.guarded(clinic, place=place) as (client, database, _):
        for following in (f"http://{other.place}/", f"//{other.place}/", f"/\\{other.place}/", f"/\t/{other.place}/"):
            token = new_token(database, "Ana")[0]
            for answer in (
                client.get("/sign-in", params={"following": following}),
                client.post("/sign-in", data={"token": token, "following": following}, headers=OURS),
            ):
                assert other.place not in str(answer.url), following
                assert answer.status_code == 200
        for headers in ({"X-Forwarded-Host": other.place}, {"Forwarded": f"host={other.place}"}):
            assert other.place not in client.get("/sign-in", headers=headers).text
    assert other.heard == []


# What publishers write.


def test_addresses_in_a_release_are_words(tmp_path, place, other):
    clinic, where = Clinic(tmp_path), f"http://{other.place}/x"
    schema = {
        **release_kit.SCHEMA, "name": where,
        "terms": {"licence": where, "contact": where, "purpose": where, "controller": where},
    }  # fmt: skip
    path = tmp_path / "x.hgan"
    artifact.release(
        release_kit.fit(schema=schema), path, clinic.key, f"Dr Ada: {where}", training_data_id="data-0000001",
        created=release_kit.DAY,
    )  # fmt: skip
    Hub(place, trust=clinic.trust).push(path, "x:1")
    with kit.served(clinic, place=place) as (client, _):
        for page in ("/", "/releases/x:1", "/play/x:1?seed=1", "/api/v1/dcat", "/api/v1/dcat/x:1", "/compare?a=x:1&b=x:1",
                     "/dossiers/x:1", "/api/v1/files/x:1", "/statistics"):  # fmt: skip
            assert client.get(page).status_code < 500, page
        assert where in client.get("/releases/x:1").text
    assert other.heard == []


def moved(fake, label, where, change):
    """Changes a manifest in the registry so that it names another address."""
    name, _, tag = label.partition(":")
    found = json.loads(fake.manifests[name, tag])
    change(found, where)
    data = canonical(found)
    fake.manifests[name, tag] = fake.manifests[name, digest_of(data)] = data


CHANGES = {
    "urls of the config": lambda found, where: found["config"].update(urls=[where]),
    "urls of a layer": lambda found, where: found["layers"][1].update(urls=[where]),
    "urls of all layers": lambda found, where: [one.update(urls=[where]) for one in found["layers"]],
    "a note of a layer": lambda found, where: found["layers"][1].setdefault("annotations", {}).update(
        {"org.opencontainers.image.url": where, "org.opencontainers.image.source": where}
    ),
    "a note of all": lambda found, where: found["annotations"].update({"org.opencontainers.image.url": where}),
    "a subject": lambda found, where: found.update(subject={"mediaType": RELEASE_TYPE, "digest": where, "size": 1}),
    "a type": lambda found, where: found["layers"][1].update(mediaType=where),
    "a digest": lambda found, where: found["layers"][1].update(digest=where),
    "a digest that leads away": lambda found, where: found["config"].update(
        digest=f"sha256:{'0' * 64}/../../../..//{where.partition('//')[2]}"
    ),
    "a title": lambda found, where: found["layers"][1].update(
        annotations={"org.opencontainers.image.title": where}
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_addresses_in_a_manifest_are_not_followed(clinic, fake, place, other, tmp_path, what):
    hub = Hub(place, trust=clinic.trust)
    hub.push(clinic.file(), A)
    moved(fake, A, f"http://{other.place}/blob", CHANGES[what])
    kept = fake.blobs
    for fake.blobs in (kept, {}):  # also if the registry has none of its bytes
        assert [type(one).__name__ for one in hub.entries({})] == ["Broken"]
        with pytest.raises((HubError, FormatError)):
            hub.pull(A, tmp_path / "x.hgan")
    with kit.served(clinic, place=place) as (client, _):
        assert client.get("/api/v1/releases").json()["total"] == 0
        assert client.get(f"/api/v1/preview/{A}").status_code == 404
    assert other.heard == []


def test_an_index_of_a_registry_is_not_followed(clinic, fake, place, other, tmp_path):
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{'1' * 64}", "size": 9,
             "urls": [f"http://{other.place}/m"], "platform": {"architecture": f"http://{other.place}/"}}  # fmt: skip
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    fake.manifests["x", "1"] = json.dumps(index).encode()
    hub = Hub(place, trust=clinic.trust)
    assert [type(one).__name__ for one in hub.list()] == ["Broken"]
    with pytest.raises(FormatError, match="is no release"):
        hub.pull("x:1", tmp_path / "x.hgan")
    assert other.heard == []


# What a registry answers.


def redirecting(part, where, code=307):
    """Answers with a redirection whatever is asked of a kind."""

    def answer(request, _registry):
        if part not in request.url.path:
            return None
        return httpx2.Response(code, headers={"Location": where + request.url.path})

    return answer


@pytest.mark.parametrize("code", [302, 307])
@pytest.mark.parametrize("part", ["/_catalog", "/tags/list", "/manifests/"])
def test_lists_and_manifests_come_from_the_registry_alone(clinic, fake, place, other, tmp_path, part, code):
    hub = Hub(place, trust=clinic.trust)
    hub.push(clinic.file(), A)
    fake.faults += [redirecting(part, f"http://{other.place}/x", code)] * 50
    with contextlib.suppress(HubError):
        assert all(type(one).__name__ == "Broken" for one in hub.list())
    with contextlib.suppress(HubError):  # who names a release needs no list of all
        assert part == "/_catalog" or not hub.pull("cardio/a", tmp_path / "x.hgan")
    with kit.served(clinic, place=place) as (client, _):
        assert client.get("/api/v1/releases").json()["total"] == 0
    assert other.heard == []


def test_a_list_does_not_go_on_elsewhere(fake, place, client, other):
    link = {"Link": f'<http://{other.place}/v2/_catalog?last=x>; rel="next"'}
    fake.faults.append(lambda _request, _registry: httpx2.Response(200, json={"repositories": ["a"]}, headers=link))
    with pytest.raises(HubError, match="goes on at another host"):
        client.names()
    assert other.heard == []


def basic(request, _registry):
    """Asks for a password before anything else."""
    known = request.headers.get("Authorization") == "Basic " + base64.b64encode(b"ada:s3cret").decode()
    return None if known else httpx2.Response(401, headers={"WWW-Authenticate": "Basic"})


def test_bytes_may_lie_elsewhere_and_no_password_goes_there(clinic, fake, place, other, monkeypatch, tmp_path):
    """Registries leave blobs to storage hosts, which is their right: they get no password, and are not believed."""
    hub = Hub(place, trust=clinic.trust)
    hub.push(clinic.file(), A)
    signed_in(monkeypatch, tmp_path, **{place: "ada:s3cret", other.place: "bea:0ther"})
    fake.faults += [redirecting("/blobs/", f"http://{other.place}/x")] * 200
    fake.faults = [lambda request, registry, then=one: basic(request, registry) or then(request, registry)
                   for one in fake.faults]  # fmt: skip
    other.answer = lambda request: httpx2.Response(200, content=fake.blobs[request.url.path[-71:]][::-1])
    with pytest.raises(DigestError):
        hub.pull(A, tmp_path / "x.hgan")
    assert other.heard
    assert {(one.method, one.headers.get("Authorization"), one.content) for one in other.heard} == {("GET", None, b"")}
    assert "s3cret" not in str([(str(one.url), one.headers) for one in other.heard])
    assert not (tmp_path / "x.hgan").exists()


@pytest.mark.parametrize("asks", ["Basic", "Bearer"])
def test_where_bytes_lie_nobody_is_asked_who_is_there(clinic, fake, place, other, monkeypatch, tmp_path, asks):
    hub = Hub(place, trust=clinic.trust)
    hub.push(clinic.file(), A)
    signed_in(monkeypatch, tmp_path, **{place: "ada:s3cret", other.place: "bea:0ther"})
    with hosts_kit.elsewhere() as third:
        fake.faults += [redirecting("/blobs/", f"http://{other.place}/x")] * 200
        challenge = f'{asks} realm="http://{third.place}/token",service="x"'
        other.answer = lambda _request: httpx2.Response(401, headers={"WWW-Authenticate": challenge})
        with pytest.raises(HubError):
            hub.pull(A, tmp_path / "x.hgan")
        assert third.heard == []
    assert {one.headers.get("Authorization") for one in other.heard} == {None}


def realm(where, token="t0ken"):
    def answer(request, _registry):
        if request.headers.get("Authorization") == f"Bearer {token}":
            return None
        header = f'Bearer realm="{where}",service="reg",scope="repository:x:pull",account="ada"'
        return httpx2.Response(401, headers={"WWW-Authenticate": header})

    return answer


def test_who_gives_tokens_is_told_what_is_asked_for_and_nothing_else(fake, place, client, other, monkeypatch, tmp_path):
    """The realm is asked, since registries want that; a password for another host never goes there."""
    signed_in(monkeypatch, tmp_path, **{other.place: "bea:0ther", "registry.example": "ada:s3cret"})
    fake.manifests["x", "1"] = b"{}"
    fake.faults += [realm(f"http://{other.place}/token")] * 9
    assert client.tags("x") == ["1"]
    (asked,) = other.heard
    assert (asked.method, asked.headers.get("Authorization"), asked.content) == ("GET", None, b"")
    assert dict(asked.url.params) == {"service": "reg", "scope": "repository:x:pull"}


def test_who_gives_tokens_leads_nowhere(fake, place, client, other, monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path, **{place: "ada:s3cret"})
    with hosts_kit.elsewhere() as third:
        other.answer = lambda _request: httpx2.Response(307, headers={"Location": f"http://{third.place}/token"})
        fake.faults += [realm(f"http://{other.place}/token")] * 9
        with pytest.raises(HubError, match="gave no token"):
            client.tags("x")
        assert third.heard == []


@pytest.mark.parametrize(
    "where", ["http://169.254.169.254/latest", "http://internal.example/", "file:///etc/passwd", "x"]
)
def test_who_gives_tokens_has_tls_or_is_this_machine(fake, place, client, where, monkeypatch, tmp_path):
    signed_in(monkeypatch, tmp_path, **{place: "ada:s3cret"})
    asked = []
    monkeypatch.setattr(client._line, "_outside", lambda *given: asked.append(given) or (200, b"{}"))
    fake.faults += [realm(where)] * 9
    with pytest.raises(HubError, match="without TLS"):
        client.tags("x")
    assert asked == []


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_an_upload_is_not_sent_where_a_redirection_leads(fake, place, client, other, code):
    fake.faults += [redirecting("/blobs/uploads/", f"http://{other.place}/x", code)] * 9
    with pytest.raises(HubError):
        client.put("x", digest_of(b"data"), 4, io.BytesIO(b"data"), lambda _count: None)
    assert other.heard == []


def test_a_push_to_a_storage_host_takes_no_password_along(fake, place, client, other, monkeypatch, tmp_path):
    """Where a registry lets uploads go on elsewhere, the bytes go there: they are public, a password is not."""
    signed_in(monkeypatch, tmp_path, **{place: "ada:s3cret", other.place: "bea:0ther"})
    fake.faults += [
        lambda request, registry: basic(request, registry) or (
            httpx2.Response(202, headers={"Location": f"http://{other.place}/up"}) if request.method == "POST" else None
        )
    ] * 9  # fmt: skip
    other.answer = lambda _request: httpx2.Response(201)
    client.put("x", digest_of(b"data"), 4, io.BytesIO(b"data"), lambda _count: None)
    assert [(one.method, one.headers.get("Authorization"), one.content) for one in other.heard] == [
        ("PUT", None, b"data")
    ]
