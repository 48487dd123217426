"""Sign-in with an identity provider: who comes back is who began, and what is said of them is signed."""

import hashlib
import json
import re
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("authlib", reason="authlib is not installed (the extra oidc)")

import oidc_kit
import web_kit as kit
from oidc_kit import START, come, led
from wardgan.access.journal import lines
from wardgan.access.people import all_tokens, close_account, new_token, revoke_token
from wardgan.errors import UsageError
from wardgan.web import oidc
from wardgan.web.oidc import Provider, provider_of
from wardgan.web.pace import Pace

A = "cardio/a:1.0"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.stocked(tmp_path_factory.mktemp("oidc"))


@pytest.fixture
def idp():
    with oidc_kit.identity() as found:
        yield found


@pytest.fixture
def hub(clinic, idp, request):
    with oidc_kit.guarded(clinic, idp, **getattr(request, "param", {})) as found:
        yield found


def name_of(client):
    return re.search(r'<a href="/account"[^>]*>(.*?)</a>', client.get("/").text)


def host(idp):
    return urlsplit(idp.place).netloc


def test_somebody_signs_in_and_is_the_same_next_time(hub, idp):
    client, database, _ = hub
    assert client.get(f"/play/{A}?seed=1&n=5", follow_redirects=False).status_code == 303
    page = client.get("/sign-in?following=/play/x%3Fseed%3D1").text
    assert f"Sign in with {host(idp)}" in page
    assert "following=/play/x%3Fseed%3D1" in page
    answer = come(client, f"{START}?following=/play/{A}%3Fseed%3D1%26n%3D5")
    assert answer.status_code == 200
    assert f"url=/play/{A}?seed=1&amp;n=5" in answer.text
    assert client.get(f"/play/{A}?seed=1&n=5").status_code == 200
    assert name_of(client)[1] == f"ana ({host(idp)})"
    # The provider's tokens are not kept, and nothing that could sign in again.
    cookies = "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar)
    assert "access" not in cookies
    client.cookies.clear()
    idp.claims |= {"preferred_username": "ana.b"}  # a name may change; who it is does not
    assert come(client).status_code == 200
    assert name_of(client)[1] == f"ana ({host(idp)})"
    assert {one.account for one in all_tokens(database)} == {f"ana ({host(idp)})"}
    said = [(one.who, one.action) for one in lines(database)]
    assert said.count((f"ana ({host(idp)})", "account made")) == 1
    assert said.count((f"ana ({host(idp)})", "signed in")) == 2


def test_the_session_is_like_any_other(hub, idp):
    client, database, rules = hub
    come(client)
    name = name_of(client)[1]
    rules.set("cardio/*", "registered", granted=True)
    assert client.get(f"/api/v1/preview/{A}?n=5").status_code == 403
    rules.grant(name, "cardio/*")
    assert client.get(f"/api/v1/preview/{A}?n=5").status_code == 200
    revoke_token(database, all_tokens(database)[0].id)
    assert client.get(f"/api/v1/preview/{A}?n=5").status_code == 401
    come(client)
    assert client.get(f"/api/v1/preview/{A}?n=5").status_code == 200
    close_account(database, name)
    assert client.get(f"/api/v1/preview/{A}?n=5").status_code == 401
    answer = come(client)
    assert answer.status_code == 403
    assert "closed" in answer.text
    assert name_of(client) is None


def test_who_signs_out_leaves_no_token_that_is_good(hub, idp):
    client, database, _ = hub
    come(client)
    come(client)  # ends the session before
    assert sorted(one.revoked is None for one in all_tokens(database)) == [False, True]
    word = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/account").text)[1]
    client.post("/sign-out", data={"csrf": word}, headers={"Sec-Fetch-Site": "same-origin"})
    assert name_of(client) is None
    assert all(one.revoked for one in all_tokens(database))
    # One that somebody was told is theirs, and goes on.
    own = new_token(database, f"ana ({host(idp)})")[0]
    client.post("/sign-in", data={"token": own}, headers={"Sec-Fetch-Site": "same-origin"})
    word = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/account").text)[1]
    client.post("/sign-out", data={"csrf": word}, headers={"Sec-Fetch-Site": "same-origin"})
    assert client.get(f"/api/v1/preview/{A}?n=5", headers={"Authorization": f"Bearer {own}"}).status_code == 200


