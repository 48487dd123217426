"""Files of combined generators: what goes in comes out, what was tampered with is refused, and arithmetic holds."""

import io
import json
import os
import shutil

import numpy as np
import pytest

import combining_kit as kit
import wardgan as wg
from wardgan.combining import file as filing
from wardgan.combining.loading import open_file
from wardgan.errors import ArtifactError, DigestError, FormatError, OutputError, TrustError, UsageError, WardganError
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.accounts.together import gaussian_epsilon
from wardgan.seal import oci, tar
from wardgan.seal.json_text import canonical


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospitals")
    wg.new_key(folder / "one.key", name="One", trust=folder / "trust.json")
    wg.new_key(folder / "region.key", name="Region", trust=folder / "trust.json")
    kit.hospital(folder, "alpha", 600, seed=1, epsilon=1.0, key=folder / "one.key")
    kit.hospital(folder, "beta", 900, seed=2, epsilon=2.0, key=folder / "one.key")
    kit.hospital(folder, "gamma", 700, seed=3, epsilon=2.0)
    kit.hospital(folder, "open", 500, seed=4, epsilon=None)
    kit.hospital(folder, "alpha2", 600, seed=1, epsilon=1.0, data="data-alpha-of-600")
    return folder


def combined(home, tmp_path, *names, **more):
    target = tmp_path / "all.hgan"
    return wg.combine([home / f"{name}.hgan" for name in names], target, **more)


def mu(epsilon):
    return gaussian_mu(epsilon, 1e-5)


def test_the_three_bounds_are_those_of_the_ledgers(home, tmp_path):
    found = combined(home, tmp_path, "alpha", "beta", "gamma", overlap=2).bounds
    # The plans spend their budgets up to a few parts in a thousand.
    assert found.disjoint.epsilon == pytest.approx(2.0, rel=0.01)
    assert found.overlap.epsilon == pytest.approx(gaussian_epsilon(np.hypot(mu(2), mu(2)), 1e-5), rel=0.01)
    assert found.worst.epsilon == pytest.approx(gaussian_epsilon(np.sqrt(mu(1) ** 2 + 2 * mu(2) ** 2), 1e-5), rel=0.01)
    assert wg.load(tmp_path / "all.hgan").privacy["epsilon"] == found.overlap.epsilon
    facts = wg.inspect(tmp_path / "all.hgan")
    assert facts["bounds"]["worst"]["epsilon"] == found.worst.epsilon
    assert [member["name"] for member in facts["tree"]] == ["alpha", "beta", "gamma"]


def test_without_a_declaration_the_worst_case_is_claimed(home, tmp_path):
    found = combined(home, tmp_path, "alpha", "beta")
    assert wg.load(found.path).privacy["epsilon"] == found.bounds.worst.epsilon > found.bounds.disjoint.epsilon


def test_two_generators_of_the_same_patients_compose(home, tmp_path):
    found = combined(home, tmp_path, "alpha", "alpha2", overlap=1)
    assert found.bounds.sites == 1
    assert found.bounds.disjoint.epsilon == pytest.approx(gaussian_epsilon(np.sqrt(2) * mu(1), 1e-5), rel=0.01)
    assert found.shares == pytest.approx({"alpha": 0.5, "alpha2": 0.5})
    assert any("the same patients" in notice.lower() for notice in found.notices)
    with pytest.raises(UsageError, match="the same patients are in alpha and in alpha2"):
        combined(home, tmp_path, "alpha", "alpha2", weights="uniform", force=True)


def test_a_hospital_under_two_regions_counts_once(home, tmp_path):
    for name, other in (("north", "beta"), ("south", "gamma")):
        wg.combine([home / "alpha.hgan", home / f"{other}.hgan"], tmp_path / f"{name}.hgan")
    parts = [tmp_path / "north.hgan", tmp_path / "south.hgan"]
    found = wg.combine(parts, tmp_path / "nation.hgan", overlap=1)
    assert found.bounds.sites == 3
    mixture = wg.load(found.path)
    assert [leaf.name for leaf in mixture.leaves] == ["north/alpha", "north/beta", "south/gamma"]
    np.testing.assert_allclose(mixture.shares, np.array([600, 900, 700]) / 2200)
    with pytest.raises(UsageError, match="the same patients are in north and in south; take them out of one"):
        wg.combine(parts, tmp_path / "again.hgan", weights="uniform")
    assert not (tmp_path / "again.hgan").exists()


