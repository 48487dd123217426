"""Push, pull, list, search and revoke, in a folder and in a registry."""

import base64
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

import release_kit
import wardgan as wg
from hub_kit import Broken as BrokenLine
from hub_kit import Clinic, FakeRegistry
from wardgan.cli.main import app
from wardgan.errors import DigestError, FormatError, HubError, OutputError, TrustError, UsageError
from wardgan.hub import folder as folders
from wardgan.hub import hub as module
from wardgan.hub.entries import Broken, order_of
from wardgan.hub.hub import Hub
from wardgan.hub.parcel import manifest_of, parcel_of, read_parcel
from wardgan.seal import keys
from wardgan.seal.json_text import canonical
from wardgan.seal.oci import digest_of
from wardgan.seal.records import INDEX_TYPE


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return Clinic(tmp_path_factory.mktemp("clinic"))


@pytest.fixture(params=["folder", "registry"])
def hub(request, clinic, tmp_path):
    if request.param == "folder":
        return Hub(tmp_path / "hub", trust=clinic.trust)
    return clinic.remote(FakeRegistry())


def test_what_is_pulled_is_what_was_pushed(hub, clinic, tmp_path):
    for path, name in ((clinic.file(), "cardio/a:1.0"), (clinic.region(), "region:2026")):
        made = hub.push(path, name)
        assert made.target.endswith(name)
        assert made.new
        assert made.digest == wg.inspect(path)["digest"]
        seen = []
        got = hub.pull(name, tmp_path / "got.hgan", force=True, watch=lambda *now, seen=seen: seen.append(now))
        assert got.path.read_bytes() == path.read_bytes()
        assert got.entry.digest == made.digest
        assert got.entry.signature.name == "Clinic"
        assert seen[-1][0] == seen[-1][1] == got.entry.bytes
        assert all(done <= total for done, total, _ in seen)
    assert sorted(one.name for one in tmp_path.iterdir()) in (["got.hgan"], ["got.hgan", "hub"])


def test_a_second_push_sends_nothing(hub, clinic):
    first = hub.push(clinic.file(), "a:1")
    again = hub.push(clinic.file(), "a:1")
    assert first.sent > 0
    assert (again.sent, again.new) == (0, False)
    assert hub.push(clinic.file(), "a").target == first.target
    other = hub.push(clinic.file(), "a:2")
    assert (other.sent, other.new) == (0, True)


def test_versions_count_up_and_the_newest_is_pulled(hub, clinic, tmp_path):
    targets = [
        hub.push(clinic.file(name, created=day)).target for name, day in (("a", release_kit.DAY), ("b2", "2026-02-03"))
    ]
    assert [target.rpartition(":")[2] for target in targets] == ["1", "2"]
    assert targets[0].rpartition(":")[0].endswith("demo")
    got = hub.pull("demo", tmp_path / "x.hgan")
    assert got.entry.tag == "2"


def test_versions_are_compared_by_their_numbers(hub, clinic, tmp_path):
    for tag in ("1.9", "1.10", "latest"):
        hub.push(clinic.file(), f"a:{tag}")
    assert hub.pull("a", tmp_path / "x.hgan").entry.tag == "1.10"
    assert sorted(["v2", "1.10", "1.9", "b", "a"], key=order_of) == ["a", "b", "1.9", "1.10", "v2"]


def test_a_name_without_versions_must_be_told(hub, clinic, tmp_path):
    hub.push(clinic.file(), "a:one")
    assert hub.pull("a", tmp_path / "x.hgan").entry.tag == "one"
    hub.push(clinic.file(), "a:two")
    with pytest.raises(UsageError, match=r"several releases \(one, two\); say which"):
        hub.pull("a", tmp_path / "y.hgan")


def test_a_digest_says_which_release_it_must_be(hub, clinic, tmp_path):
    first = hub.push(clinic.file("a"), "a:1")
    hub.push(clinic.file("b2", created="2026-02-03"), "a:2")
    for digest in (first.digest, first.manifest):
        assert hub.pull(f"a@{digest}", tmp_path / "x.hgan", force=True).entry.tag == "1"
        assert hub.pull(f"a:1@{digest}", tmp_path / "x.hgan", force=True).entry.tag == "1"
        with pytest.raises(DigestError, match="somebody replaced it"):
            hub.pull(f"a:2@{digest}", tmp_path / "y.hgan")
    with pytest.raises(HubError, match="with the digest sha256:00"):
        hub.pull("a@sha256:" + "0" * 64, tmp_path / "y.hgan")
    assert not (tmp_path / "y.hgan").exists()


