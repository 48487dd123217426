"""Files of combined generators: what goes in comes out, what was tampered with is refused, and arithmetic holds."""

import io
import json
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import combining_kit as kit
import release_kit
import wardgan as wg
from wardgan.combining import file as filing
from wardgan.combining import loading, making
from wardgan.combining.loading import claim_problems, open_file
from wardgan.errors import ArtifactError, DigestError, FormatError, OutputError, TrustError, UsageError, WardganError
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.accounts.together import Part, Total, gaussian_epsilon
from wardgan.privacy.events import Event
from wardgan.privacy.union import Bounds, Site, union_bounds
from wardgan.seal import oci, tar
from wardgan.seal.artifact import release
from wardgan.seal.joint import Behind, sites_behind
from wardgan.seal.joint import claim as claim_of_bounds
from wardgan.seal.json_text import canonical
from wardgan.seal.reading import Signature
from wardgan.seal.records import Bill, Claim


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


def test_a_member_that_a_stranger_signed_is_said_if_a_trust_file_was_there_to_ask(home, tmp_path, monkeypatch):
    wg.new_key(tmp_path / "else.key", name="Else", trust=tmp_path / "else.json")
    (tmp_path / "in").mkdir()
    combined(home, tmp_path / "in", "beta", key=tmp_path / "else.key")
    members = [home / "alpha.hgan", tmp_path / "in" / "all.hgan"]

    def said(**more):
        notices = wg.combine(members, tmp_path / "x.hgan", force=True, **more).notices
        return [one.partition(",")[0] for one in notices if "sign" in one]

    # Without any trust file every key is unknown, and the tree says so.
    monkeypatch.setenv("WARDGAN_TRUST", str(tmp_path / "none.json"))
    assert said() == []
    stranger = "signed by a key that no trust file here knows"
    monkeypatch.setenv("WARDGAN_TRUST", str(home / "trust.json"))
    assert said() == [f"all: {stranger}"]
    monkeypatch.setenv("WARDGAN_TRUST", str(tmp_path / "else.json"))
    assert said() == [f"alpha: {stranger}", f"all/beta: {stranger}"]
    # What is cooked here is one's own, signed or not.
    recipe = {"members": ["alpha.hgan"]}
    shutil.copy(home / "alpha.hgan", tmp_path / "alpha.hgan")
    (tmp_path / "inner.yaml").write_text(json.dumps(recipe))
    (tmp_path / "outer.yaml").write_text(json.dumps({"members": ["inner.yaml"]}))
    monkeypatch.setenv("WARDGAN_TRUST", str(home / "trust.json"))
    for key in (None, tmp_path / "else.key"):
        made = wg.combine(wg.Recipe.load(tmp_path / "outer.yaml"), tmp_path / "y.hgan", key=key, force=True)
        assert not [one for one in made.notices if "sign" in one]


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
        (("alpha", "beta"), {"name": "a/b"}, "is not a text of 1 to 100 plain letters"),
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
        ("members: [a.hgan]\nlevels: some", "levels='some' is not one of"), ("members: [", "is not YAML, line 1"),
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
    with pytest.raises(UsageError, match="nobody could read the combined file: The tree is more than 3 levels deep"):
        wg.combine([tmp_path / "l2.hgan"], tmp_path / "l3.hgan")
    assert not (tmp_path / "l3.hgan").exists()
    monkeypatch.setattr(filing, "_MAX_DEPTH", 8)
    wg.combine([tmp_path / "l2.hgan"], tmp_path / "l3.hgan")
    monkeypatch.setattr(filing, "_MAX_DEPTH", 3)
    with pytest.raises(FormatError, match="levels"):
        wg.load(tmp_path / "l3.hgan")
    monkeypatch.setattr(filing, "_MAX_DEPTH", 8)
    monkeypatch.setattr(filing, "MAX_LEAVES", 1)
    pair = [home / "alpha.hgan", home / "beta.hgan"]
    with pytest.raises(UsageError, match="2 generators in 1 levels; 1 in 8 are allowed"):
        wg.combine(pair, tmp_path / "pair.hgan")


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