def test_p16_what_is_not_private_makes_the_whole_not_private(home, tmp_path):
    found = combined(home, tmp_path, "alpha", "open", overlap=1)
    assert "open: NOT PRIVATE, and so neither is the whole." in found.notices
    mixture = wg.load(found.path)
    assert "NOT PRIVATE" in repr(mixture)
    assert mixture.privacy["mode"] == "none"
    outer = wg.combine([found.path, home / "beta.hgan"], tmp_path / "outer.hgan", overlap=1)
    assert wg.load(outer.path).privacy["mode"] == "none"


def test_the_same_members_give_the_same_bytes_and_members_stay_what_they_are(home, tmp_path):
    asked = {"created": "2026-01-31", "key": home / "region.key"}
    one = combined(home, tmp_path, "alpha", "beta", **asked).path.read_bytes()
    two = combined(home, tmp_path, "alpha", "beta", force=True, **asked).path.read_bytes()
    assert one == two
    with (home / "alpha.hgan").open("rb") as file:
        member = tar.table(file, (home / "alpha.hgan").stat().st_size)
    whole = tar.table(io.BytesIO(one), len(one), most=1000)
    assert set(member) - {"index.json"} <= set(whole)
    facts = wg.inspect(tmp_path / "all.hgan", home / "trust.json")
    assert facts["signature"]["name"] == "Region"
    assert {each["signature"]["name"] for each in facts["tree"]} == {"One"}


def test_verify_looks_at_every_member(home, tmp_path):
    combined(home, tmp_path, "alpha", "beta", key=home / "region.key", overlap=1)
    found = wg.verify_mixture(tmp_path / "all.hgan", home / "trust.json")
    assert found.refusals == ()
    assert found.billed["beta"] == pytest.approx(2.0, rel=0.01)
    combined(home, tmp_path, "alpha", "gamma", key=home / "region.key", overlap=1, force=True)
    found = wg.verify_mixture(tmp_path / "all.hgan", home / "trust.json")
    assert found.refusals == ("gamma: its release is not signed by a key that you trust (unsigned).",)
    combined(home, tmp_path, "alpha", "beta", force=True)
    with pytest.raises(TrustError, match="unsigned"):
        wg.verify_mixture(tmp_path / "all.hgan", home / "trust.json")
    with pytest.raises(TrustError, match="unsigned"):
        wg.load(tmp_path / "all.hgan", trust=home / "trust.json")


def test_members_that_must_not_be_used(home, tmp_path):
    with pytest.raises(TrustError, match="unsigned"):
        combined(home, tmp_path, "alpha", "gamma", trust=home / "trust.json")
    digest = wg.inspect(home / "beta.hgan")["digest"]
    with pytest.raises(TrustError, match="was revoked"):
        combined(home, tmp_path, "alpha", "beta", revoked=[digest])
    wg.combine([home / "alpha.hgan", home / "beta.hgan"], tmp_path / "north.hgan")
    with pytest.raises(TrustError, match="was revoked"):
        wg.combine([tmp_path / "north.hgan"], tmp_path / "all.hgan", revoked=[digest])
    assert not (tmp_path / "all.hgan").exists()


@pytest.mark.parametrize(
    ("names", "more", "says"),
    [
        ((), {}, "there is none to combine"),
        (("alpha", "alpha"), {}, "are the same file; name it once"),
        (("alpha", "beta"), {"overlap": 0}, "overlap=0"),
        (("alpha", "beta"), {"name": "a/b"}, "is not a short text without '/'"),
        (("alpha", "missing"), {}, "cannot be read"),
    ],
)
def test_what_cannot_be_combined(home, tmp_path, names, more, says):
    with pytest.raises(WardganError, match=says):
        combined(home, tmp_path, *names, **more)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced(home, tmp_path):
    (tmp_path / "all.hgan").write_bytes(b"mine")
    with pytest.raises(OutputError):
        combined(home, tmp_path, "alpha", "beta")
    assert (tmp_path / "all.hgan").read_bytes() == b"mine"


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_a_hospital_leaves_by_one_line(home, tmp_path):
    for name in ("alpha", "beta", "gamma"):
        shutil.copy(home / f"{name}.hgan", tmp_path)
    recipe = tmp_path / "region.yaml"
    text = (
        "name: region\noverlap: 1\nmembers:\n  - alpha.hgan\n  - {file: beta.hgan, name: Beta clinic}\n  - gamma.hgan\n"
    )
    recipe.write_text(text, encoding="utf-8")
    made = wg.combine(wg.Recipe.load(recipe), tmp_path / "one.hgan")
    assert list(made.shares) == ["alpha", "Beta clinic", "gamma"]
    recipe.write_text(text.replace("  - alpha.hgan\n", ""), encoding="utf-8")
    assert list(wg.combine(wg.Recipe.load(recipe), tmp_path / "two.hgan").shares) == ["Beta clinic", "gamma"]
    (tmp_path / "nation.yaml").write_text("members: [region.yaml, alpha.hgan]", encoding="utf-8")
    nation = wg.combine(wg.Recipe.load(tmp_path / "nation.yaml"), tmp_path / "nation.hgan")
    assert nation.shares == pytest.approx({"region": 1600 / 2200, "alpha": 600 / 2200})


