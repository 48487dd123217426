"""Images behind the counter: billed, noised, never shown (Rules P4, P5, P8, P9 and P10)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import data_kit
import image_family_kit as kit
from wardgan.errors import BudgetError, DataError, PlanError
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.image_queries import ClassShares, Pictures, WaveProducts, Waves, WaveSums
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.queries import PatientCount
from wardgan.privacy.records import Records, noise_sd
from wardgan.rng import Seed

EVENTS = (
    Event("sums", "gaussian", noise_multiplier=2.5),
    Event("more", "gaussian", noise_multiplier=1.0),
    Event("steps", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=0.1, batch_cap=60, population=132, steps=7),
)
PLAN = Plan(Budget(2.0), EVENTS, 120, "imagegan")
WAVES = Waves.of(6, (1, 8, 8))
PRODUCTS = WaveProducts(WAVES, np.zeros((2, 36)), 0.5)


@dataclass(frozen=True)
class Loud:
    """A question of another sensitivity, about nobody."""

    sensitivity: float

    def over(self, pixels, classes, weights):
        return np.zeros(1500)


def records(cohort=None, *, plan=PLAN, noise=None, **how):
    seed = Seed.secret() if noise is None else noise
    return Records(cohort or kit.cohort(), Ledger(plan, replayable=seed.replayable), noise=seed, **how)


@pytest.mark.parametrize(
    "query", [ClassShares(2), WaveSums(WAVES, 2), PRODUCTS], ids=lambda query: type(query).__name__
)
def test_without_privacy_answers_are_exact(query):
    cohort = kit.cohort()
    found = records(cohort, plan=None).measure("anything", query)
    np.testing.assert_array_equal(found, Pictures.of(cohort).total(query))


def test_without_privacy_shares_are_those_of_patients():
    assert records(plan=None).measure("classes", ClassShares(2)).sum() == pytest.approx(100)


def test_p04_a_question_is_billed_before_it_is_answered():
    mine = records()

    class Asking(ClassShares):
        def over(self, pixels, classes, weights):
            assert mine.ledger.steps("sums") == 1
            return super().over(pixels, classes, weights)

    mine.measure("sums", Asking(2))
    for name, query in (("sums", ClassShares(2)), ("unplanned", ClassShares(2)), ("steps", ClassShares(2))):
        with pytest.raises(BudgetError):
            mine.measure(name, query)
    assert mine.ledger.steps("steps") == 0
    assert mine.ledger.unbilled == ()


def noise_is(found, sd):
    """Whether numbers are normal with this sd; half of it, or a tenth more, is far outside."""
    chi = ((found / sd) ** 2).sum()
    assert stats.kstest(found / sd, "norm").pvalue > 1e-6
    assert stats.chi2.ppf(1e-6, len(found)) < chi < stats.chi2.isf(1e-6, len(found))


def test_p08_the_noise_has_the_sd_that_is_billed():
    cohort = kit.cohort()
    truth = Pictures.of(cohort).total(PRODUCTS)
    noise_is(records(cohort).measure("sums", PRODUCTS) - truth, 2.5)
    noise_is(np.concatenate([records(cohort).measure("more", PRODUCTS) - truth for _ in range(3)]), 1.0)


@pytest.mark.parametrize("sensitivity", [0.5, 1.0, 4.0])
def test_p08_the_noise_grows_with_the_sensitivity(sensitivity):
    noise_is(records().measure("sums", Loud(sensitivity)), 2.5 * sensitivity)
    assert noise_sd(EVENTS[0], Loud(sensitivity)) == 2.5 * sensitivity


def test_p10_secret_noise_is_new_each_time_and_a_rehearsal_is_replayed():
    one, two = (records().measure("sums", PRODUCTS) for _ in range(2))
    assert (one != two).all()
    one, two = (records(noise=Seed(4)).measure("sums", PRODUCTS) for _ in range(2))
    assert np.array_equal(one, two)
    with pytest.raises(BudgetError, match="replayable"):
        Records(kit.cohort(), Ledger(PLAN), noise=Seed(4))


def test_p05_a_kept_answer_is_given_again_and_nothing_is_asked_twice(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    first = Records(kit.cohort(), Ledger(PLAN, path=path), noise=Seed.secret(), folder=tmp_path)
    answer = first.measure("sums", PRODUCTS)
    monkeypatch.setattr(WaveProducts, "over", lambda *_: pytest.fail("asked twice"))
    again = Records(kit.cohort(), Ledger.resume(path), noise=Seed.secret(), folder=tmp_path)
    assert again.measure("sums", PRODUCTS).tolist() == answer.tolist()


def test_p03_the_number_of_patients_is_counted_with_noise_and_is_not_that_of_images():
    cohort = kit.cohort(77, most=4)
    assert len(cohort.pixels) > 77
    assert records(cohort, plan=None).measure("count", PatientCount()).tolist() == [77]
    noisy = records(cohort).measure("sums", PatientCount())
    assert noisy.tolist() != [77]
    assert "77" not in repr(records(cohort))


def test_p06_more_patients_than_declared_are_refused():
    records(kit.cohort(110)).admit(100)
    with pytest.raises(PlanError, match="more than 110 patients"):
        records(kit.cohort(111)).admit(100)


def test_p09_a_private_fit_never_opens_images():
    mine = records()
    with pytest.raises(BudgetError, match="a private fit sees no image; train on image_training"):
        mine.open_images()
    with pytest.raises(BudgetError, match="hold-out"):
        mine.held_out(0.1, np.random.default_rng(0))


def test_without_privacy_images_are_opened():
    cohort = kit.cohort()
    found = records(cohort, plan=None).open_images()
    assert np.array_equal(found.pixels, cohort.pixels)
    assert np.array_equal(found.classes, cohort.classes)
    assert np.array_equal(found.owners, cohort.owners)


def test_p04_nothing_public_holds_an_image():
    public = {name: value for name, value in vars(records()).items() if not name.startswith("_")}
    assert set(public) == {"layout", "ledger", "private"}
    assert not any(isinstance(value, np.ndarray) for value in public.values())


TABLES = data_kit.schema({"age": {"kind": "integer", "low": 0, "high": 9}})


@pytest.mark.parametrize("ask", [
    lambda mine: mine.open_images(), lambda mine: mine.measure("anything", ClassShares(2)),
    lambda mine: mine.image_training(
        "steps", nn.Linear(2, 1), rate=0.1, steps=1, clip_norm=1.0, population=100, at_once=1
    ),
])  # fmt: skip
def test_tables_have_no_images(ask):
    cohort = data_kit.generator(TABLES).draw(20, seed=1)
    with pytest.raises(DataError, match="declares no images"):
        ask(records(cohort, plan=None))


@pytest.mark.parametrize("wrong", [-1, 2])
def test_a_label_without_a_level_is_refused(wrong):
    cohort = kit.cohort()
    labels = cohort.labels["finding"].copy()
    labels[3] = wrong
    with pytest.raises(DataError, match="label"):
        records(replace(cohort, labels={"finding": labels}))


def training(cohort, plan=None, module=None, *, at_once=2, population=120):
    module = module or nn.Linear(65, 1)
    how = {"rate": 0.1, "steps": 3, "clip_norm": 1.0, "population": population}
    return records(cohort, plan=plan).image_training("steps", module, **how, at_once=at_once)


def test_a_record_is_an_image_with_its_class_behind_it():
    cohort = kit.cohort(30, mask=True)
    seen = []

    def losses(rows):
        seen.append(rows.detach().numpy())
        return rows.sum(dim=1)

    mine = training(cohort, module=nn.Linear(129, 1))
    mine.reserve()
    fake = torch.zeros(2, 129, requires_grad=True)
    mine.gradient(lambda real: losses, fake, 0)
    known = {row.tobytes(): at for at, row in enumerate(cohort.pixels.reshape(len(cohort.pixels), -1))}
    rows = seen[0][:-2]
    assert rows.shape[1] == 129
    assert seen[0].dtype == np.float32
    for row in rows:
        assert row[-1] == cohort.classes[known[row[:-1].tobytes()]]


def test_p01_a_plan_for_fewer_patients_is_refused_and_one_for_fewer_images_is_not():
    training(kit.cohort(132, most=4), PLAN)
    with pytest.raises(BudgetError, match="for fewer patients"):
        training(kit.cohort(133, most=1), PLAN)


@pytest.mark.parametrize("patients", [3, 100])
def test_p08_the_noise_of_a_step_hangs_on_the_declared_population_alone(patients):
    """Losses that do not move: what is seen is noise, the same however many patients and images there are."""
    module = nn.Linear(65, 100)
    mine = training(kit.cohort(patients, most=4), PLAN, module)
    mine.reserve()
    mine.gradient(lambda real: lambda records: 0 * module(records)[:, 0], torch.zeros(2, 65), 0)
    found = torch.cat([each.grad.flatten() for each in module.parameters()]).numpy()
    noise_is(found, 3.0 * 1.0 / (0.1 * 120))


def test_p04_nothing_public_of_a_training_holds_an_image():
    public = {name: value for name, value in vars(training(kit.cohort(), PLAN)).items() if not name.startswith("_")}
    assert public == {"steps": 7, "taken": 0}