def test_a_name_is_not_taken_over(hub, idp):
    """What a provider calls somebody proves nothing: accounts hang on its number."""
    client, database, rules = hub
    name = f"ana ({host(idp)})"
    new_token(database, name)
    rules.grant(name, "cardio/*")
    come(client)
    first = name_of(client)[1]
    assert first != name
    client.cookies.clear()
    idp.claims |= {"sub": "4712"}
    come(client)
    assert name_of(client)[1] not in (name, first)


@pytest.mark.parametrize("named", ["operator", "no\u202ebody", " ", "x" * 5000, 7, None, "a\x00b"])
def test_odd_names_are_no_names(hub, idp, named):
    client, _, _ = hub
    idp.claims = {"sub": "1", "preferred_username": named}
    assert come(client).status_code == 200
    shown = name_of(client)[1]
    assert shown.endswith(f" ({host(idp)})")
    assert len(shown) < 150


CHANGES = {
    "another provider": lambda claims: {**claims, "iss": "https://other.example"},
    "for another hub": lambda claims: {**claims, "aud": "somebody"},
    "for several, and another one asked": lambda claims: {**claims, "aud": ["hub", "other"], "azp": "other"},
    "asked by us, and for another one": lambda claims: {**claims, "aud": "other", "azp": "hub"},
    "for nobody": lambda claims: {name: value for name, value in claims.items() if name != "aud"},
    "another nonce": lambda claims: {**claims, "nonce": "x"},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "over": lambda claims: {**claims, "exp": claims["iat"] - 100},
    "without end": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "not yet": lambda claims: {**claims, "iat": claims["iat"] + 4000},
    "of another access token": lambda claims: {**claims, "at_hash": "AAAA"},
    "nobody": lambda claims: {name: value for name, value in claims.items() if name != "sub"},
    "empty": lambda claims: {**claims, "sub": ""},
    "a list": lambda claims: {**claims, "sub": ["4711"]},
    "too long": lambda claims: {**claims, "sub": "x" * 300},
    "unseen characters": lambda claims: {**claims, "sub": "4711\n"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_said_of_somebody_is_checked(hub, idp, what):
    client, database, _ = hub
    idp.change = CHANGES[what]
    answer = come(client)
    assert answer.status_code == 403, what
    assert name_of(client) is None
    assert not all_tokens(database)


@pytest.mark.parametrize("how", ["unsigned", "by the public key", "by the secret", "other", "garbage", "same id"])
def test_who_says_it_is_checked(hub, idp, how):
    client, database, _ = hub
    other = oidc_kit.other_key()
    idp.sign = {
        "unsigned": idp.unsigned, "by the public key": idp.shared,
        "by the secret": lambda claims: idp.shared(claims, oidc_kit.SECRET.encode()), "garbage": lambda _claims: "a.b.c",
        "other": lambda claims: idp.signed(claims, key=other, alg="ES256", kid="two"),
        "same id": lambda claims: idp.signed(claims, key=other, alg="ES256"),
    }[how]  # fmt: skip
    assert come(client).status_code == 403
    assert not all_tokens(database)


def test_a_new_key_is_fetched(hub, idp):
    client, _, _ = hub
    come(client)
    client.cookies.clear()
    idp.key = oidc_kit.other_key()
    idp.keys = [idp.key]
    idp.sign = lambda claims: idp.signed(claims, alg="ES256", kid="two")
    assert come(client).status_code == 200
    assert [path for path, _ in idp.heard].count("/keys") == 2
    assert [path for path, _ in idp.heard].count("/.well-known/openid-configuration") == 1


def test_only_the_browser_that_began_gets_in(hub, idp):
    client, database, _ = hub
    _, back = led(client)
    kept = client.cookies.get("wardgan-state")
    client.cookies.clear()
    assert client.get(back).status_code == 403  # somebody else, who was sent the address
    client.cookies.set("wardgan-state", "x")
    assert client.get(back).status_code == 403
    assert not all_tokens(database)
    client.cookies.clear()
    client.cookies.set("wardgan-state", kept)
    assert client.get(back).status_code == 200
    client.cookies.clear()
    client.cookies.set("wardgan-state", kept)
    answer = client.get(back)  # once
    assert (answer.status_code, "used already" in answer.text) == (403, True)
    client.cookies.clear()
    assert client.get("/sign-in/back").status_code == 403
    assert client.get("/sign-in/back?state=&code=1").status_code == 403


def test_nobody_is_signed_in_as_somebody_else(hub):
    """Who began a sign-in of their own is led to the end of another one."""
    client, database, _ = hub
    _, theirs = led(client)
    _, mine = led(client)
    answer = client.get(theirs)
    assert (answer.status_code, "not begun in this browser" in answer.text) == (403, True)
    assert not all_tokens(database)
    assert client.get(mine).status_code == 200


def test_another_provider_leads_nobody_here(hub):
    client, database, _ = hub
    _, back = led(client)
    answer = client.get(re.sub("iss=[^&]*", "iss=https://other.example", back))
    assert (answer.status_code, "Another provider" in answer.text) == (403, True)
    assert not all_tokens(database)


def test_it_takes_no_longer_than_ten_minutes(hub, monkeypatch):
    client, _, _ = hub
    _, back = led(client)
    real = time.monotonic
    monkeypatch.setattr(oidc.time, "monotonic", lambda: real() + oidc.LIFE + 1)
    answer = client.get(back)
    assert answer.status_code == 403
    assert "too long ago" in answer.text


def test_many_beginnings_fill_nothing(hub, idp, monkeypatch):
    client, _, _ = hub
    monkeypatch.setattr(oidc, "_MOST", 5)
    provider = client.app.state.provider
    states = [provider.begin("https://hub.example/sign-in/back", "/")[1] for _ in range(9)]
    assert list(provider._begun) == states[-5:]
    client.app.state.desk._begins = Pace(3, 600.0)
    answers = [client.get(START, follow_redirects=False).status_code for _ in range(4)]
    assert answers == [303, 303, 303, 429]


@pytest.mark.parametrize(
    "more", ["error=access_denied", "error=%3Cscript%3E", "code=", "code=" + "x" * 5000, "code=z&iss=evil"]
)
def test_a_refusal_is_told(hub, more):
    client, database, _ = hub
    _, back = led(client)
    state = parse_qs(urlsplit(back).query)["state"][0]
    answer = client.get(f"/sign-in/back?state={state}&{more}")
    assert answer.status_code == 403
    assert "begin again" in answer.text
    assert ("access_denied" in answer.text) == ("access_denied" in more)
    assert "script>" not in answer.text.replace("<script", "").partition("<main")[2]
    assert not all_tokens(database)


def test_where_it_goes_on_is_here(hub):
    client, _, _ = hub
    for place in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:1", "/api/v1/releases"):
        answer = come(client, f"{START}?following={place}")
        assert 'content="0; url=/"' in answer.text, place
        client.cookies.clear()


@pytest.mark.parametrize("hub", [{"secure": True}], indirect=True)
def test_with_tls_cookies_never_go_without(hub):
    client, _, _ = hub
    # Over TLS browsers say whose page leads here.
    for site in (None, "cross-site", "same-site"):
        headers = {} if site is None else {"Sec-Fetch-Site": site}
        assert client.get(START, headers=headers, follow_redirects=False).status_code == 403
    answer = client.get(START, headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
    assert "redirect_uri=https%3A%2F%2Flocalhost%2Fsign-in%2Fback" in answer.headers["location"]
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-wardgan-state=")
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=lax", "Max-Age=600", "Path=/"))


def test_without_a_provider_there_is_no_such_way(clinic):
    with kit.guarded(clinic) as (client, _, _):
        for place in (START, "/sign-in/back?code=1&state=1"):
            assert client.get(place).status_code == 404
        assert "elsewhere" not in client.get("/sign-in").text
    with kit.served(clinic) as (client, _):
        assert client.get(START).status_code == 404


def test_a_provider_that_is_down_is_told(hub, idp):
    client, _, _ = hub
    state = client.app.state
    for transport in (
        httpx2.MockTransport(lambda _request: httpx2.Response(500)),
        httpx2.MockTransport(lambda _request: httpx2.Response(200, content=b"<html>")),
        httpx2.MockTransport(lambda _request: httpx2.Response(200, content=b"[]")),
        httpx2.MockTransport(lambda _request: (_ for _ in ()).throw(httpx2.ConnectError("no"))),
    ):
        state.provider = Provider(idp.place, "hub", transport=transport)
        answer = client.get(START)
        assert answer.status_code == 502
        assert "does not answer as an identity provider" in answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://other.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:1"},
    ],
)
def test_a_provider_is_who_it_is_asked_to_be(hub, idp, change):
    client, _, _ = hub
    idp.metadata = lambda facts: facts | change
    assert client.get(START).status_code == 502


def test_another_site_begins_no_sign_in(hub):
    """It would choose which patients are drawn behind it, in the name of whoever is known there."""
    client, database, _ = hub
    for site in ("cross-site", "same-site"):
        answer = client.get(
            f"{START}?following=/play/{A}?n=60", headers={"Sec-Fetch-Site": site}, follow_redirects=False
        )
        assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert not all_tokens(database)


@pytest.mark.parametrize(
    "change",
    [
        {"token_endpoint_auth_methods_supported": None}, {"token_endpoint_auth_methods_supported": 7},
        {"token_endpoint_auth_methods_supported": True}, {"keys": 5}, {"keys": {"keys": []}}, {"scopes_supported": 1},
    ],
)  # fmt: skip
def test_odd_facts_about_a_provider_do_no_harm(hub, idp, change):
    client, _, _ = hub
    idp.metadata = lambda facts: facts | change
    assert come(client).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"authorization_endpoint": "https://["}, {"token_endpoint": ["x"]}, {"issuer": 7},
        {"jwks_uri": "http://localhost:x/"},
    ],
)  # fmt: skip
def test_odd_addresses_of_a_provider_are_told(hub, idp, change):
    client, _, _ = hub
    idp.metadata = lambda facts: facts | change
    assert client.get(START).status_code == 502


