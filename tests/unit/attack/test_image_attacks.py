"""Attacks on images: what they must see, what they must not see, and the same numbers by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, chi2, poisson

from wardgan.attack import Side, image_battery, image_questions
from wardgan.attack.images import GREY_LEVEL, _Attacks, count_beyond, most_likely, poisson_tail
from wardgan.errors import DataError, UsageError
from wardgan.rng import Seed
from wardgan.schema.schema import Schema

SIZE = 24


def schema(**table):
    return Schema.from_dict({"name": "demo", "images": {"size": [16, 16]}, "table": table})


LABELS = {"finding": {"kind": "category", "levels": ["none", "mass"]}}
PLAIN = schema(**LABELS)


def side(n, seed, *, each=1, shift=0.0):
    """Patients whose images lie around a point of their own; the class is where that is along the first axis."""
    stream = np.random.default_rng(seed)
    people = stream.normal(size=(n, SIZE)) * 0.2 + shift
    points = np.repeat(people, each, axis=0) + 0.01 * stream.normal(size=(n * each, SIZE))
    codes = (np.repeat(people[:, 0], each) > shift).astype(np.int64)
    return Side(
        {"pixels": points, "features": points[:, : SIZE // 2] * 3}, np.repeat(np.arange(n), each), {"finding": codes}
    )


def joined(one, other):
    return Side(
        {name: np.concatenate([one.points[name], other.points[name]]) for name in one.points},
        np.arange(len(one.patients) + len(other.patients)),
        {name: np.concatenate([one.labels[name], other.labels[name]]) for name in one.labels},
    )


def leaking(train, made, share, noise=0.0):
    """`made` with a share of copies of training images."""
    stream = np.random.default_rng(9)
    count = round(share * len(made.patients))
    copied = train.take(np.sort(stream.choice(len(train.patients), count, replace=False)))
    copied = replace(
        copied,
        points={name: points + noise * stream.normal(size=points.shape) for name, points in copied.points.items()},
    )
    return joined(copied, made.take(np.arange(len(made.patients) - count)))


def attacked(train, holdout, made, *, declared=PLAIN, **more):
    return image_battery(train, holdout, made, declared, seed=Seed(1), **more)


def test_copies_are_seen_by_every_attack_and_fresh_images_by_none():
    train, holdout, fresh = side(800, 1), side(2400, 2), side(800, 3)
    found = attacked(train, holdout, leaking(train, fresh, 0.3))
    assert {result.name for result in found.leaks} >= {
        "membership.pixels.auc", "membership.pixels.tpr_1", "membership.features.auc", "membership.features.tpr_1",
        "copies.near", "copies.certain",
    }  # fmt: skip
    assert found["copies.near"].estimate.value == pytest.approx(0.3, abs=0.02)
    assert found["copies.certain"].estimate.value == pytest.approx(0.3, abs=0.01)
    safe = attacked(train, holdout, fresh)
    assert safe.leaks == ()
    assert safe["copies.certain"].estimate.value == 0
    assert safe["copies.certain"].verdict == "clear"
    assert abs(safe["membership.pixels.auc"].estimate.value - 0.5) < 0.05
    assert (safe.train, safe.holdout, safe.synthetic) == (800, 2400, 800)


def test_few_safe_generators_are_accused():
    accused = 0
    for seed in range(40):
        train, holdout, fresh = (side(150, 1000 * part + seed) for part in (1, 2, 3))
        accused += bool(image_battery(train, holdout, fresh, PLAIN, seed=Seed(seed)).leaks)
    # All attacks together accuse one in twenty at most; 99.9 of 100 honest batteries stay below this.
    assert accused <= binom.ppf(0.999, 40, 0.05)


def test_images_that_are_everybodys_nearest_accuse_nobody():
    """A generator of one image, which some patient is nearest to, whoever was trained on."""
    accused = 0
    for seed in range(30):
        train, holdout = side(200, seed), side(200, 500 + seed)
        middle = Side(
            {name: np.zeros((300, points.shape[1])) for name, points in train.points.items()}, np.arange(300),
            {"finding": np.zeros(300, dtype=np.int64)},
        )  # fmt: skip
        accused += bool(attacked(train, holdout, middle).leaks)
    assert accused <= binom.ppf(0.999, 30, 0.05)


def test_several_images_of_a_patient_are_one_patient():
    train, holdout, fresh = side(200, 1, each=3), side(200, 2, each=3), side(600, 3)
    found = attacked(train, holdout, fresh)
    assert (found.train, found.holdout) == (200, 200)
    assert found["membership.pixels.auc"].estimate.n == 300  # all of the training, half of the hold-out
    assert found.leaks == ()
    assert attacked(train, holdout, leaking(train, fresh, 0.3)).leaks


def test_the_order_of_files_changes_nothing():
    train, holdout, fresh = side(120, 1, each=2), side(120, 2), side(200, 3)
    order = np.random.default_rng(0).permutation(240)
    mixed = Side(
        {name: points[order] for name, points in train.points.items()}, (train.patients[order] * 7 + 3) % 1009,
        {name: codes[order] for name, codes in train.labels.items()},
    )  # fmt: skip
    assert attacked(train, holdout, fresh).to_dict() == attacked(mixed, holdout, fresh).to_dict()


def test_the_excess_of_near_images_by_hand():
    train, holdout, fresh = side(90, 1), side(60, 2), side(500, 3)
    made = leaking(train, fresh, 0.1, noise=0.001)
    result = attacked(train, holdout, made)["copies.near"]
    real = np.concatenate([train.points["pixels"], holdout.points["pixels"]])
    others = [min(math.dist(one, two) for at, two in enumerate(real) if at != place) for place, one in enumerate(real)]
    limit = np.quantile(others, 0.01)
    ours = theirs = 0
    for one in made.points["pixels"]:
        away = [math.dist(one, two) for two in real]
        if min(away) <= limit:
            ours, theirs = (ours + 1, theirs) if int(np.argmin(away)) < 90 else (ours, theirs + 1)
    assert ours >= 45
    assert result.estimate.value == pytest.approx((ours - theirs * 90 / 60) / 500)


def test_the_interval_of_near_images_is_that_of_exchanged_patients():
    """Who was trained on is drawn again and again: the deviation of the excess is the one that was claimed."""
    both, made = side(160, 1), leaking(side(160, 1), side(300, 3), 0.4, noise=0.002)
    stream, found, errors = np.random.default_rng(2), [], []
    for _ in range(60):
        order = stream.permutation(160)
        result = attacked(both.take(order[:80]), both.take(order[80:]), made)["copies.near"].estimate
        found.append(result.value)
        errors.append((result.high - result.low) / 2 / 1.96)
    assert np.std(found) == pytest.approx(np.mean(errors), rel=0.3)
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(60)


def test_a_certain_copy_has_nobody_else_near():
    train, holdout, fresh = side(100, 1), side(100, 2), side(100, 3)
    stream = np.random.default_rng(5)

    def with_black(one):
        black = -1 + GREY_LEVEL * stream.uniform(-1, 1, (20, SIZE))
        return joined(
            one,
            Side(
                {"pixels": black, "features": black[:, : SIZE // 2]},
                np.arange(20),
                {"finding": np.zeros(20, dtype=np.int64)},
            ),
        )

    assert attacked(with_black(train), with_black(holdout), with_black(fresh))["copies.certain"].estimate.value == 0
    one = replace(fresh, points={name: points.copy() for name, points in fresh.points.items()})
    one.points["pixels"][0] = train.points["pixels"][7] + GREY_LEVEL / 2
    found = attacked(train, holdout, one)["copies.certain"]
    assert (found.estimate.value, found.verdict) == (0.01, "leak")
    assert found.estimate.baseline == 0
    one.points["pixels"][0] = train.points["pixels"][7] + GREY_LEVEL * 1.5
    assert attacked(train, holdout, one)["copies.certain"].verdict == "clear"


def twins(n, seed):
    """Slices of bodies: one point in eight is there twice, hardly moved, as if two patients were one."""
    stream = np.random.default_rng(seed)
    one = side(n, seed)
    few = one.take(np.arange(n // 8))
    moved = {name: points + GREY_LEVEL / 9 * stream.normal(size=points.shape) for name, points in few.points.items()}
    both = joined(one, replace(few, points=moved))
    return both.take(stream.permutation(len(both.patients)))


def test_where_patients_are_alike_a_copy_proves_nothing():
    """Training, hold-out and fresh images are cut from slices, of which two are the same up to a grey level."""
    accused = seen = 0
    for seed in range(25):
        whole = twins(400, seed)
        train, holdout, fresh = (whole.take(np.arange(at, at + 150)) for at in (0, 150, 300))
        found = attacked(train, holdout, fresh)["copies.certain"]
        accused += found.verdict == "leak"
        copied = attacked(train, holdout, leaking(train, fresh, 0.9))["copies.certain"]
        seen += copied.verdict == "leak"
        assert 0 <= copied.estimate.value < 0.9
        assert not found.power.enough
        assert "proves little" in found.power.reason
        assert 0 < found.power.smallest < 0.9
    assert accused <= binom.ppf(0.999, 25, 0.05 / 8)
    assert seen >= 20


def test_one_black_pair_does_not_hide_a_copy():
    """A black image on each side is a twin; one patient who is handed out again and again is a copy all the same."""
    train, holdout, fresh = side(300, 1), side(300, 2), side(300, 3)
    black = Side({"pixels": np.full((1, SIZE), -1.0), "features": np.full((1, SIZE // 2), -3.0)}, np.zeros(1, dtype=int), {"finding": np.zeros(1, dtype=np.int64)})  # fmt: skip
    train, holdout = joined(train, black), joined(holdout, black)
    again = train.take(np.repeat(7, 90))
    found = attacked(train, holdout, joined(again, fresh.take(np.arange(210))))["copies.certain"]
    assert (found.verdict, found.estimate.value) == ("leak", 0.3)
    assert attacked(train, holdout, fresh)["copies.certain"].verdict == "unclear"


def test_who_has_more_images_gives_away_no_more():
    accused = 0
    for seed in range(30):
        train, holdout, fresh = side(200, seed, each=3), side(200, 500 + seed), side(200, 900 + seed)
        accused += bool(attacked(train, holdout, fresh).leaks)
    assert accused <= binom.ppf(0.999, 30, 0.05)
    assert attacked(side(200, 1, each=3), side(400, 2), leaking(side(200, 1, each=3), side(600, 3), 0.6)).leaks


def test_an_image_that_both_sides_have_is_nobodys():
    train = side(200, 1)
    found = attacked(train, train, leaking(train, side(200, 3), 0.5))["copies.near"]
    assert found.estimate.value == 0


@pytest.mark.parametrize(("count", "risk"), [(0, 0.025), (1, 0.003), (7, 0.025), (40, 0.1)])
def test_poisson_twice(count, risk):
    mean = most_likely(count, risk)
    assert mean == pytest.approx(chi2.ppf(1 - risk, 2 * (count + 1)) / 2)
    assert poisson_tail(count, mean) == pytest.approx(poisson.sf(count - 1, mean))
    assert poisson_tail(0, mean) == 1
    fewest = count_beyond(mean, risk)
    assert poisson.sf(fewest - 1, mean) < risk <= poisson.sf(fewest - 2, mean)


def test_a_label_that_the_nearest_image_gives_away():
    """Labels that nothing but memory could know: the hold-out's are guessed by chance."""
    stream = np.random.default_rng(0)
    train, holdout, fresh = (
        replace(one, labels={"finding": stream.integers(0, 2, len(one.patients))})
        for one in (side(400, 1), side(400, 2), side(400, 3))
    )
    found = attacked(train, holdout, leaking(train, fresh, 0.8))["inference.finding"]
    assert found.verdict == "leak"
    assert found.estimate.value > 0.4
    assert attacked(train, holdout, fresh)["inference.finding"].verdict != "leak"