def test_p01_members_that_protect_other_things_are_refused():
    def facts(unit, neighbours):
        return Behind("source", "patients", SimpleNamespace(unit=unit, neighbours=neighbours, delta=1e-5))

    for other in (facts("visit", "add-or-remove"), facts("patient", "replace-one")):
        with pytest.raises(FormatError, match="members protect different things"):
            sites_behind([facts("patient", "add-or-remove"), other])


def test_an_epsilon_that_protects_nobody_is_not_claimed():
    def bounds(epsilon):
        total = Total(epsilon, 1e-5, "exact")
        return Bounds(1e-5, total, None, None, total, 3)

    assert claim_of_bounds(bounds(99.0)) == {"mode": "private", "epsilon": 99.0, "delta": 1e-5}
    for epsilon in (101.0, np.inf, np.nan):
        assert claim_of_bounds(bounds(epsilon))["mode"] == "none"


def test_the_largest_delta_of_the_members_is_stated(tmp_path):
    for name, delta in (("small", 1e-7), ("large", 1e-4)):
        declared = kit.schema(name, 500)
        trained = wg.fit(kit.patients(declared, 500, 1), wg.Budget(2.0, delta), family="copula")
        release(trained, tmp_path / f"{name}.hgan", training_data_id=f"patients-of-{name}")
    found = wg.combine([tmp_path / "small.hgan", tmp_path / "large.hgan"], tmp_path / "both.hgan", overlap=1)
    assert found.bounds.delta == wg.load(found.path).privacy["delta"] == 1e-4


def test_a_region_is_as_large_as_its_patients_not_its_files(home, tmp_path):
    wg.combine([home / "alpha.hgan", home / "alpha2.hgan"], tmp_path / "twice.hgan")
    made = wg.combine([tmp_path / "twice.hgan", home / "beta.hgan"], tmp_path / "all.hgan")
    assert made.shares == pytest.approx({"twice": 0.4, "beta": 0.6})


def between(record, *_):
    record["privacy"]["epsilon"] = 2.2


def test_a_claim_of_the_disjoint_bound_without_a_declaration_is_refused(home, tmp_path):
    """Between what one of them costs (2) and what all do (2.6)."""
    path = combined(home, tmp_path, "beta", "gamma").path
    with pytest.raises(FormatError, match=r"it claims epsilon 2\.2"):
        wg.load(forged(path, tmp_path / "forged.hgan", between))


def test_claims_are_compared_with_the_ledgers():
    def bounds(disjoint, worst):
        return Bounds(1e-5, Total(disjoint, 1e-5, "PLD"), None, None, Total(worst, 1e-5, "PLD"), 2)

    def said(epsilon, delta=1e-5):
        return Claim(mode="private", epsilon=epsilon, delta=delta)

    assert claim_problems(said(3.0), bounds(2.0, 3.0)) == []
    assert "claims epsilon 2.9" in claim_problems(said(2.9), bounds(2.0, 3.0))[0]
    assert claim_problems(said(3.0, 1e-6), bounds(2.0, 3.0))
    assert claim_problems(Claim(mode="none"), bounds(2.0, np.inf)) == []
    assert "not all of its members are" in claim_problems(said(3.0), bounds(2.0, np.inf))[0]


def test_verify_refuses_a_claim_that_is_too_small(home, tmp_path, monkeypatch):
    combined(home, tmp_path, "alpha", "beta", key=home / "region.key")
    monkeypatch.setattr(
        loading,
        "bounds_of",
        lambda *_, **__: union_bounds(
            [Site("x", (Part((Event("e", "gaussian", noise_multiplier=0.5),), None),))], 1e-5
        ),
    )
    found = wg.verify_mixture(tmp_path / "all.hgan", home / "trust.json")
    assert "its members' ledgers cost" in found.refusals[0]