def test_a_tag_is_not_replaced_by_accident(hub, clinic, tmp_path):
    hub.push(clinic.file("a"), "a:1")
    other = clinic.file("b2", created="2026-02-03")
    with pytest.raises(HubError, match=r"has another a:1 already, sha256:.*--force"):
        hub.push(other, "a:1")
    assert hub.pull("a:1", tmp_path / "x.hgan").entry.created == release_kit.DAY
    assert hub.push(other, "a:1", force=True).new
    assert hub.pull("a:1", tmp_path / "y.hgan").entry.created == "2026-02-03"


def test_what_is_not_there(hub, clinic, tmp_path):
    hub.push(clinic.file(), "a:1")
    with pytest.raises(HubError, match=r"has no a:2; it has 1\."):
        hub.pull("a:2", tmp_path / "x.hgan")
    with pytest.raises(HubError, match=r"has no b; wardgan list"):
        hub.pull("b", tmp_path / "x.hgan")
    with pytest.raises(HubError, match="none of that name"):
        hub.pull("b:1", tmp_path / "x.hgan")


def test_an_unsigned_file_passes_only_by_word(hub, clinic, tmp_path):
    path = clinic.file("unsigned", signed=False)
    with pytest.raises(TrustError, match="is unsigned"):
        hub.push(path, "a:1")
    hub.push(path, "a:1", unsigned=True)
    with pytest.raises(TrustError, match="unsigned"):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert hub.pull("a:1", tmp_path / "x.hgan", any_signer=True).entry.signature.status == "unsigned"


def test_an_unknown_key_passes_only_by_word(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    (tmp_path / "nobody.json").write_bytes(canonical({"version": 1, "keys": []}))
    stranger = Hub(tmp_path / "hub", trust=tmp_path / "nobody.json")
    with pytest.raises(TrustError, match="unknown key"):
        stranger.pull("a:1", tmp_path / "x.hgan")
    assert stranger.pull("a:1", tmp_path / "x.hgan", any_signer=True).entry.signature.status == "unknown key"


def test_the_list_and_the_search(hub, clinic):
    hub.push(clinic.region(), "region/all:1")
    for tag in ("1", "2"):
        hub.push(
            clinic.file("a" if tag == "1" else "b2", created=None if tag == "1" else "2026-02-03"), f"cardio/a:{tag}"
        )
    found = hub.list()
    assert [(one.name, one.tag) for one in found] == [("cardio/a", "2"), ("cardio/a", "1"), ("region/all", "1")]
    first, _, region = found
    assert (first.kind, first.family, first.hospitals, first.licence) == ("model", "copula", 1, "CC-BY-4.0")
    assert (region.kind, region.family, region.hospitals) == ("mixture", None, 3)
    assert first.privacy.epsilon == 1.0
    assert first.signature.status == "verified"
    assert first.revoked is None
    json.dumps(first.to_dict())
    assert [one.name for one in hub.search("SBP mm[hg]")] == ["cardio/a", "cardio/a", "region/all"]
    assert [one.tag for one in hub.search("cardio 2026-02-03")] == ["2"]
    assert hub.search("cardio nothing-of-that-kind") == []
    with pytest.raises(UsageError, match="no word"):
        hub.search("  ")


def test_a_revoked_release_is_refused_and_told(hub, clinic, tmp_path):
    hub.push(clinic.file(), "a:1")
    entry = hub.revoke("a:1", clinic.key, "a column was wrong", day="2026-03-01")
    assert (entry.revoked.by, entry.revoked.date, entry.revoked.reason) == (
        "Clinic",
        "2026-03-01",
        "a column was wrong",
    )
    with pytest.raises(TrustError, match=r"revoked by Clinic on 2026-03-01: a column was wrong; do not use it"):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert not (tmp_path / "x.hgan").exists()
    assert hub.pull("a:1", tmp_path / "x.hgan", even_revoked=True).entry.revoked is not None
    (listed,) = hub.list()
    assert listed.revoked == entry.revoked
    with pytest.raises(HubError, match="revoked with this key on 2026-03-01 already"):
        hub.revoke("a:1", clinic.key, "again")
    # The same release under another tag is the same release.
    hub.push(clinic.file(), "a:2")
    with pytest.raises(TrustError, match="revoked"):
        hub.pull("a:2", tmp_path / "y.hgan")


def test_a_stranger_cannot_revoke_nor_keep_the_publisher_from_it(hub, clinic, tmp_path):
    hub.push(clinic.file(), "a:1")
    keys.new_key(tmp_path / "stranger", name="Stranger")
    hub.revoke("a:1", tmp_path / "stranger", "I do not like it")
    got = hub.pull("a:1", tmp_path / "x.hgan")
    assert got.entry.revoked.by is None
    hub.revoke("a:1", clinic.key, "a column was wrong")
    with pytest.raises(TrustError, match="by Clinic"):
        hub.pull("a:1", tmp_path / "y.hgan")


def test_nobody_takes_back_what_another_has_revoked(hub, clinic, tmp_path):
    """A second statement, of a key that nobody knows, must not push the first one away; nor must a flood of them."""
    hub.push(clinic.file(), "a:1")
    hub.revoke("a:1", clinic.key, "a column was wrong")
    for number in range(20):
        keys.new_key(tmp_path / f"{number}", name=f"Stranger {number}")
        hub.revoke("a:1", tmp_path / f"{number}", "kidding")
    with pytest.raises(TrustError, match="by Clinic"):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert hub.list()[0].revoked.by == "Clinic"


def test_a_hub_cannot_choose_what_is_revoked(clinic, tmp_path):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file("a"), "a:1")
    other = hub.push(clinic.file("b2", created="2026-02-03"), "a:2")
    swapped = json.loads(fake.manifests["a", "1"]) | {"annotations": {"vnd.wardgan.release.digest": other.digest}}
    fake.manifests["a", "1"] = canonical(swapped)
    with pytest.raises(FormatError):
        hub.revoke("a:1", clinic.key, "wrong units")
    assert not [tag for _, tag in fake.manifests if tag.startswith("revoked-")]
    hub.pull("a:2", tmp_path / "x.hgan")