def test_recipes_in_a_circle(home, tmp_path):
    (tmp_path / "a.yaml").write_text("members: [b.yaml]", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("members: [a.yaml]", encoding="utf-8")
    with pytest.raises(UsageError, match=r"b.yaml -> a.yaml -> b.yaml: recipes refer to each other in a circle"):
        wg.combine(wg.Recipe.load(tmp_path / "a.yaml"), tmp_path / "x.hgan")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("members: 3", "is a list of files"), ("members: []", "there is none"), ("- a", "is a mapping"),
        ("members: [{name: x}]", "each one has a file"), ("member: [a]", "unknown key"),
        ("members: [{file: a.hgan, weight: -1}]", "weights: .* has -1.0"),
        ("members: [{file: a.hgan, weight: 1}, b.hgan]", "b.hgan has none; give one to every member"),
        ("members: [{file: a.hgan, weight: 0}]", "they are all 0"), ("members: [{file: a.hgan, weight: x}]", "is not a number"),
        ("members: [{file: a.hgan, weight: 1}]\nweights: size", "members have some"),
        ("members: [a.hgan]\nweights: best", "weights='best' is not one of size, uniform"),
        ("members: [a.hgan]\noverlap: 1.5", "is not a whole number"), ("members: [a.hgan]\ncolumns: 7", "columns=7 is not"),
        ("members: [a.hgan]\nlevels: some", "levels='some' is not one of"), ("members: [", "is no YAML"),
        ("members: [{file: a.hgan, map: {x: {factor: 2}}}]", "unknown key"),
    ],
)  # fmt: skip
def test_recipes_that_mean_nothing(tmp_path, text, says):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        wg.Recipe.load(path)


def test_weights_of_classes_that_nobody_knows(home, tmp_path):
    members = (wg.Wanted(home / "alpha.hgan"), wg.Wanted(home / "beta.hgan"))
    for classes, says in (
        ({"arm=other": {"alpha": 1}}, "'arm=other' is no class of the common schema, such as arm=old"),
        ({"arm=new": {"delta": 1}}, "'delta' is no member"),
    ):
        with pytest.raises(UsageError, match=says):
            wg.combine(wg.Recipe("r", members, classes=classes), tmp_path / "x.hgan")


# --- hostile files ----------------------------------------------------------------------------------------------------


def forged(path, target, change):
    """Writes the same file with another `mixture.json`, all digests made anew."""
    with path.open("rb") as file:
        table = tar.table(file, path.stat().st_size, most=1000)
        blobs = oci.Blobs(file, table)
        data = {name: blobs.plain(name, 1 << 30) for name in table}
    outer = json.loads(data["index.json"])
    inner = json.loads(data[oci.blob_name(outer["manifests"][0]["digest"])])
    facts = json.loads(data[oci.blob_name(inner["manifests"][0]["digest"])])
    record = json.loads(data[oci.blob_name(facts["config"]["digest"])])
    for name in (outer["manifests"][0]["digest"], inner["manifests"][0]["digest"], facts["config"]["digest"]):
        del data[oci.blob_name(name)]
    change(record, inner, facts)
    fresh = {name: value for name, value in data.items() if name.startswith("blobs/")}
    facts["config"] |= oci.put(fresh, canonical(record), facts["config"]["mediaType"])
    inner["manifests"][0] |= oci.put(fresh, canonical(facts), oci.MANIFEST_TYPE)
    outer["manifests"][0] |= oci.put(fresh, canonical(inner), oci.INDEX_TYPE)
    members = {**fresh, "oci-layout": oci.LAYOUT, "index.json": canonical(outer)}
    target.write_bytes(tar.join(members))
    return target


