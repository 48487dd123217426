"""What catalogues of others harvest: no more than the list shows, and nothing of what was revoked."""

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")

import web_kit as kit
from wardgan.hub.hub import Hub

A = "cardio/a:1.0"
RIGHTS = "http://publications.europa.eu/resource/authority/access-right/"


@pytest.fixture
def clinic(tmp_path):
    return kit.stocked(tmp_path)


def rights(client, label):
    return client.get(f"/api/v1/dcat/{label}").json()["dct:accessRights"]["@id"].removeprefix(RIGHTS)


def test_one_release_and_all_of_them(clinic):
    with kit.served(clinic) as (client, _):
        answer = client.get(f"/api/v1/dcat/{A}")
        assert answer.headers["content-type"] == "application/ld+json"
        found = answer.json()
        assert found["@id"] == f"{kit.HERE}/releases/{A}"
        assert found["dcat:version"] == "1.0"
        assert found["dcat:distribution"]["dcat:downloadURL"]["@id"] == f"{kit.HERE}/api/v1/files/{A}"
        every = client.get("/api/v1/dcat").json()
        pages = [one["@id"].rpartition("/releases/")[2] for one in every["dcat:dataset"]]
        known = [f"{one['name']}:{one['tag']}" for one in client.get("/api/v1/releases").json()["releases"]]
        assert pages == known
        part = client.get("/api/v1/dcat?offset=1&limit=2").json()["dcat:dataset"]
        assert [one["@id"] for one in part] == [one["@id"] for one in every["dcat:dataset"]][1:3]
        assert client.get("/api/v1/dcat?limit=1000").status_code == 400
        assert "dct:publisher" not in every
        client.app.state.publisher = "Hospital X"
        assert client.get("/api/v1/dcat").json()["dct:publisher"]["foaf:name"]["@value"] == "Hospital X"
        assert client.get("/api/v1/dcat/nobody/such:1").status_code == 404
        assert f'href="/api/v1/dcat/{A}"' in client.get(f"/releases/{A}").text


def test_what_was_revoked_is_not_harvested(clinic):
    Hub(clinic.home / "hub", trust=clinic.trust).revoke("cardio/a:1.0", clinic.key, "superseded")
    with kit.served(clinic) as (client, _):
        pages = [one["@id"] for one in client.get("/api/v1/dcat").json()["dcat:dataset"]]
        assert pages
        assert not [one for one in pages if one.endswith(A)]


def test_it_says_who_may_have_it(clinic):
    with kit.guarded(clinic, tier="public") as (client, database, rules):
        assert rights(client, A) == "PUBLIC"
        rules.set("cardio/*", "sample-only")
        assert rights(client, A) == "RESTRICTED"
        assert "dcat:downloadURL" not in client.get(f"/api/v1/dcat/{A}").json()["dcat:distribution"]
        assert rights(client, "research/open:1") == "NON_PUBLIC"
        assert database.url
    (clinic.home / "hub.db").unlink()
    with kit.guarded(clinic, closed=True) as (client, _, _):
        for way in ("/api/v1/dcat", f"/api/v1/dcat/{A}"):
            assert client.get(way).status_code == 401