def test_epsilon_is_proved_from_below():
    train, holdout = side(600, 1), side(600, 2)
    found = attacked(train, holdout, leaking(train, side(600, 3), 0.99), epsilon=1.0)["membership.pixels.epsilon"]
    assert found.verdict == "leak"
    assert found.estimate.value > 1
    assert attacked(train, holdout, side(600, 3), epsilon=1.0)["membership.pixels.epsilon"].verdict != "leak"


def test_few_patients_clear_nobody():
    found = attacked(side(30, 1), side(30, 2), side(100, 3))
    assert all(result.verdict == "unclear" for result in found.results if result.limit is not None)
    assert "30 training patients are fewer than 50" in found["membership.pixels.auc"].power.reason
    assert "15 tested hold-out" in attacked(side(80, 1), side(30, 2), side(100, 3))["membership.worst.auc"].power.reason


def test_what_is_asked_follows_the_labels():
    names = [question.name for question in image_questions(schema())]
    assert not [name for name in names if name.startswith("inference")]
    two = schema(a={"kind": "flag"}, b={"kind": "flag", "sensitive": True})
    assert [one.name for one in image_questions(two) if one.name.startswith("inference")] == ["inference.b"]
    assert [one.limit for one in image_questions(two, 2.5) if one.name.endswith(".epsilon")] == [2.5, 2.5]
    judged = [one for one in image_questions(two) if one.limit is not None]
    assert {one.confidence for one in image_questions(two)} == {1 - 0.05 / len(judged)}