def test_p14_verify_refuses_a_region_within_a_nation_that_claims_too_little(home, tmp_path, monkeypatch):
    """Quick looks are coarse; what they pass is billed here at every depth."""
    wg.combine([home / "alpha.hgan", home / "beta.hgan"], tmp_path / "region.hgan", key=home / "region.key")
    wg.combine([tmp_path / "region.hgan"], tmp_path / "nation.hgan", key=home / "region.key")
    assert wg.verify_mixture(tmp_path / "nation.hgan", home / "trust.json").refusals == ()
    asked, real = [], loading.bounds_of

    def more(leaves, **how):
        asked.append(leaves)
        found = real(leaves, **how)
        return found if len(asked) == 1 else replace(found, worst=replace(found.worst, epsilon=2 * found.worst.epsilon))

    monkeypatch.setattr(loading, "bounds_of", more)
    (said,) = wg.verify_mixture(tmp_path / "nation.hgan", home / "trust.json").refusals
    assert said.startswith("region: ")
    assert "its members' ledgers cost" in said


def test_shares_are_those_of_patients_wherever_a_hospital_is_named(home, tmp_path):
    """A hospital that is in a region and beside it counts once, where it comes first."""
    wg.combine([home / "alpha.hgan", home / "beta.hgan"], tmp_path / "north.hgan")
    made = wg.combine([tmp_path / "north.hgan", home / "alpha.hgan"], tmp_path / "x.hgan")
    assert made.shares == pytest.approx({"north": 1.0, "alpha": 0.0})
    north, alpha = wg.inspect(tmp_path / "x.hgan")["tree"]
    assert (north["share"], alpha["share"]) == pytest.approx((1.0, 0.0))
    assert sum(one["share"] for one in north["members"]) == pytest.approx(1.0)
    other = wg.combine([home / "alpha.hgan", tmp_path / "north.hgan"], tmp_path / "y.hgan")
    assert other.shares == pytest.approx({"alpha": 0.4, "north": 0.6})
    first, second = wg.inspect(tmp_path / "y.hgan")["tree"]
    assert (first["share"], second["share"]) == pytest.approx((0.4, 0.6))