@pytest.mark.parametrize(
    "more",
    [
        '"expires_in": Infinity', '"expires_at": 1e999', '"id_token": [1]', '"access_token": {}', '"id_token": null',
        '"x": ' + "[" * 5000 + "]" * 5000,
    ],
)  # fmt: skip
def test_odd_tokens_are_refused_and_fail_nothing(hub, idp, more, monkeypatch):
    client, _, _ = hub
    real = idp.answer

    def answer(path, fields, headers):
        status, found, text = real(path, fields, headers)
        return status, found, f"{text[:-1]}, {more}}}" if path == "/token" else text

    monkeypatch.setattr(idp, "answer", answer)
    assert come(client).status_code in (200, 403)
    assert client.get("/").status_code == 200


def test_keys_that_nobody_knows_stand_in_nobodys_way(hub, idp):
    client, _, _ = hub
    real = idp.answer
    odd = [
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "z"}, {"kty": "RSA", "n": "!", "e": 5},
        {"kty": "OKP", "crv": "X25519", "x": "AA"}, {"kty": "RSA"}, 5, None, {"kty": ["RSA"]},
    ]  # fmt: skip

    def answer(path, fields, headers):
        status, found, text = real(path, fields, headers)
        if path == "/keys":
            text = json.dumps({"keys": [*odd, *json.loads(text)["keys"]]})
        return status, found, text

    idp.answer = answer
    assert come(client).status_code == 200