def test_whoever_pushes_a_revoked_release_is_told(hub, clinic):
    assert hub.push(clinic.file(), "a:1").revoked is None
    hub.revoke("a:1", clinic.key, "wrong units")
    assert hub.push(clinic.file(), "a:2").revoked.reason == "wrong units"


def test_a_revocation_needs_a_reason_a_tag_and_a_key(hub, clinic, tmp_path):
    hub.push(clinic.file(), "a:1")
    for reason in ("", " ", "two\nlines", "x" * 1_001):
        with pytest.raises(UsageError, match="reason="):
            hub.revoke("a:1", clinic.key, reason)
    with pytest.raises(UsageError, match="which tag"):
        hub.revoke("a", clinic.key, "why")
    with pytest.raises(UsageError, match="key="):
        hub.revoke("a:1", tmp_path / "none", "why")
    assert hub.list()[0].revoked is None


def test_a_release_signature_is_no_revocation(clinic, tmp_path):
    """The envelope of the release itself, put where a revocation lies, revokes nothing and passes for nothing."""
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    made = hub.push(clinic.file(), "a:1")
    store = hub._store()
    parcel = read_parcel(store.manifest("a", "1"), "a:1")
    from wardgan.hub.revocation import TYPE
    from wardgan.hub.target import revocation_tag
    from wardgan.seal import oci

    index = json.loads(b"".join(store.blob("a", parcel.index.digest, parcel.index.size)))
    signature = json.loads(b"".join(store.blob("a", index["manifests"][1]["digest"], 4_000)))
    forged = oci.manifest_bytes(TYPE, signature["config"], signature["layers"], subject=signature["subject"])
    store.publish("a", revocation_tag(made.digest, "0" * 64), forged)
    with pytest.raises(TrustError, match="cannot be read: The signature means something else"):
        hub.pull("a:1", tmp_path / "x.hgan")
    (listed,) = hub.list()
    assert listed.revoked.broken
    assert listed.revoked.by is None
    # Whoever insists may have it all the same.
    assert hub.pull("a:1", tmp_path / "x.hgan", even_revoked=True).entry.revoked.broken


def test_a_revocation_in_somebodys_name_is_refused(clinic, tmp_path):
    """Whoever may write to the hub cannot write what the publisher seems to have signed, nor leave out why."""
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    made = hub.push(clinic.file(), "a:1")
    hub.revoke("a:1", clinic.key, "a column was wrong")
    (tag,) = [tag for name, tag in fake.manifests if tag.startswith(f"revoked-{made.digest[7:]}")]
    manifest = json.loads(fake.manifests["a", tag])
    envelope = json.loads(fake.blobs[manifest["layers"][0]["digest"]])

    def put(changed):
        data = canonical(changed)
        layer = manifest["layers"][0] | {"digest": digest_of(data), "size": len(data)}
        fake.blobs[digest_of(data)] = data
        fake.manifests["a", tag] = canonical(manifest | {"layers": [layer]})

    statement = json.loads(base64.b64decode(envelope["payload"]))
    for predicate, why in (
        ({"reason": "x", "date": "2026-01-01"}, "signature is wrong"),
        ({"reason": "x"}, "something else"),
    ):
        payload = base64.b64encode(canonical(statement | {"predicate": predicate})).decode()
        put(envelope | {"payload": payload})
        with pytest.raises(TrustError, match=why):
            hub.pull("a:1", tmp_path / "x.hgan")