def lower(record, *_):
    record["privacy"]["epsilon"] = 0.1


def claim(record, *_):
    record["privacy"] |= {"mode": "private", "epsilon": 3.0, "delta": 1e-5}


def shares(record, *_):
    record["leaves"][0]["joint"][0] += 0.2


def swapped(record, *_):
    record["leaves"].reverse()


def short(record, *_):
    record["leaves"][0]["joint"].pop()


def renamed(record, *_):
    record["members"][0]["columns"]["age"]["column"] = "arm"


def lost(record, *_):
    del record["members"][0]["columns"]["age"]


def stranger(record, *_):
    record["members"][0]["columns"]["hidden"] = {"column": "age"}


def newer(record, *_):
    record["version"] = "2.0"


def unknown(record, *_):
    record["hook"] = "x"


def twice(record, inner, _):
    record["members"].append(record["members"][0])
    inner["manifests"].append(inner["manifests"][1])


def kinds(record, *_):
    record["members"][0]["kind"] = "mixture"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lower, "it claims epsilon 0.1, and its members' ledgers cost"), (shares, "its shares sum to"),
        (swapped, "each once and in order"), (short, "classes, and 1 shares"), (renamed, "'age' cannot come from 'arm'"),
        (lost, "has no 'age', which cannot be missing"), (stranger, "there is no column 'hidden'"),
        (newer, "newer than 1.0"), (unknown, "hook"), (twice, "two members have the same name"), (kinds, "is no mixture"),
    ],
)  # fmt: skip
def test_forged_records_are_refused(home, tmp_path, change, says):
    path = combined(home, tmp_path, "alpha", "beta", overlap=1).path
    forged(path, tmp_path / "same.hgan", lambda *_: None)
    assert (tmp_path / "same.hgan").read_bytes() == path.read_bytes()
    with pytest.raises(ArtifactError, match=says):
        wg.load(forged(path, tmp_path / "forged.hgan", change))


def test_p16_a_private_claim_over_an_open_member_is_refused(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "open", overlap=1).path
    with pytest.raises(FormatError, match="claims to be private, and not all of its members are"):
        wg.load(forged(path, tmp_path / "forged.hgan", claim))


def test_every_changed_byte_is_noticed_before_it_is_used(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta", key=home / "region.key").path
    data = bytearray(path.read_bytes())
    stream = np.random.default_rng(0)
    noticed = 0
    for at in stream.integers(0, len(data), 60):
        changed = bytearray(data)
        changed[at] ^= 1 << int(stream.integers(8))
        (tmp_path / "changed.hgan").write_bytes(changed)
        with pytest.raises((ArtifactError, TrustError)):
            wg.load(tmp_path / "changed.hgan").sample(500, seed=1)
        noticed += 1
    assert noticed == 60


def test_a_member_that_was_exchanged_after_it_was_read(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta").path
    mixture = wg.load(path)
    with path.open("rb") as file:
        table = tar.table(file, path.stat().st_size, most=1000)
    largest = max(table.values(), key=lambda one: one.size)
    with path.open("r+b") as file:
        file.seek(largest.offset + largest.size // 2)
        file.write(b"\x00\x01\x02\x03\x04\x05\x06\x07")
    with pytest.raises(DigestError):
        mixture.sample(2000, seed=1)


def test_trees_that_name_each_other_a_billion_times(home, tmp_path, monkeypatch):
    monkeypatch.setattr(filing, "MAX_LEAVES", 10)
    wg.combine([home / "alpha.hgan"], tmp_path / "l0.hgan")
    monkeypatch.setattr(filing, "_MAX_DEPTH", 3)
    wg.combine([tmp_path / "l0.hgan"], tmp_path / "l1.hgan")
    wg.combine([tmp_path / "l1.hgan"], tmp_path / "l2.hgan")
    wg.combine([tmp_path / "l2.hgan"], tmp_path / "l3.hgan")
    with pytest.raises(FormatError, match=r"levels; 10 in 3 are allowed|more than 3 levels deep"):
        wg.load(tmp_path / "l3.hgan")


def test_a_models_reader_says_what_a_combined_file_is(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta", "gamma").path
    with pytest.raises(FormatError, match="a combined generator is not read here"):
        wg.verify(path, home / "trust.json")
    assert open_file(home / "alpha.hgan", None, required=False).node is None
    with pytest.raises(UsageError):
        wg.load(tmp_path / "missing.hgan")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(FormatError):
        wg.load(path)