def test_a_new_key_without_a_name_is_fetched(hub, idp):
    client, _, _ = hub
    come(client)
    client.cookies.clear()
    idp.key = oidc_kit.RSAKey.generate_key(2048)
    idp.keys = [idp.key]
    idp.sign = lambda claims: oidc_kit.jwt.encode({"alg": "RS256"}, claims, idp.key)
    assert come(client).status_code == 200


def test_who_must_say_where_they_come_from_and_does_not(hub, idp):
    client, database, _ = hub
    idp.metadata = lambda facts: facts | {"authorization_response_iss_parameter_supported": True}
    _, back = led(client)
    assert client.get(re.sub("&iss=[^&]*", "", back)).status_code == 403
    assert not all_tokens(database)
    assert come(client).status_code == 200


def test_a_provider_that_hangs_stops_nobody_else(hub, idp):
    client, _, _ = hub
    asked = []

    def slow(request):
        asked.append(request)
        raise httpx2.ConnectTimeout("slow")

    provider = client.app.state.provider = Provider(idp.place, "hub", transport=httpx2.MockTransport(slow))
    assert [client.get(START).status_code for _ in range(3)] == [502, 502, 502]
    assert len(asked) == 1  # who comes after it is told without asking
    provider._gone_until = 0.0
    with provider._asks:  # somebody asks at this moment
        assert client.get(START).status_code == 502
    assert len(asked) == 1