def test_a_hub_of_a_part_of_a_registry(clinic):
    fake = FakeRegistry()
    whole = clinic.remote(fake)
    for name in ("cardio/a:1", "cardiology:1", "neuro/a:1"):
        whole.push(clinic.file(), name)
    part = Hub("registry.example/cardio", trust=clinic.trust)
    part._store = fake.client
    assert [one.name for one in part.list()] == ["cardio/a"]
    assert part.entry("a:1").name == "cardio/a"
    assert part.push(clinic.file(), "b:1").target == "registry.example/cardio/b:1"
    assert repr(part) == "Hub('registry.example/cardio')"


def test_one_bad_release_does_not_hide_the_others(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    first = hub.push(clinic.file("a"), "a:1")
    hub.push(clinic.file("b2", created="2026-02-03"), "b:1")
    parts = tmp_path / "hub" / "blobs" / "sha256"
    manifest = parts / first.manifest[7:]
    good = manifest.read_bytes()
    for break_it in (lambda: manifest.write_bytes(good[:-1] + b" "), manifest.unlink):
        break_it()
        found = {one.name: one for one in hub.list()}
        assert isinstance(found["a"], Broken)
        assert found["b"].digest
        assert [one.name for one in hub.search("sbp")] == ["b"]


def test_a_name_that_nobody_may_read_does_not_hide_the_others(clinic):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    for name in ("a:1", "b:1"):
        hub.push(clinic.file(), name)
    fake.faults.append(
        lambda request, registry: httpx2.Response(403) if request.url.path.endswith("/a/tags/list") else None
    )
    found = {one.name: one for one in hub.list()}
    assert isinstance(found["a"], Broken)
    assert found["b"].tag == "1"


def test_a_malformed_trust_file_is_one_refusal(clinic, tmp_path):
    Hub(tmp_path / "hub", trust=clinic.trust).push(clinic.file(), "a:1")
    (tmp_path / "trust.json").write_text("{")
    with pytest.raises(TrustError, match="malformed"):
        Hub(tmp_path / "hub", trust=tmp_path / "trust.json").list()


def test_other_peoples_tags_do_not_stand_in_the_way(clinic, tmp_path):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    made = hub.push(clinic.file(), "a:1")
    fake.manifests["a", "9"] = canonical({"schemaVersion": 2, "config": {}, "layers": []})
    assert hub.pull("a", tmp_path / "x.hgan").entry.tag == "1"
    assert hub.pull(f"a@{made.digest}", tmp_path / "y.hgan").entry.tag == "1"


def test_to_replace_a_release_one_must_say_which(hub, clinic):
    for name in (None, "a"):
        with pytest.raises(UsageError, match="say which tag"):
            hub.push(clinic.file(), name, force=True)


def test_where_a_hub_is(clinic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    Hub("~/hub", trust=clinic.trust).push(clinic.file(), "a:1")
    assert (tmp_path / "home" / "hub" / "index.json").is_file()
    from pathlib import Path

    Hub(Path("my.hub"), trust=clinic.trust).push(clinic.file(), "a:1")
    assert (tmp_path / "my.hub" / "index.json").is_file()
    monkeypatch.setenv("WARDGAN_HUB", "~/hub")
    assert [one.name for one in Hub(trust=clinic.trust).list()] == ["a"]
    with pytest.raises(HubError, match="There is no hub"):
        Hub("home", trust=clinic.trust).list()
    with pytest.raises(UsageError, match="for registries"):
        Hub("hub", plain_http=True)


def test_without_a_target_the_default_hub_keeps_its_beginning(clinic, monkeypatch):
    fake = FakeRegistry()
    monkeypatch.setenv("WARDGAN_HUB", "registry.example/cardio")
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))
    monkeypatch.setattr(Hub, "_store", lambda self: fake.client())
    done = CliRunner().invoke(app, ["push", str(clinic.file())])
    assert done.exit_code == 0, done.output
    assert "registry.example/cardio/demo:1" in done.output
    assert CliRunner().invoke(app, ["pull", "registry.example/cardio:1"]).exit_code == 2


def test_what_fails_while_a_release_is_staged_is_told_as_it_is(clinic, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")

    def fails(*_):
        raise FileNotFoundError(2, "something else")

    monkeypatch.setattr(module, "fetch", fails)
    with pytest.raises(FileNotFoundError, match="something else"):
        hub.pull("a:1", tmp_path / "x.hgan")


def test_nothing_is_read_twice_to_say_what_a_release_is(clinic):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.region(), "a:1")
    fake.asked.clear()
    hub.entry("a:1")
    assert len(fake.asked) == len(set(fake.asked)), fake.asked


