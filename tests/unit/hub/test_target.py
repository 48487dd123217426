"""What people write to say where a release is."""

import pytest

from wardgan.errors import UsageError
from wardgan.hub.target import (
    Target,
    check_tag,
    hub_of,
    is_revocation,
    loopback,
    name_for,
    release_in,
    revocation_tag,
    target_of,
)

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("./hub", Target("./hub", True)),
        (".", Target(".", True)),
        ("../my hub", Target("../my hub", True)),
        ("./hub:cardio/sprint", Target("./hub", True, "cardio/sprint")),
        ("/srv/hub:a:1", Target("/srv/hub", True, "a", "1")),
        ("cardio/sprint:1.0", Target("./hub", True, "cardio/sprint", "1.0")),
        (f"a@{DIGEST}", Target("./hub", True, "a", None, DIGEST)),
        ("r.example/a/b:1", Target("r.example", False, "a/b", "1")),
        (f"r.example:5000/a:1@{DIGEST}", Target("r.example:5000", False, "a", "1", DIGEST)),
        ("localhost/a", Target("localhost", False, "a")),
        ("[::1]:5000/a", Target("[::1]:5000", False, "a")),
    ],
)
def test_targets(text, wanted, monkeypatch):
    monkeypatch.delenv("WARDGAN_HUB", raising=False)
    found = target_of(text)
    assert found == wanted
    assert target_of(str(found)) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither"), ("a b", "neither"), ("a\nb", "neither"), ("ftp://r.example/a", "leave out"),
        ("r.example/A", "other characters"), ("r.example/../a", "other characters"), ("./hub:../a", "other characters"),
        ("r.example/a//b", "other characters"), ("r.example/.a", "other characters"), ("r.example/a:", "tag=''"),
        ("a:b/c", "not the host"), ("a:" + "x" * 129, "at most 128"), ("a@sha256:12", "behind @"), ("r..example/a", "not the host"),
        ("-r.example/a", "not the host"), ("1.2.3.999/a", "not the host"), ("[::::]:1/a", "not the host"), ("xn--a.example/a", "not the host"),
        ("x" * 64 + ".example/a", "not the host"), ("r.example:99999/a", "not the host"), ("registry.example", "may be a registry"), ("localhost:5000", "may be a registry"),
        ("a:revoked-" + "0" * 64, "revocations"), ("x" * 201, "other characters"), ("r.example@evil.example/a", "not the host"),
    ],
)  # fmt: skip
def test_what_is_no_target(text, why):
    with pytest.raises(UsageError, match=why):
        target_of(text)


def test_a_folder_in_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert target_of("~/hub:a:1") == Target("/home/ada/hub", True, "a", "1")


def test_the_default_hub_may_be_a_registry(monkeypatch):
    monkeypatch.setenv("WARDGAN_HUB", "r.example/cardio")
    assert target_of("sprint:1") == Target("r.example", False, "cardio/sprint", "1")
    assert target_of("./hub:sprint:1") == Target("./hub", True, "sprint", "1")


def test_hubs():
    assert hub_of("hub") == Target("./hub", True)
    assert hub_of("r.example") == Target("r.example", False)
    assert hub_of("localhost:5000") == Target("localhost:5000", False)
    assert release_in(hub_of("r.example/cardio"), "sprint:1") == Target("r.example", False, "cardio/sprint", "1")
    assert release_in(hub_of("hub"), "a") == Target("./hub", True, "a")
    for text in ("r.example/a:1", "./hub:a", "oci://r.example", "https://r.example/a:1", ""):
        with pytest.raises(UsageError):
            hub_of(text)


def test_tags_of_revocations_are_nobodys():
    tag = revocation_tag(DIGEST, "0b" * 32)
    assert is_revocation(tag)
    with pytest.raises(UsageError, match="revocations"):
        check_tag(tag)
    assert not is_revocation("revoked-1")


def test_names_of_data_sets():
    assert name_for("Herz & Kreislauf / 2026") == "herz-kreislauf-2026"
    assert name_for("心臓") == "generator"
    assert len(name_for("a" * 500)) == 60


def test_only_this_machine_is_loopback():
    here = ("localhost", "localhost:1", "127.0.0.1", "127.8.8.8:5000", "[::1]", "[::1]:5000")
    elsewhere = ("localhost.example", "127.example", "10.0.0.1", "127.0.0.1.example:80", "[::2]", "example:127")
    assert all(map(loopback, here))
    assert not any(map(loopback, elsewhere))