def test_verify_reads_every_network(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta", key=home / "region.key").path
    with path.open("rb") as file:
        table = tar.table(file, path.stat().st_size, most=1000)
    for name in sorted(table, key=lambda one: -table[one].size)[:2]:
        data = bytearray(path.read_bytes())
        data[table[name].offset + table[name].size // 2] ^= 1
        (tmp_path / "bad.hgan").write_bytes(data)
        with pytest.raises(DigestError):
            wg.verify_mixture(tmp_path / "bad.hgan", home / "trust.json")


def test_bytes_that_nothing_names_are_refused(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta").path
    with path.open("rb") as file:
        table = tar.table(file, path.stat().st_size, most=1000)
        data = {name: oci.Blobs(file, table).plain(name, 1 << 30) for name in table}
    oci.put(data, b"hidden", "text/plain")
    (tmp_path / "more.hgan").write_bytes(tar.join(data))
    with pytest.raises(FormatError, match="which nothing names"):
        wg.load(tmp_path / "more.hgan")


def test_a_rehearsal_protects_nobody():
    facts = {"mode": "private", "epsilon": 1.0, "delta": 1e-5, "unit": "patient", "neighbours": "add-or-remove"}
    facts |= {"unbilled": [], "events": []}
    assert not Bill.model_validate(facts | {"replayable": True}).part.protected
    assert Bill.model_validate(facts | {"replayable": False}).part.protected


def test_what_changed_while_it_was_combined_is_not_written(home, tmp_path, monkeypatch):
    honest = making.packed

    def changed(path):
        found = honest(path)
        name, data = max(found.blobs.items(), key=lambda one: len(one[1]))
        return replace(found, blobs={**found.blobs, name: data[:-1] + bytes([data[-1] ^ 1])})

    monkeypatch.setattr(making, "packed", changed)
    with pytest.raises(DigestError, match="damaged or forged"):
        combined(home, tmp_path, "alpha", "beta")
    assert not list(tmp_path.glob("*.hgan"))


BATCHED = {"name": "steps", "mechanism": "poisson-gaussian", "noise_multiplier": 1.0, "sampling_rate": 0.05,
           "batch_cap": 180, "population": 2200, "steps": 300}  # fmt: skip
THRESHOLD = {"name": "levels", "mechanism": "gaussian", "noise_multiplier": 4.0, "steps": 1, "delta": 4e-6}


def with_events(folder, name, *events, epsilon):
    spent = {"epsilon": 0.999 * epsilon, "accountant": "PLD", "epsilon_rdp": epsilon * 1.1}
    ledger = {**release_kit.LEDGER, "epsilon": epsilon, "spent": spent, "events": list(events)}
    release(release_kit.fit(ledger), folder / f"{name}.hgan", training_data_id=f"patients-of-{name}")
    return folder / f"{name}.hgan"


@pytest.mark.parametrize(("event", "epsilon"), [(BATCHED, 10.0), (THRESHOLD, 1.5)])
@pytest.mark.parametrize("overlap", [None, 1, 2])
def test_cut_batches_and_thresholds_are_read_again(tmp_path, event, epsilon, overlap):
    files = [with_events(tmp_path, f"site{at}", event, epsilon=epsilon) for at in range(3)]
    made = wg.combine(files, tmp_path / "all.hgan", overlap=overlap)
    found = wg.load(made.path).privacy
    if found["mode"] == "private":
        assert found["epsilon"] >= 0.99 * epsilon * (overlap or 3) ** 0.5 or overlap == 1 or event is THRESHOLD
    assert wg.inspect(made.path)["bounds"]["sites"] == 3
    with pytest.raises(FormatError, match=r"it claims epsilon 0\.01"):
        wg.load(forged(made.path, tmp_path / "forged.hgan", tiny))


def tiny(record, *_):
    record["privacy"] |= {"mode": "private", "epsilon": 0.01, "delta": 1e-3}


@pytest.mark.parametrize(
    "claim_of", [{"mode": "none", "epsilon": 0.5}, {"epsilon": None, "delta": None}, {"delta": None}, {"epsilon": None}]
)
def test_claims_that_contradict_themselves(home, tmp_path, claim_of):
    path = combined(home, tmp_path, "alpha", "beta", overlap=1).path
    with pytest.raises(FormatError, match="epsilon and delta stand with mode private"):
        wg.load(forged(path, tmp_path / "forged.hgan", lambda record, *_: record["privacy"].update(claim_of)))


def test_inspect_refuses_what_load_refuses(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta", overlap=1).path
    with pytest.raises(FormatError, match="it claims epsilon"):
        wg.inspect(forged(path, tmp_path / "forged.hgan", lower))


def test_a_region_within_a_nation_may_not_claim_too_little(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta", overlap=1).path
    forged(path, tmp_path / "region.hgan", lower)
    with pytest.raises(FormatError, match="it claims epsilon"):
        wg.combine([tmp_path / "region.hgan", home / "gamma.hgan"], tmp_path / "nation.hgan")


def test_trust_is_asked_of_every_member_at_every_depth(home, tmp_path):
    trust = {"trust": home / "trust.json"}
    combined(home, tmp_path, "alpha", "gamma", key=home / "region.key")
    with pytest.raises(TrustError, match="unsigned"):
        wg.combine([tmp_path / "all.hgan"], tmp_path / "outer.hgan", **trust)
    combined(home, tmp_path, "alpha", "beta", force=True)
    with pytest.raises(TrustError, match="unsigned"):
        wg.combine([tmp_path / "all.hgan"], tmp_path / "outer.hgan", **trust)
    wg.combine([tmp_path / "all.hgan"], tmp_path / "outer.hgan", key=home / "region.key")
    found = wg.verify_mixture(tmp_path / "outer.hgan", home / "trust.json")
    assert found.refusals == ("all: it is not signed by a key that you trust (unsigned).",)
    (tmp_path / "r.yaml").write_text(f"members: [{home / 'alpha.hgan'}, {home / 'beta.hgan'}]", encoding="utf-8")
    (tmp_path / "n.yaml").write_text("members: [r.yaml]", encoding="utf-8")
    recipe = wg.Recipe.load(tmp_path / "n.yaml")
    wg.combine(recipe, tmp_path / "cooked.hgan", key=home / "region.key", **trust)
    assert wg.verify_mixture(tmp_path / "cooked.hgan", home / "trust.json").refusals == ()


FORMULA = "=cmd|'c'!A1"


@pytest.mark.parametrize("name", [FORMULA, "@f(1)"])
def test_no_name_of_a_member_is_a_formula(home, tmp_path, name):
    """Names become levels of the column of sites."""
    with pytest.raises(UsageError, match=r"would run the member's name .* as a formula; give it another name"):
        wg.Recipe("r", (wg.Wanted(home / "alpha.hgan", name=name),))
    shutil.copy(home / "alpha.hgan", tmp_path / f"{name}.hgan")
    with pytest.raises(UsageError, match=r"member's name .* as a formula; write \{file: ..., name: another name\}"):
        wg.combine([tmp_path / f"{name}.hgan", home / "beta.hgan"], tmp_path / "all.hgan")
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.hgan"]
    renamed = (wg.Wanted(tmp_path / f"{name}.hgan", name="alpha"), wg.Wanted(home / "beta.hgan"))
    wg.combine(wg.Recipe("r", renamed), tmp_path / "all.hgan")
    assert set(wg.load(tmp_path / "all.hgan").sited("site").sample(30, seed=1)["site"]) == {"alpha", "beta"}


def test_a_file_whose_name_nobody_could_read_needs_another_one(home, tmp_path):
    shutil.copy(home / "alpha.hgan", tmp_path / "a\u202eb.hgan")
    with pytest.raises(UsageError, match=r"name 'a\\u202eb' has characters that cannot be shown safely; write"):
        wg.combine([tmp_path / "a\u202eb.hgan"], tmp_path / "all.hgan")


def test_names_on_the_way_are_no_formula_together(home, tmp_path):
    """Neither name is one."""
    wg.combine(wg.Recipe("r", (wg.Wanted(home / "alpha.hgan", name="b(c)"),)), tmp_path / "=a.hgan")
    with pytest.raises(UsageError, match=r"name '=a/b\(c\)' as a formula; write"):
        wg.combine([tmp_path / "=a.hgan"], tmp_path / "n.hgan")
    path = wg.combine(wg.Recipe("n", (wg.Wanted(tmp_path / "=a.hgan", name="a"),)), tmp_path / "n.hgan").path
    with pytest.raises(FormatError, match=r"name '=a/b\(c\)' as a formula; combine again"):
        wg.load(forged(path, tmp_path / "f.hgan", lambda record, *_: record["members"][0].update(name="=a")))


def test_formulas_in_combined_files_are_refused(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta", overlap=1).path
    with pytest.raises(FormatError, match=r"mixture.json: .*member's name .* as a formula; combine again"):
        wg.load(forged(path, tmp_path / "f.hgan", lambda record, *_: record["members"][0].update(name=FORMULA)))
    mixture = wg.load(path)
    leaf, *others = mixture.leaves
    with pytest.raises(UsageError, match="site: a spreadsheet program would run the member's name"):
        replace(mixture, leaves=(replace(leaf, name=FORMULA), *others)).sited("site")
    with pytest.raises(UsageError, match=r"site: the name has characters .* or is a formula"):
        mixture.sited(FORMULA)


@pytest.mark.parametrize("name", ["a/b", "x" * 101, "a\x1b[2J", "a\nb", "", "\u202e"])
def test_names_that_nobody_could_read(home, tmp_path, name):
    with pytest.raises(UsageError, match="plain letters"):
        wg.combine(wg.Recipe("r", (wg.Wanted(home / "alpha.hgan", name=name),)), tmp_path / "x.hgan")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_gone_is_said(home, tmp_path):
    path = combined(home, tmp_path, "alpha", "beta").path
    mixture = wg.load(path)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read any more"):
        mixture.sample(10, seed=1)


def test_a_wrong_second_signature_is_noticed(home, tmp_path):
    """A generator in two regions, whose second envelope is garbage."""
    for name, other in (("north", "beta"), ("south", "gamma")):
        wg.combine([home / "alpha.hgan", home / f"{other}.hgan"], tmp_path / f"{name}.hgan")
    path = wg.combine([tmp_path / "north.hgan", tmp_path / "south.hgan"], tmp_path / "n.hgan").path
    seen = []
    filing.read_mixture(path, lambda digest, envelope: seen.append(digest) or Signature("unsigned"))
    alpha = wg.inspect(home / "alpha.hgan")["digest"]
    assert seen.count(alpha) == 2