def test_other_things_in_a_hub_are_told_apart(clinic, tmp_path):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file(), "a:1")
    fake.manifests["a", "image"] = canonical({"schemaVersion": 2, "config": {}, "layers": []})
    fake.manifests["a", "list"] = None
    found = {one.tag: one for one in hub.list()}
    assert isinstance(found["image"], Broken)
    assert "no release of wardgan" in found["image"].problem
    assert isinstance(found["list"], Broken)
    with pytest.raises(FormatError, match="no release of wardgan"):
        hub.pull("a:image", tmp_path / "x.hgan")


# --- what a hub may have done to the bytes -----------------------------------------------------------------------------


def blobs_of(hub, name="a", tag="1"):
    return read_parcel(hub._store().manifest(name, tag), "x").blobs


@pytest.mark.parametrize("change", ["flipped", "cut", "longer", "empty", "gone"])
def test_a_blob_that_was_changed_on_the_disk_is_refused(change, clinic, tmp_path):
    for place in range(3):
        path = tmp_path / str(place)
        path.mkdir()
        hub = Hub(path / "hub", trust=clinic.trust)
        hub.push(clinic.file(), "a:1")
        blob = sorted(blobs_of(hub), key=lambda one: -one.size)[place]
        file = path / "hub" / "blobs" / "sha256" / blob.digest[7:]
        data = file.read_bytes()
        file.write_bytes(
            {"flipped": bytes([data[0] ^ 1]) + data[1:], "cut": data[:-1], "longer": data + b"x", "empty": b""}.get(
                change, data
            )
        )
        if change == "gone":
            file.unlink()
        with pytest.raises((DigestError, HubError)):
            hub.pull("a:1", path / "x.hgan")
        assert not (path / "x.hgan").exists()
        # Who has the file mends the hub by pushing it once more.
        assert hub.push(clinic.file(), "a:1").sent == blob.size
        hub.pull("a:1", path / "x.hgan")


def test_every_blob_is_checked(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.region(), "a:1")
    blobs = blobs_of(hub)
    assert len(blobs) > 25
    for at, blob in enumerate(blobs):
        file = tmp_path / "hub" / "blobs" / "sha256" / blob.digest[7:]
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(DigestError):
            hub.pull("a:1", tmp_path / f"{at}.hgan")
        file.write_bytes(good)


def test_a_manifest_that_was_changed_is_refused(clinic, tmp_path):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file("a"), "a:1")
    other = hub.push(clinic.file("b2", created="2026-02-03"), "b:1")
    mine, theirs = (json.loads(fake.manifests[name, "1"]) for name in "ab")

    def variants():
        yield "swapped word", mine | {"annotations": {"vnd.wardgan.release.digest": other.digest}}
        yield "swapped config", mine | {"config": theirs["config"]}
        yield "swapped index", mine | {"layers": [theirs["layers"][0], *mine["layers"][1:]]}
        yield "part left out", mine | {"layers": mine["layers"][:-1]}
        yield "part added", mine | {"layers": [*mine["layers"], theirs["config"]]}
        yield "order", mine | {"layers": [mine["layers"][0], *reversed(mine["layers"][1:])]}
        yield "twice", mine | {"layers": [*mine["layers"], mine["layers"][-1]]}
        yield "size", mine | {"layers": [mine["layers"][0], mine["layers"][1] | {"size": 7}, *mine["layers"][2:]]}
        yield "huge", mine | {"layers": [mine["layers"][0], mine["layers"][1] | {"size": 1 << 60}, *mine["layers"][2:]]}
        yield (
            "title",
            mine
            | {
                "layers": [
                    mine["layers"][0],
                    mine["layers"][1] | {"annotations": {"x": "../../y"}},
                    *mine["layers"][2:],
                ]
            },
        )
        yield "type", mine | {"artifactType": "application/vnd.oci.image.config.v1+json"}
        yield "field", mine | {"subject": theirs["config"]}

    for what, found in variants():
        fake.manifests["a", "1"] = canonical(found)
        with pytest.raises((FormatError, DigestError, HubError)):
            hub.pull("a:1", tmp_path / "x.hgan")
        assert not (tmp_path / "x.hgan").exists(), what
        shutil.rmtree(tmp_path / "staged", ignore_errors=True)
    fake.manifests["a", "1"] = json.dumps(mine, indent=1).encode()
    with pytest.raises(FormatError, match="canonical"):
        hub.pull("a:1", tmp_path / "x.hgan")


def test_who_signed_is_judged_before_the_network_is_fetched(clinic, tmp_path):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file("unsigned", signed=False), "a:1", unsigned=True)
    network = next(one for one in blobs_of(hub) if one.title == "generator.onnx")
    fake.asked.clear()
    with pytest.raises(TrustError):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert f"GET /v2/a/blobs/{network.digest}" not in fake.asked


