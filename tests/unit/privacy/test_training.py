"""Steps on real patients: reserved, drawn, cut, noised, and no more than planned (Rules P5 to P8)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from critics import critic, filled, losses_of, numbers
from scipy import stats
from torch import nn

from wardgan.errors import BudgetError, PlanError
from wardgan.privacy import training as training_module
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.training import BLOCK, PrivateTraining
from wardgan.rng import Seed

RATE, CAP, MOST, DECLARED, STEPS = 0.25, 40, 110, 100, 120
EVENT = Event(
    "d", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=RATE, batch_cap=CAP, population=MOST, steps=STEPS
)
ONCE = Event("g", "gaussian", noise_multiplier=3.0)
PLAN = Plan(Budget(2.0), (EVENT, ONCE), DECLARED, "test")
FAKE = numbers(6, 4, seed=9)


def training(ledger=None, module=None, *, name="d", rate=RATE, patients=64, noise=None, **how):
    seed = Seed.secret() if noise is None else noise
    return PrivateTraining(
        numbers(patients, 4).numpy(), ledger or Ledger(PLAN, replayable=seed.replayable), name, module or critic(),
        **{"rate": rate, "steps": 7, "clip_norm": 0.5, "population": DECLARED, "noise": seed, **how},
    )  # fmt: skip


def step(mine, module, number=0):
    mine.gradient(lambda real: losses_of(module), FAKE, number)
    return torch.cat([each.grad.flatten() for each in module.parameters()]).numpy()


def test_p05_a_step_that_was_not_reserved_may_not_be_taken():
    module = critic()
    mine = training(module=module)
    with pytest.raises(BudgetError, match="not reserved"):
        step(mine, module)
    for _ in range(mine.reserve()):
        step(mine, module)
    with pytest.raises(BudgetError, match="not reserved"):
        step(mine, module)


def test_p05_blocks_are_billed_before_they_are_taken_and_end_with_the_plan():
    ledger = Ledger(PLAN)
    mine = training(ledger)
    assert (mine.steps, mine.taken) == (STEPS, 0)
    blocks = []
    while block := mine.reserve():
        blocks.append(block)
        assert ledger.steps("d") == sum(blocks) == mine.taken
    assert blocks == [BLOCK, BLOCK, STEPS - 2 * BLOCK]
    assert mine.reserve() == 0
    assert ledger.steps("d") == STEPS


def test_p05_a_second_training_of_the_same_event_gets_nothing_more():
    ledger = Ledger(PLAN)
    first, second = training(ledger), training(ledger)
    while first.reserve():
        pass
    with pytest.raises(BudgetError, match="120 of 120"):
        second.reserve()
    assert training(ledger).reserve() == 0


def test_p05_training_goes_on_from_what_is_billed(tmp_path):
    ledger = Ledger(PLAN, path=tmp_path / "l")
    training(ledger).reserve()  # and killed: nothing is known of these steps
    mine = training(Ledger.resume(tmp_path / "l"))
    mine.go_on(0)
    assert mine.taken == BLOCK


def test_p05_if_all_steps_are_spent_and_their_result_is_lost_there_is_no_generator():
    ledger = Ledger(PLAN)
    ledger.spend("d", STEPS)
    training(ledger).go_on(BLOCK)
    with pytest.raises(BudgetError, match="lost"):
        training(ledger).go_on(0)


def test_without_privacy_training_goes_on_from_the_checkpoint():
    mine = training(Ledger(None))
    mine.go_on(5)
    assert (mine.reserve(), mine.reserve()) == (2, 0)


@pytest.mark.parametrize("wrong", [{"rate": 0.3}, {"name": "g"}, {"name": "other"}, {"patients": MOST + 1}])
def test_what_does_not_fit_the_plan_is_refused(wrong):
    with pytest.raises(BudgetError):
        training(**wrong)
    training(patients=MOST)


def test_batches_without_a_cap_are_refused():
    plan = Plan(Budget(2.0), (Event("d", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=RATE),), None, "test")
    with pytest.raises(BudgetError, match="without a cap"):
        training(Ledger(plan))


def test_a_network_that_mixes_patients_is_refused():
    with pytest.raises(PlanError, match="BatchNorm"):
        training(module=nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)))


def test_p10_replayable_noise_must_be_owned_up_to():
    with pytest.raises(BudgetError, match="replayable"):
        training(Ledger(PLAN), noise=Seed(3))


def test_p06_batches_are_drawn_as_billed(monkeypatch):
    asked = []
    honest = training_module.poisson_batch

    def spy(patients, **how):
        asked.append((patients, how["rate"], how["cap"], how["seed"].replayable))
        return honest(patients, **how)

    monkeypatch.setattr(training_module, "poisson_batch", spy)
    module = critic()
    mine = training(module=module)
    for number in range(mine.reserve()):
        step(mine, module, number)
    assert set(asked) == {(64, EVENT.sampling_rate, EVENT.batch_cap, False)}
    assert len(asked) == BLOCK


def test_p06_what_is_seen_has_the_same_shape_in_each_step():
    module, shapes = critic(), set()
    mine = training(module=module)

    def losses_for(real):
        def losses(records):
            shapes.add((real, len(records)))
            return losses_of(module)(records)

        return losses

    for number in range(mine.reserve()):
        mine.gradient(losses_for, FAKE, number)
    assert (CAP, CAP + len(FAKE)) in shapes
    assert {real for real, _ in shapes} == {CAP}  # never how many were drawn


@pytest.mark.parametrize("patients", [1, 64])
def test_p08_noise_is_that_of_the_plan_over_the_expected_batch(patients):
    module = filled(nn.Sequential(nn.Linear(4, 600)))
    mine = training(module=module, patients=patients)
    mine.reserve()
    # Losses that do not move: the gradient is noise alone, whoever was drawn.
    mine.gradient(lambda real: lambda records: 0 * module(records)[:, 0], FAKE, 0)
    found = torch.cat([each.grad.flatten() for each in module.parameters()]).numpy()
    sd = 3.0 * 0.5 / (RATE * DECLARED)
    assert stats.kstest(found / sd, "norm").pvalue > 1e-6
    chi = ((found / sd) ** 2).sum()
    assert stats.chi2.ppf(1e-6, len(found)) < chi < stats.chi2.isf(1e-6, len(found))


def test_p10_steps_and_runs_have_their_own_noise_and_a_rehearsal_is_replayed():
    def steps(noise):
        module = critic()
        mine = training(module=module, noise=noise)
        mine.reserve()
        return [step(mine, module, number) for number in range(2)]

    secret, other = steps(Seed.secret()), steps(Seed.secret())
    assert not np.array_equal(secret[0], secret[1])
    assert not np.array_equal(secret[0], other[0])
    first, again = steps(Seed(4)), steps(Seed(4))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])


def test_without_privacy_it_is_the_ordinary_gradient_of_both_means():
    module = critic()
    mine = training(Ledger(None), module, rate=1.0, noise=Seed(1))
    mine.reserve()
    found = step(mine, module)
    module.zero_grad()
    rows = numbers(64, 4)
    (losses_of(module)(rows).mean() + losses_of(module)(FAKE).mean()).backward()
    np.testing.assert_allclose(found, torch.cat([each.grad.flatten() for each in module.parameters()]), atol=1e-6)


def test_p04_nothing_public_holds_a_patient():
    public = {name: value for name, value in vars(training()).items() if not name.startswith("_")}
    assert public == {"steps": STEPS, "taken": 0}


@pytest.mark.parametrize("patients", [5, 64])
def test_p07_the_gradient_is_that_of_a_loop_over_the_batch(monkeypatch, patients):
    """Without noise: each patient of the batch once, cut alone; the places that pad a batch count for nothing."""
    monkeypatch.setattr(Seed, "noisy", lambda self, values, sd, name, step=0: values)
    batches = []
    honest = training_module.poisson_batch
    monkeypatch.setattr(
        training_module, "poisson_batch", lambda *args, **how: (batches.append(honest(*args, **how)), batches[-1])[1]
    )
    module, rows = critic(), numbers(patients, 4)
    mine = training(module=module, patients=patients)
    for number in range(min(mine.reserve(), 6)):
        found = step(mine, module, number)
        slow = np.zeros_like(found)
        ours = [(rows[patient : patient + 1], 1 / (RATE * DECLARED)) for patient in batches[-1]]
        for row, weight in [*ours, *((FAKE[at : at + 1], 1 / len(FAKE)) for at in range(len(FAKE)))]:
            module.zero_grad()
            losses_of(module)(row).sum().backward()
            own = torch.cat([each.grad.flatten() for each in module.parameters()]).numpy()
            slow += weight * own * min(1.0, 0.5 / np.linalg.norm(own))
        np.testing.assert_allclose(found, slow, rtol=1e-4, atol=1e-6)
    assert len({len(batch) for batch in batches}) > 1


@pytest.mark.parametrize("there", [True, False])
def test_p10_the_noise_of_a_training_is_as_planned(there):
    """The sd of a step's noise, by the same patients twice: with everybody in each batch, the batch does not vary."""
    plan = Plan(Budget(2.0), (Event(
        "d", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=1.0, batch_cap=70, population=70, steps=400
    ),), 64, "test")  # fmt: skip
    module = critic()
    mine = training(Ledger(plan), module, rate=1.0, patients=64 if there else 63, population=64)
    made = []
    while block := mine.reserve():
        made += [step(mine, module, len(made) + number) for number in range(block)]
    noise = np.array(made) - np.mean(made, axis=0)
    assert np.std(noise) == pytest.approx(3.0 * 0.5 / 64, rel=0.03)
    assert stats.kstest(noise.ravel() / (3.0 * 0.5 / 64), "norm").pvalue > 1e-6
