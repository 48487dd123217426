"""Sign-in with an identity provider: what is kept of it and for how long, and how this hub proves who it is."""

from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("authlib", reason="authlib is not installed (the extra oidc)")

import sqlalchemy as sa

import oidc_kit
import web_kit as kit
from wardgan.access import database as databases
from wardgan.access.journal import lines
from wardgan.access.people import all_tokens
from wardgan.access.sessions import HOURS
from wardgan.web import oidc
from wardgan.web.oidc import Provider

FACTS = "/.well-known/openid-configuration"
COOKIE = "wardgan"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.stocked(tmp_path_factory.mktemp("oidc-kept"))


@pytest.fixture
def idp():
    with oidc_kit.identity() as found:
        yield found


@pytest.fixture
def hub(clinic, idp):
    with oidc_kit.guarded(clinic, idp) as found:
        yield found[:2]


def known(client, word=None):
    """Whether a browser with a cookie, or this one, is somebody's."""
    headers = {} if word is None else {"Cookie": f"{COOKIE}={word}"}
    if word is not None:
        client.cookies.clear()
    return client.get("/account", headers=headers, follow_redirects=False).status_code == 200


# Keys.


def for_what(key, use):
    return oidc_kit.RSAKey.import_key({**key.as_dict(private=True), "use": use})


def test_a_key_for_encryption_proves_no_signature(hub, idp):
    client, database = hub
    idp.keys = [for_what(idp.key, "enc")]
    assert oidc_kit.come(client).status_code == 403
    assert not all_tokens(database)
    assert client.app.state.provider._keys.keys == []


def test_a_key_for_encryption_of_the_same_name_stands_in_nobodys_way(hub, idp):
    client, _ = hub
    other = oidc_kit.RSAKey.generate_key(2048, {"kid": "one", "use": "enc"})
    idp.keys = [other, idp.key]
    assert oidc_kit.come(client).status_code == 200
    assert known(client)


# What the provider says of itself.


def asked(idp):
    return [path for path, _ in idp.heard].count(FACTS)


def test_what_a_provider_says_of_itself_is_asked_again_after_an_hour(hub, idp, monkeypatch):
    client, _ = hub
    begin, shift = oidc.time.monotonic(), [0.0]
    monkeypatch.setattr(oidc.time, "monotonic", lambda: begin + shift[0])
    for seconds, times in ((0, 1), (3_500, 1), (3_700, 2), (7_100, 2), (7_400, 3)):
        shift[0] = seconds
        assert oidc_kit.led(client)[0].startswith(f"{idp.place}/authorize?")
        assert asked(idp) == times, seconds
    # What it says by then is what counts.
    idp.metadata = lambda facts: facts | {"authorization_endpoint": f"{idp.place}/elsewhere"}
    shift[0] = 12_000
    page = client.get(oidc_kit.START, follow_redirects=False).headers["location"]
    assert page.startswith(f"{idp.place}/elsewhere?")


# How this hub proves who it is.


@pytest.mark.parametrize(
    ("said", "posted"),
    [
        (None, False), (["client_secret_basic"], False), (["client_secret_post", "client_secret_basic"], False),
        (["client_secret_post"], True), (["private_key_jwt", "client_secret_post"], True),
    ],
)  # fmt: skip
def test_the_secret_is_in_a_header_unless_only_a_form_is_taken(hub, idp, said, posted):
    client, _ = hub
    idp.basic = not posted
    idp.metadata = lambda facts: {
        **{name: value for name, value in facts.items() if name != "token_endpoint_auth_methods_supported"},
        **({} if said is None else {"token_endpoint_auth_methods_supported": said}),
    }
    assert oidc_kit.come(client).status_code == 200
    ((fields, header),) = idp.proofs
    assert ("client_secret" in fields) is posted
    assert (header or "").startswith("Basic ") is not posted


def test_a_hub_without_a_secret_sends_none(hub, idp):
    client, _ = hub
    client.app.state.provider = Provider(idp.place, oidc_kit.CLIENT)
    assert oidc_kit.come(client).status_code == 403  # this provider wants one
    ((fields, header),) = idp.proofs
    assert (fields.get("client_id"), fields.get("client_secret"), header) == (oidc_kit.CLIENT, None, None)


# Sessions.


@pytest.mark.parametrize("sub", ["4711", "4712"])
def test_signing_in_again_ends_the_session_that_this_browser_had(hub, idp, sub):
    client, database = hub
    oidc_kit.come(client)
    old = client.cookies[COOKIE]
    assert known(client)
    idp.claims |= {"sub": sub, "preferred_username": "ana" if sub == "4711" else "bea"}
    oidc_kit.come(client)
    new = client.cookies[COOKIE]
    assert new != old
    assert (known(client, old), known(client, new)) == (False, True)
    out = [one.who for one in lines(database) if one.action == "signed out"]
    assert [who.partition(" ")[0] for who in out] == ["ana"]


def test_signing_in_elsewhere_leaves_other_browsers_alone(hub):
    client, _ = hub
    oidc_kit.come(client)
    first = client.cookies[COOKIE]
    client.cookies.clear()
    oidc_kit.come(client)
    assert (known(client, first), known(client, first)) == (True, True)


@pytest.mark.parametrize("outlives", ["sessions", "tokens"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_session_from_a_provider_ends_though_the_account_is_known(hub, monkeypatch, outlives, times):
    """Session and token end by themselves, each one: the other one may not carry it on."""
    client, database = hub
    for _ in range(times):
        client.cookies.clear()
        oidc_kit.come(client)
    word = client.cookies[COOKIE]
    table = getattr(databases, outlives)
    with database.write() as line:
        line.execute(table.update().where(sa.true()).values(expires="2999-01-01T00:00:00Z"))
    for hours, holds in ((HOURS - 0.1, True), (HOURS + 0.1, False)):
        monkeypatch.setattr(databases, "datetime", clock(hours))
        assert known(client, word) is holds, hours


def clock(hours):
    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz or UTC) + timedelta(hours=hours)

    return Later