def test_a_manifest_with_more_than_the_release_fetches_nothing(clinic, tmp_path):
    """What the release consists of is signed, and known before anything large is fetched."""
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file(), "a:1")
    mine = json.loads(fake.manifests["a", "1"])
    huge = bytes(1 << 20)
    fake.blobs[digest_of(huge)] = huge
    entry = {"mediaType": "x/y", "digest": digest_of(huge), "size": len(huge)}
    layers = [mine["layers"][0], *sorted([*mine["layers"][1:], entry], key=lambda one: one["digest"])]
    fake.manifests["a", "1"] = canonical(mine | {"layers": layers})
    fake.asked.clear()
    with pytest.raises(FormatError, match="not that of the release"):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert not [one for one in fake.asked if digest_of(huge) in one]
    assert list(tmp_path.iterdir()) == []


# --- a shared folder ---------------------------------------------------------------------------------------------------


def staging_of(clinic, folder, name="x.hgan"):
    return folder / f".{name}.{parcel_of(clinic.file()).parcel.digest[7:23]}.pull"


def test_a_staging_folder_of_somebody_else_is_not_used(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    victim = tmp_path / "victim"
    victim.mkdir(0o700)
    staged = staging_of(clinic, tmp_path)
    for make in (
        lambda: staged.symlink_to(victim),
        lambda: staged.mkdir(0o777) or staged.chmod(0o777),
        lambda: os.mkfifo(staged),
    ):
        make()
        with pytest.raises(OutputError, match="is a link, or a folder that others can write to"):
            hub.pull("a:1", tmp_path / "x.hgan")
        staged.rmdir() if staged.is_dir() and not staged.is_symlink() else staged.unlink()
    assert list(victim.iterdir()) == []
    assert not (tmp_path / "x.hgan").exists()


def test_two_pulls_into_one_file_do_not_meet(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    good = clinic.file().read_bytes()
    found = []

    def pull():
        for _ in range(25):
            try:
                Hub(tmp_path / "hub", trust=clinic.trust).pull("a:1", tmp_path / "x.hgan", force=True)
            except OutputError as error:
                found.append(str(error))
            if (tmp_path / "x.hgan").exists():
                assert (tmp_path / "x.hgan").read_bytes() == good

    threads = [threading.Thread(target=pull) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert all("in use by another process" in one for one in found), set(found)
    assert (tmp_path / "x.hgan").read_bytes() == good


def test_what_is_written_is_what_was_judged(clinic, tmp_path, monkeypatch):
    """Parts that change between the check and the writing are noticed."""
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    real = Hub._check

    def swapped(self, parcel, staged, entry, **more):
        real(self, parcel, staged, entry, **more)
        network = next(one for one in parcel.blobs if one.title == "generator.onnx")
        (staged / network.digest[7:]).write_bytes(bytes(network.size))

    monkeypatch.setattr(Hub, "_check", swapped)
    with pytest.raises(DigestError):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert not (tmp_path / "x.hgan").exists()


def test_a_push_does_not_follow_links_in_the_hub(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    victim = tmp_path / "victim"
    for file in (tmp_path / "hub" / "blobs" / "sha256" / digest_of(b"{}")[7:], tmp_path / "hub" / "index.json"):
        victim.write_text("mine")
        good = file.read_bytes()
        file.unlink()
        file.symlink_to(victim)
        if file.name == "index.json":
            victim.write_bytes(good)
        before = victim.read_bytes()
        hub.push(clinic.file("b2", created="2026-02-03"), f"a:{file.name[:5]}")
        assert victim.read_bytes() == before
        assert not file.is_symlink()


@pytest.mark.parametrize("name", ["index.json", ".lock", "blob"])
def test_a_pipe_in_a_hub_does_not_stop_the_world(name, clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    parts = tmp_path / "hub" / "blobs" / "sha256"
    file = (
        parts / max(blobs_of(hub), key=lambda one: one.size).digest[7:] if name == "blob" else tmp_path / "hub" / name
    )
    file.unlink()
    os.mkfifo(file)
    with pytest.raises((HubError, OutputError)):
        hub.push(clinic.file("b2", created="2026-02-03"), "a:2") if name == ".lock" else hub.pull(
            "a:1", tmp_path / "x.hgan"
        )


# --- interrupted -------------------------------------------------------------------------------------------------------


def test_a_pull_that_was_stopped_goes_on(clinic, tmp_path):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file(), "a:1")
    largest = next(one for one in blobs_of(hub) if one.title == "generator.onnx")
    data = fake.blobs[largest.digest]
    half = len(data) // 2

    def cut(request, registry):
        if request.url.path.endswith(largest.digest) and "Range" not in request.headers:
            return httpx2.Response(200, stream=BrokenLine(data[:half]))
        return None

    def stop(request, registry):
        return KeyboardInterrupt() if request.headers.get("Range") == f"bytes={half}-" else None

    fake.faults += [cut, stop]
    with pytest.raises(KeyboardInterrupt):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert [one.name for one in tmp_path.iterdir()] == [f".x.hgan.{parcel_of(clinic.file()).parcel.digest[7:23]}.pull"]
    fake.asked.clear()
    seen = []
    hub.pull("a:1", tmp_path / "x.hgan", watch=lambda done, total, title: seen.append(done))
    assert (tmp_path / "x.hgan").read_bytes() == clinic.file().read_bytes()
    assert seen == sorted(seen)
    assert [one.name for one in tmp_path.iterdir()] == ["x.hgan"]
    asked = [one for one in fake.asked if one.endswith(largest.digest)]
    assert len(asked) == 1


def test_a_wrong_beginning_is_thrown_away(clinic, tmp_path):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file(), "a:1")
    largest = max(blobs_of(hub), key=lambda one: one.size)
    staged = tmp_path / f".x.hgan.{parcel_of(clinic.file()).parcel.digest[7:23]}.pull"
    staged.mkdir(0o700)
    (staged / f"{largest.digest[7:]}.part").write_bytes(b"\0" * 500)
    hub.pull("a:1", tmp_path / "x.hgan")
    assert (tmp_path / "x.hgan").read_bytes() == clinic.file().read_bytes()


def test_a_push_that_was_stopped_shows_nothing_and_sends_the_rest(clinic):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    begun = []

    def stop(request, registry):
        if request.method == "POST":
            begun.append(1)
        return KeyboardInterrupt() if len(begun) == 4 else None

    fake.faults.append(stop)
    with pytest.raises(KeyboardInterrupt):
        hub.push(clinic.file(), "a:1")
    assert fake.manifests == {}
    assert len(fake.blobs) == 3
    there = sum(map(len, fake.blobs.values()))
    made = hub.push(clinic.file(), "a:1")
    assert made.sent == parcel_of(clinic.file()).parcel.size - there


def test_a_killed_writer_of_a_folder_shows_nothing(clinic, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    before = (tmp_path / "hub" / "index.json").read_bytes()

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folders.Folder, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            hub.push(clinic.region(), "b:1")
    assert (tmp_path / "hub" / "index.json").read_bytes() == before
    assert [one.name for one in hub.list()] == ["a"]
    assert hub.push(clinic.region(), "b:1").sent == 0


def test_leftovers_of_killed_writers_go_after_a_day(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    blobs = tmp_path / "hub" / "blobs" / "sha256"
    for name, age in ((".old.part", 2 * 86_400), (".new.part", 60)):
        (blobs / name).write_bytes(b"x")
        os.utime(blobs / name, (os.path.getmtime(blobs / name) - age,) * 2)
    hub.push(clinic.file(), "a:2")
    assert not (blobs / ".old.part").exists()
    assert (blobs / ".new.part").exists()


def test_a_full_disk_leaves_no_file(clinic, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    from wardgan.hub import moving

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(moving.tar, "header", full)
    with pytest.raises(OutputError, match="No space left"):
        hub.pull("a:1", tmp_path / "x.hgan")
    assert not (tmp_path / "x.hgan").exists()


# --- two at once -------------------------------------------------------------------------------------------------------


def test_of_two_publishers_of_one_tag_one_wins(clinic, tmp_path):
    files = [clinic.file("a"), clinic.file("b2", created="2026-02-03")]
    for number in range(5):
        place, found, start = tmp_path / str(number), [], threading.Barrier(2)

        def publish(file, place=place, found=found, start=start):
            hub = Hub(place, trust=clinic.trust)
            start.wait()
            try:
                found.append(hub.push(file, "a:1"))
            except HubError as error:
                found.append(error)

        threads = [threading.Thread(target=publish, args=(file,)) for file in files]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        (winner,) = [one for one in found if not isinstance(one, HubError)]
        assert Hub(place, trust=clinic.trust).entry("a:1").digest == winner.digest


def test_a_hub_that_somebody_makes_at_this_moment_is_no_other_folder(clinic, tmp_path, monkeypatch):
    other = Hub(tmp_path / "hub", trust=clinic.trust)
    real = Path.iterdir

    def made_meanwhile(place):
        monkeypatch.setattr(Path, "iterdir", real)
        other.push(clinic.file("b2", created="2026-02-03"), "b:1")
        return real(place)

    (tmp_path / "hub").mkdir()
    monkeypatch.setattr(Path, "iterdir", made_meanwhile)
    other.push(clinic.file("a"), "a:1")
    assert {one.name for one in other.list()} == {"a", "b"}


def test_in_a_registry_who_lost_is_told(clinic):
    fake = FakeRegistry()
    hub = clinic.remote(fake)
    hub.push(clinic.file("b2", created="2026-02-03"), "b:1")
    theirs = fake.manifests["b", "1"]

    def other(request, registry):
        if request.method != "PUT" or "/manifests/" not in request.url.path:
            return None
        answer = registry.answer(request)
        registry.manifests["a", "1"] = theirs
        return answer

    fake.faults.append(other)
    with pytest.raises(HubError, match="somebody else published a:1 at the same moment"):
        hub.push(clinic.file("a"), "a:1")


def test_many_publishers_lose_nothing(clinic, tmp_path):
    file = clinic.file()
    place = tmp_path / "hub"
    Hub(place, trust=clinic.trust).push(file, "n0:1")

    def publish(number):
        Hub(place, trust=clinic.trust).push(file, f"n{number}:1")

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(1, 9)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(Hub(place, trust=clinic.trust).list()) == 9


# --- folders -----------------------------------------------------------------------------------------------------------


def test_a_folder_with_other_things_is_left_alone(clinic, tmp_path):
    place = tmp_path / "papers"
    place.mkdir()
    (place / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match=r"other things, such as 'thesis.txt'"):
        Hub(place, trust=clinic.trust).push(clinic.file(), "a:1")
    assert [one.name for one in place.iterdir()] == ["thesis.txt"]


def test_a_hub_that_is_not_there(clinic, tmp_path):
    with pytest.raises(HubError, match="There is no hub"):
        Hub(tmp_path / "none", trust=clinic.trust).list()
    assert not (tmp_path / "none").exists()


def test_an_index_that_another_tool_wrote(clinic, tmp_path):
    place = tmp_path / "hub"
    hub = Hub(place, trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    index = json.loads((place / "index.json").read_text())
    index["manifests"][0].pop("artifactType")
    index["manifests"].append({"mediaType": "x/y", "digest": "sha512:" + "1" * 128, "size": 5})
    index["manifests"].append(
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "1" * 64, "size": 5}
    )
    (place / "index.json").write_text(json.dumps({"annotations": {}, **index}, indent=3))
    assert [one.tag for one in hub.list()] == ["1"]
    hub.push(clinic.file(), "a:2")
    assert [one.tag for one in hub.list()] == ["2", "1"]
    assert len(json.loads((place / "index.json").read_text())["manifests"]) == 4
    twice = json.loads((place / "index.json").read_text())
    twice["manifests"].append(
        next(one for one in twice["manifests"] if "1:1" in str(one) or "a:1" in str(one))
        | {"digest": "sha256:" + "2" * 64}
    )
    (place / "index.json").write_text(json.dumps(twice))
    assert [one.tag for one in hub.list() if isinstance(one, Broken)] == ["1"]
    for text, why in (
        ("{}", "not that of an OCI"),
        ("[1", "not JSON"),
        ('{"manifests": [{}]}', "no digest and size"),
    ):
        (place / "index.json").write_text(text)
        with pytest.raises(FormatError, match=why):
            hub.list()


def test_a_manifest_that_is_too_large_is_not_read(clinic, tmp_path):
    place = tmp_path / "hub"
    hub = Hub(place, trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    index = json.loads((place / "index.json").read_text())
    index["manifests"][0] |= {"size": 5 << 20}
    (place / "index.json").write_text(json.dumps(index))
    with pytest.raises(FormatError, match="more than 4194304 bytes"):
        hub.pull("a:1", tmp_path / "x.hgan")


def test_indexes_are_not_followed_without_an_end():
    blobs, digest, size = {}, None, 0
    for depth in range(40):
        entry = {"mediaType": INDEX_TYPE, "digest": digest, "size": size}
        data = canonical({"manifests": [entry] if depth else []})
        digest, size = digest_of(data), len(data)
        blobs[digest] = data
    index = canonical({"manifests": [{"mediaType": INDEX_TYPE, "digest": digest, "size": size}]})
    read = []
    with pytest.raises(FormatError, match="more than a release can have"):
        manifest_of(index, lambda name, _: read.append(name) or blobs[name], "x")
    assert len(read) < 20
    for entry in (
        {},
        {"digest": "x", "size": 1},
        {"digest": digest, "size": -1},
        {"digest": digest, "size": 1 << 40},
        5,
    ):
        with pytest.raises(FormatError, match=r"malformed|no digest and size"):
            manifest_of(canonical({"manifests": [entry]}), lambda *_: b"{}", "x")


def test_a_parcel_is_a_function_of_the_file(clinic, tmp_path):
    shutil.copy(clinic.region(), tmp_path / "other.hgan")
    one, other = parcel_of(clinic.region()), parcel_of(tmp_path / "other.hgan")
    assert one.parcel == other.parcel
    assert read_parcel(one.parcel.data, "x") == one.parcel
    assert replace(one.parcel, data=b"") != one.parcel