def test_few_exchange_codes_at_once(hub):
    client, _, _ = hub
    _, back = led(client)
    provider = client.app.state.provider
    for _ in range(oidc._AT_ONCE):
        provider._line.acquire()
    assert client.get(back).status_code == 502
    for _ in range(oidc._AT_ONCE):
        provider._line.release()
    assert come(client).status_code == 200


def test_there_is_always_a_name(hub, idp):
    client, database, _ = hub
    subject = f"{idp.place} 4711"
    for name in ("ana", hashlib.sha256(subject.encode()).hexdigest()[:16]):
        new_token(database, f"{name} ({host(idp)})")
    assert come(client).status_code == 200
    assert name_of(client)[1].startswith("person ")


def test_who_signs_in_too_often_gets_no_token(hub):
    client, database, _ = hub
    client.app.state.desk._entries = Pace(1, 600.0)
    answers = [come(client).status_code for _ in range(3)]
    assert answers[-1] == 429
    assert len(all_tokens(database)) == 1


def test_a_hub_may_be_for_some_alone(hub, idp):
    client, database, _ = hub
    for claim, status in (
        (("groups", "researchers"), 200), (("groups", "research"), 403), (("groups", "nurses"), 403),
        (("preferred_username", "ana"), 200), (("preferred_username", "an"), 403), (("absent", "x"), 403),
        (("realm_access.roles", "hub"), 200), (("realm_access.roles.x", "hub"), 403),
    ):  # fmt: skip
        idp.claims["realm_access"] = {"roles": ["hub"]}
        client.app.state.provider = Provider(idp.place, "hub", secret=oidc_kit.SECRET, claim=claim)
        client.cookies.clear()
        before = len(all_tokens(database))
        assert come(client).status_code == status, claim
        assert len(all_tokens(database)) == before + (status == 200)


def test_a_secret_goes_to_the_provider_alone(hub, idp):
    client, _, _ = hub
    idp.basic = False
    assert come(client).status_code == 200
    assert [fields["client_secret"] for path, fields in idp.heard if path == "/token"] == [oidc_kit.SECRET]
    assert oidc_kit.SECRET not in json.dumps([fields for path, fields in idp.heard if path != "/token"])


@pytest.mark.parametrize(
    ("issuer", "client", "claim", "said"),
    [
        ("http://login.example", "hub", None, "address"),
        ("login.example", "hub", None, "address"),
        ("https://", "hub", None, "address"),
        ("https://a@login.example", "hub", None, "address"),
        ("https://login.example/?x", "hub", None, "address"),
        ("https://login.example:x", "hub", None, "address"),
        ("https://[bad", "hub", None, "address"),
        ("https://login.example/\n", "hub", None, "address"),
        ("https://login.example", None, None, "oidc-client"),
        ("https://login.example", "hub", "groups", "NAME=VALUE"),
        ("https://login.example", "hub", "=x", "NAME=VALUE"),
    ],
)
def test_what_an_operator_says_is_checked(issuer, client, claim, said):
    with pytest.raises(UsageError, match=said):
        provider_of(issuer, client, claim)


def test_the_secret_is_in_the_environment(monkeypatch):
    monkeypatch.setenv(oidc.SECRET, "word")
    assert provider_of("https://login.example/realm", "hub", "a=b=c")._secret == "word"
    assert provider_of("https://login.example/realm", "hub", "a=b=c")._claim == ("a", "b=c")