def test_membership_by_hand():
    """Scores and isolation, patient by patient: the halves of the hold-out are those of the same stream."""
    train, holdout, made = side(12, 1, each=2).in_order(), side(10, 2, each=3).in_order(), side(15, 3)
    order = Seed(1).stream("attack/images/halves").permutation(10)
    reference = [at for at in range(30) if holdout.patients[at] in order[:5]]
    found = _Attacks(train, holdout, made, Seed(1), 1e-5)._arena("features")
    points = {name: one.points["features"] for name, one in (("train", train), ("holdout", holdout), ("made", made))}

    def nearest_of(one, others):
        return min(math.dist(one, other) for other in others)

    known = [points["holdout"][at] for at in reference]
    rows = [
        (("train", who), [points["train"][at] for at in range(24) if train.patients[at] == who]) for who in range(12)
    ]
    rows += [
        (("other", who), [points["holdout"][at] for at in range(30) if holdout.patients[at] == who])
        for who in range(10)
        if who not in order[:5]
    ]
    alone = [[nearest_of(image, known) for image in images] for _, images in rows]
    blur = 1e-3 * float(np.median(np.concatenate(alone))) + 1e-12
    scores = [
        max(
            math.log(far + blur) - math.log(nearest_of(image, points["made"]) + blur)
            for far, image in zip(each, images, strict=True)
        )
        for each, (_, images) in zip(alone, rows, strict=True)
    ]
    np.testing.assert_allclose([*found.members["features"], *found.others["features"]], scores, rtol=1e-6)
    np.testing.assert_allclose([*found.isolation[0], *found.isolation[1]], [min(each) for each in alone], rtol=1e-6)


