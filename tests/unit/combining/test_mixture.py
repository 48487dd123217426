"""Combined generators are exactly the mixtures that their shares say, however they are drawn."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import combining_kit as kit
import wardgan as wg
from wardgan.combining.mixture import BLOCK
from wardgan.errors import UsageError


@pytest.fixture(scope="module")
def clinics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clinics")
    return [
        kit.hospital(folder, "alpha", 600, seed=1, new=0.2, age=40),
        kit.hospital(folder, "beta", 1200, seed=2, new=0.6, age=70),
        kit.hospital(folder, "gamma", 1800, seed=3, new=0.4, age=55),
    ]


@pytest.fixture(scope="module")
def region(clinics, tmp_path_factory):
    path = tmp_path_factory.mktemp("region") / "region.hgan"
    wg.combine(clinics, path, overlap=1)
    return path


def fits(counts, shares):
    """Whether counts are multinomial with these shares: of a million samples one would be called another."""
    expected = np.array(shares) * sum(counts)
    kept = expected > 0
    assert np.array(counts)[~kept].sum() == 0
    statistic = ((np.array(counts)[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    return statistic < chi2.ppf(1 - 1e-6, kept.sum() - 1)


def test_members_are_drawn_with_their_shares_and_classes_follow(region, clinics):
    mixture = wg.load(region)
    parts = [wg.load(path).probabilities for path in clinics]
    shares = np.array([1, 2, 3]) / 6
    np.testing.assert_allclose(mixture.shares, shares, atol=1e-12)
    joint = shares[:, None] * np.array(parts)
    np.testing.assert_allclose(mixture.probabilities, joint.sum(axis=0), atol=1e-12)
    drawn = mixture.sited("clinic").sample(40_000, seed=5)
    counts = pd.crosstab(drawn["clinic"], drawn["arm"]).loc[["alpha", "beta", "gamma"], ["old", "new"]]
    assert fits(counts.to_numpy().ravel(), joint.ravel())
    assert dict(zip(["alpha", "beta", "gamma"], counts.sum(axis=1), strict=True)) == mixture.counts(40_000, seed=5)


def test_each_members_patients_are_those_of_its_generator(region, clinics):
    drawn = wg.load(region).sited("clinic").sample(30_000, seed=1)
    for path in clinics:
        alone = wg.load(path).sample(30_000, seed=9)
        mine = drawn[drawn["clinic"] == path.stem]
        for level in ("old", "new"):
            one, two = mine.loc[mine["arm"] == level, "age"], alone.loc[alone["arm"] == level, "age"]
            assert abs(one.mean() - two.mean()) < 4 * np.hypot(one.sem(), two.sem())
            assert one.std() == pytest.approx(two.std(), rel=0.2)


@pytest.mark.parametrize("asked", [{}, {"where": {"arm": "new"}}, {"where": {"age": (60, 99)}}, {"balance": "arm"}])
def test_patient_i_of_a_seed_is_always_the_same(region, asked):
    mixture = wg.load(region)
    whole = mixture.sample(2500, seed=3, **asked)
    for n in (0, 1, 260, 1300):
        pd.testing.assert_frame_equal(mixture.sample(n, seed=3, **asked), whole.iloc[:n].reset_index(drop=True))
    pieces = pd.concat(mixture.stream(2500, chunk=700, seed=3, **asked), ignore_index=True)
    pd.testing.assert_frame_equal(pieces, whole, check_dtype=False, check_categorical=False)


def test_blocks_go_on_where_the_last_one_ended(region, monkeypatch):
    import wardgan.combining.mixture as module

    monkeypatch.setattr(module, "_CELLS", 64)
    mixture = wg.load(region)
    assert mixture._size == BLOCK
    drawn = mixture.sample(2 * BLOCK + 100, seed=1)
    assert drawn["id"].tolist() == list(range(1, len(drawn) + 1))
    assert not drawn.iloc[:100, 1:].equals(drawn.iloc[BLOCK : BLOCK + 100, 1:].reset_index(drop=True))


def test_conditions_are_met_with_the_right_distribution(region):
    mixture = wg.load(region).sited("clinic")
    every = mixture.sample(60_000, seed=11)
    for where, held in (
        ({"arm": "new"}, every["arm"] == "new"),
        ({"age": (65, 99)}, every["age"] >= 65),
        ({"age": (65, 99), "arm": "old"}, (every["age"] >= 65) & (every["arm"] == "old")),
    ):
        drawn = mixture.sample(6000, where=where, seed=12)
        shares = every.loc[held, "clinic"].value_counts(normalize=True)
        found = drawn["clinic"].value_counts(normalize=True)
        for clinic in ("alpha", "beta", "gamma"):
            mine, theirs = shares.get(clinic, 0), found.get(clinic, 0)
            both = (mine * held.sum() + theirs * 6000) / (held.sum() + 6000)
            error = np.sqrt(both * (1 - both) * (1 / 6000 + 1 / held.sum()))
            assert abs(theirs - mine) <= 4 * error + 1 / 6000
    assert mixture.sample(1000, balance="arm", seed=1)["arm"].value_counts().tolist() == [500, 500]
    assert set(mixture.sample(300, where={"clinic": "beta"}, seed=1)["clinic"]) == {"beta"}
    known = mixture.efficiency(where={"age": (65, 99)}, seed=1)
    assert known.kept.low <= (every["age"] >= 65).mean() + 0.02
    with pytest.raises(UsageError, match="too rare"):
        mixture.sample(100, where={"age": (18, 18), "glucose": (50, 50), "arm": "new"}, seed=1)


def test_nested_mixtures_are_the_flat_one(clinics, tmp_path):
    wg.combine(clinics[:2], tmp_path / "north.hgan")
    nation = wg.combine([tmp_path / "north.hgan", clinics[2]], tmp_path / "nation.hgan")
    assert nation.shares == pytest.approx({"north": 0.5, "gamma": 0.5})
    mixture = wg.load(tmp_path / "nation.hgan")
    assert [leaf.name for leaf in mixture.leaves] == ["north/alpha", "north/beta", "gamma"]
    wg.combine(clinics, tmp_path / "flat.hgan")
    np.testing.assert_allclose(mixture.table, wg.load(tmp_path / "flat.hgan").table, atol=1e-12)


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [("size", [1 / 6, 1 / 3, 1 / 2]), ("uniform", [1 / 3] * 3), ("declared", [0.5, 0.5, 0.0])],
)
def test_weights(clinics, tmp_path, weights, wanted):
    given = [None] * 3 if weights != "declared" else [3.0, 3.0, 0.0]
    members = tuple(wg.Wanted(path, weight=weight) for path, weight in zip(clinics, given, strict=True))
    made = wg.combine(wg.Recipe("r", members, weights), tmp_path / "r.hgan")
    assert list(made.shares.values()) == pytest.approx(wanted)
    counts = wg.load(tmp_path / "r.hgan").counts(20_000, seed=1)
    assert fits(list(counts.values()), wanted)


def test_weights_of_a_class_say_who_its_patients_come_from(clinics, tmp_path):
    members = tuple(wg.Wanted(path) for path in clinics)
    recipe = wg.Recipe("r", members, classes={"arm=new": {"alpha": 3, "gamma": 1}})
    wg.combine(recipe, tmp_path / "r.hgan")
    mixture, plain = wg.load(tmp_path / "r.hgan"), wg.load(tmp_path / "r.hgan")
    wg.combine(clinics, tmp_path / "plain.hgan")
    plain = wg.load(tmp_path / "plain.hgan")
    np.testing.assert_allclose(mixture.probabilities, plain.probabilities, atol=1e-12)
    np.testing.assert_allclose(mixture.table[:, 1] / mixture.table[:, 1].sum(), [0.75, 0, 0.25], atol=1e-12)
    np.testing.assert_allclose(mixture.table[:, 0], plain.table[:, 0], atol=1e-12)
    drawn = mixture.sited("clinic").sample(2000, where={"arm": "new"}, seed=1)
    assert fits(drawn["clinic"].value_counts().reindex(["alpha", "beta", "gamma"]).to_numpy(), [0.75, 0, 0.25])


def test_a_members_own_labels_keep_their_shares(tmp_path):
    """A label that only one member has is no label of the whole, but its levels are as frequent as before."""
    stage = {"kind": "category", "levels": ["I", "II", "III"], "label": True}
    kit.hospital(tmp_path, "a", 900, columns={**kit.table(), "stage": stage}, epsilon=5.0, new=0.5)
    kit.hospital(tmp_path, "b", 900, epsilon=5.0)
    wg.combine([tmp_path / "a.hgan", tmp_path / "b.hgan"], tmp_path / "both.hgan", keep="all")
    alone = wg.load(tmp_path / "a.hgan")
    mixture = wg.load(tmp_path / "both.hgan").sited("clinic")
    assert [column.name for column in mixture.schema.labels] == ["arm"]
    drawn = mixture.sample(20_000, seed=1)
    assert drawn.loc[drawn["clinic"] == "b", "stage"].isna().all()
    mine = drawn.loc[drawn["clinic"] == "a"]
    shares = np.array(alone.probabilities).reshape(2, 3)
    for row, arm in enumerate(("old", "new")):
        counts = mine.loc[mine["arm"] == arm, "stage"].value_counts().reindex(["I", "II", "III"]).to_numpy()
        assert fits(counts, shares[row] / shares[row].sum())


def test_a_class_that_no_member_knows(tmp_path):
    """Each level is known to somebody, their combination to nobody."""
    labels = {"kind": "category", "label": True}
    for name, arms in (("a", ["x", "y"]), ("b", ["y", "z"])):
        columns = {"arm": {**labels, "levels": arms}, "sex": {**labels, "levels": ["f", name]}, "age": kit.AGE}
        kit.hospital(tmp_path, name, 500, columns=columns, epsilon=5.0)
    members = tuple(wg.Wanted(tmp_path / f"{name}.hgan") for name in "ab")
    wg.combine(wg.Recipe("both", members, levels="all"), tmp_path / "both.hgan")
    mixture = wg.load(tmp_path / "both.hgan")
    assert set(mixture.sample(50, where={"arm": "x"}, seed=1)["sex"]) == {"f", "a"}
    with pytest.raises(UsageError, match="no member knows patients of arm=x, sex=b"):
        mixture.sample(5, where={"arm": "x", "sex": "b"}, seed=1)
    drawn = mixture.sample(3000, seed=1)
    assert not ((drawn["arm"] == "x") & (drawn["sex"] == "b")).any()


def test_a_site_column_needs_a_free_name(region):
    with pytest.raises(UsageError, match="choose another name"):
        wg.load(region).sited("age")


def test_random_state_of_others_is_left_alone_and_seeds_are_checked(region):
    before = np.random.get_state()[1].copy()
    wg.load(region).sample(10)
    assert (np.random.get_state()[1] == before).all()
    with pytest.raises(UsageError, match="seed=-1"):
        wg.load(region).sample(3, seed=-1)
    with pytest.raises(UsageError, match="n=-3"):
        wg.load(region).sample(-3)
    with pytest.raises(UsageError, match="draws tables"):
        wg.load(region).images(3)