def test_nothing_found_is_no_certainty():
    train, holdout = side(80, 1), side(80, 2)
    found = attacked(train, holdout, side(200, 3, shift=5.0))["copies.near"]
    assert found.estimate.value == 0
    # Three patients in 160 might have been hit: by (1 + 1) times the deviation of their choice, of 200 images.
    error = 2 * math.sqrt(80 * 80 / 160 * 3 / 160) / 200
    assert found.estimate.high == pytest.approx(1.959964 * error)


def test_each_copied_image_counts():
    train, holdout, fresh = side(100, 1, each=3), side(100, 2), side(100, 3)
    made = joined(fresh, train.take(np.flatnonzero(train.patients < 5)))
    found = attacked(train, holdout, made)["copies.certain"].estimate
    assert (found.value, found.n) == (15 / 115, 115)


@pytest.mark.parametrize("epsilon", [0, -1, math.nan, math.inf])
def test_an_epsilon_that_is_none(epsilon):
    with pytest.raises(UsageError, match="epsilon"):
        attacked(side(60, 1), side(60, 2), side(60, 3), epsilon=epsilon)


@pytest.mark.parametrize("delta", [-0.1, 1, math.nan, "x", True])
def test_a_delta_that_is_none(delta):
    with pytest.raises(UsageError, match="delta"):
        attacked(side(60, 1), side(60, 2), side(60, 3), delta=delta)


def test_sides_that_do_not_fit():
    good = side(5, 1)
    with pytest.raises(DataError, match="points for each attacker"):
        replace(good, points={"pixels": good.points["pixels"]})
    with pytest.raises(DataError, match="same images"):
        replace(good, patients=np.arange(4))
    with pytest.raises(DataError, match="same images"):
        good.take(np.array([], dtype=int))
    bad = {name: points.copy() for name, points in good.points.items()}
    bad["features"][2, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        replace(good, points=bad)
