"""Steps on patients with several images: one clip for each patient, and padding that counts for nothing (Rule P1)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from critics import critic, filled, losses_of, numbers
from scipy import stats
from torch import nn

import image_family_kit as kit
from wardgan.errors import BudgetError
from wardgan.models.imagegan.nets import Judge
from wardgan.models.imagegan.train import _Flat, _losses
from wardgan.privacy import training as training_module
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.training import Groups, PrivateTraining
from wardgan.rng import Seed

RATE, CAP, MOST, DECLARED, STEPS, CLIP = 0.25, 12, 33, 30, 60, 0.5
EVENT = Event(
    "d", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=RATE, batch_cap=CAP, population=MOST, steps=STEPS
)
PLAN = Plan(Budget(2.0), (EVENT,), DECLARED, "test")
COUNTS = [1, 2, 5, 3, 1, 8, 4, 2, 1, 6]
OWNERS = np.random.default_rng(2).permutation(np.repeat(np.arange(len(COUNTS)), COUNTS))
ROWS = numbers(len(OWNERS), 4, seed=3) * 2
FAKE = numbers(5, 4, seed=9)


def training(module, *, rows=ROWS, owners=OWNERS, at_once=3, noise=None, ledger=None, **how):
    seed = Seed.secret() if noise is None else noise
    made = PrivateTraining(
        rows.numpy().copy(), ledger or Ledger(PLAN, replayable=seed.replayable), "d", module,
        **{"rate": RATE, "steps": 7, "clip_norm": CLIP, "population": DECLARED, "noise": seed, **how}, owners=owners,
        at_once=at_once,
    )  # fmt: skip
    made.reserve()
    return made


def flat(module):
    return torch.cat([each.grad.flatten() for each in module.parameters()]).numpy()


def straight(module):
    """A loss that pulls however far it is away."""
    return lambda records: module(records)[:, 0]


def step(mine, module, number=0, fake=FAKE, losses=None):
    mine.gradient(lambda real: (losses or losses_of)(module), fake, number)
    return flat(module)


@pytest.fixture
def silent(monkeypatch):
    """Steps without noise, and the patients that each of them draws; `batches.forced` draws others."""

    class Batches(list):
        forced = None

    batches = Batches()
    honest = training_module.poisson_batch

    def spy(patients, **how):
        drawn = honest(patients, **how) if batches.forced is None else np.array(batches.forced, dtype=np.intp)
        batches.append((patients, how["rate"], how["cap"], drawn))
        return drawn

    monkeypatch.setattr(Seed, "noisy", lambda self, values, sd, name, step=0: values)
    monkeypatch.setattr(training_module, "poisson_batch", spy)
    return batches


def chosen(owners, patient, at_once, number):
    mine = np.flatnonzero(owners == patient)
    if len(mine) <= at_once:
        return mine
    return mine[(number * at_once + np.arange(at_once)) % len(mine)]


def cut(gradient, clip):
    return gradient * min(1.0, clip / np.linalg.norm(gradient))


def one_by_one(module, losses, rows, owners, batch, fake, at_once, number, clip=CLIP):
    """The gradient as the definition has it: a patient's is the mean over their rows, cut once."""
    total = np.zeros(sum(each.numel() for each in module.parameters()))
    parts = [(rows[chosen(owners, patient, at_once, number)], 1 / (RATE * DECLARED), True) for patient in batch]
    parts += [(fake[at : at + 1], 1 / len(fake), False) for at in range(len(fake))]
    for mine, weight, real in parts:
        module.zero_grad()
        losses(len(mine) if real else 0)(mine).mean().backward()
        total += weight * cut(flat(module).astype(float), clip)
    return total


@pytest.mark.parametrize("clip", [CLIP, 50.0], ids=["cut", "uncut"])
@pytest.mark.parametrize("at_once", [1, 2, 3, 20])
def test_p01_the_gradient_is_that_of_a_loop_over_patients(silent, at_once, clip):
    module = critic()
    mine = training(module, at_once=at_once, clip_norm=clip)
    for number in range(6):
        found, losses = step(mine, module, number), losses_of(module)
        slow = one_by_one(
            module, lambda real, losses=losses: losses, ROWS, OWNERS, silent[-1][3], FAKE, at_once, number, clip
        )
        np.testing.assert_allclose(found, slow, rtol=1e-4, atol=1e-6)
    assert {(patients, rate, cap) for patients, rate, cap, _ in silent} == {(len(COUNTS), RATE, CAP)}
    assert len({len(drawn) for *_, drawn in silent}) > 1


@pytest.mark.parametrize("at_once", [1, 3])
def test_p01_it_is_that_of_a_loop_over_patients_for_the_discriminator_of_images(silent, at_once):
    """imagegan's own network, records and losses: real ones against fakes, of two classes, with masks."""
    cohort = kit.cohort(10, mask=True, most=5)
    judge = _Flat(filled(Judge(cohort.format, classes=2, width=2)), cohort.format.shape)
    rows = torch.from_numpy(
        np.column_stack([cohort.pixels.reshape(len(cohort.pixels), -1), cohort.classes]).astype(np.float32)
    )
    fake = torch.cat([numbers(4, 128, seed=8).clamp(-1, 1), torch.tensor([[0.0], [1], [1], [0]])], dim=1)
    mine = training(judge, rows=rows, owners=cohort.owners, at_once=at_once)
    for number in range(4):
        mine.gradient(lambda real: _losses(judge, real), fake, number)
        found = flat(judge)
        slow = one_by_one(
            judge, lambda real: _losses(judge, real), rows, cohort.owners, silent[-1][3], fake, at_once, number
        )
        np.testing.assert_allclose(found, slow, rtol=1e-3, atol=1e-6)


def test_p01_a_patient_with_many_images_moves_a_step_no_more_than_one_with_one(silent):
    """A gradient as long as a patient can make it, from 1, 2 or 8 images: always the clip norm over the batch."""
    module = critic()
    lengths = []
    for patient in (0, 1, 5):
        mine = training(module, rows=1e3 * ROWS.abs(), at_once=8)
        silent.forced = []
        without = step(mine, module, losses=straight)
        silent.forced = [patient]
        lengths.append(np.linalg.norm(step(mine, module, losses=straight) - without))
    np.testing.assert_allclose(lengths, CLIP / (RATE * DECLARED), rtol=1e-3)


def test_a_patients_gradient_is_the_mean_over_images_not_their_sum(silent):
    """Small gradients, which nothing cuts: three copies of an image are worth the image."""
    module = filled(nn.Sequential(nn.Linear(4, 1)))
    row = 0.01 * numbers(1, 4, seed=5)
    silent.forced, found = [0], []
    for copies in (1, 2, 3):
        owners = np.array([0] * copies + [1] * 3)
        rows = torch.cat([row.repeat(copies, 1), numbers(3, 4)])
        mine = training(module, rows=rows, owners=owners, at_once=3, clip_norm=50.0)
        found.append(step(mine, module, fake=0 * FAKE, losses=straight))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5)
    assert np.abs(found[0][:4]).max() > 1e-4


def test_several_images_of_one_patient_are_cut_together(silent):
    """Two images whose gradients are opposite: cut by themselves they would not cancel in this way."""
    module = filled(nn.Sequential(nn.Linear(4, 1, bias=False)))
    rows = torch.tensor([[9.0, 0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 0, 3.0]])
    mine = training(module, rows=rows, owners=np.array([0, 0, 1]), at_once=2, clip_norm=10.0)
    silent.forced = [0]
    found = step(mine, module, fake=torch.zeros(1, 4), losses=straight)
    np.testing.assert_allclose(found * RATE * DECLARED, [4.0, 0, 0, 0], atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("wild", [1e30, float("inf"), float("nan")])
def test_p06_padding_adds_exactly_nothing(silent, at_once, wild):
    """The row that fills a batch up is one of a patient who was not drawn; it may be anything."""
    found = []
    silent.forced = [3, 4]
    for first in (0.5, wild):
        module = critic()
        rows = ROWS.clone()
        rows[0] = first
        assert OWNERS[0] not in silent.forced
        found.append(step(training(module, rows=rows, at_once=at_once), module))
    assert np.array_equal(*found)
    assert np.isfinite(found[0]).all()


def test_p06_a_larger_cap_changes_nothing(silent):
    found = []
    silent.forced = [1, 2, 5]
    for cap in (4, 12, 33):
        module = critic()
        plan = Plan(Budget(2.0), (Event(
            "d", "poisson-gaussian", noise_multiplier=3.0, sampling_rate=RATE, batch_cap=cap, population=MOST, steps=9
        ),), DECLARED, "test")  # fmt: skip
        found.append(step(training(module, ledger=Ledger(plan)), module))
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)


@pytest.mark.parametrize("at_once", [1, 3])
def test_p06_a_step_with_nobody_is_taken(silent, at_once):
    module = critic()
    mine = training(module, at_once=at_once)
    silent.forced = []
    found = step(mine, module)
    wanted = one_by_one(module, lambda real: losses_of(module), ROWS, OWNERS, [], FAKE, at_once, 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-7)
    assert found.any()


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_p06_what_is_seen_has_the_same_shape_in_each_step(at_once):
    module, shapes = critic(), set()
    mine = training(module, at_once=at_once)

    def losses_for(real):
        def losses(records):
            shapes.add((real, len(records)))
            return losses_of(module)(records)

        return losses

    for number in range(12):
        mine.gradient(losses_for, FAKE, number)
    assert {real for real, _ in shapes} == {CAP * at_once}
    assert (CAP * at_once, CAP * at_once + len(FAKE)) in shapes


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("patients", [1, 10])
def test_p08_noise_is_that_of_the_plan_over_the_expected_batch(patients, at_once):
    module = filled(nn.Sequential(nn.Linear(4, 600)))
    few = np.isin(OWNERS, np.arange(patients))
    mine = training(module, rows=ROWS[few], owners=OWNERS[few], at_once=at_once)
    # Losses that do not move: the gradient is noise alone, whoever was drawn and however many images they have.
    mine.gradient(lambda real: lambda records: 0 * module(records)[:, 0], FAKE, 0)
    found, sd = flat(module), 3.0 * CLIP / (RATE * DECLARED)
    assert stats.kstest(found / sd, "norm").pvalue > 1e-6
    chi = ((found / sd) ** 2).sum()
    assert stats.chi2.ppf(1e-6, len(found)) < chi < stats.chi2.isf(1e-6, len(found))


def test_p10_noise_is_new_in_each_step_and_a_rehearsal_is_replayed():
    def steps(noise):
        module = critic()
        mine = training(module, noise=noise)
        # Losses that do not move: what is seen is noise.
        return [step(mine, module, number, losses=lambda module: lambda x: 0 * module(x)[:, 0]) for number in range(2)]

    first, again = steps(Seed(4)), steps(Seed(4))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(steps(Seed.secret())[0], steps(Seed.secret())[0])


def test_p05_steps_are_reserved_here_too():
    module = critic()
    ledger = Ledger(PLAN)
    mine = training(module, ledger=ledger)
    assert ledger.steps("d") == training_module.BLOCK
    for number in range(training_module.BLOCK):
        step(mine, module, number)
    with pytest.raises(BudgetError, match="not reserved"):
        step(mine, module)


def test_p01_patients_are_counted_not_rows():
    training(critic(), rows=numbers(4 * MOST, 4), owners=np.repeat(np.arange(MOST), 4))
    with pytest.raises(BudgetError, match="for fewer patients"):
        training(critic(), rows=numbers(MOST + 1, 4), owners=np.arange(MOST + 1))


# --- turns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_a_patient_takes_turns_with_all_images(count, at_once):
    owners = np.repeat([0, 1], [count, 8])
    groups = Groups(owners, at_once)
    seen = np.zeros(count, dtype=int)
    for number in range(count):
        rows, places, parts = groups.batch(np.array([0, 1]), 3, number)
        mine = rows[(places == 0) & (parts > 0)]
        assert len(set(mine.tolist())) == len(mine) == min(count, at_once)
        seen[mine] += 1
    assert set(seen.tolist()) == {min(count, at_once)}


def test_the_way_hangs_on_what_is_public_alone():
    assert not Groups(np.arange(4), 4).single
    assert Groups(np.array([0, 0, 1]), 1).single
    assert not Groups(np.array([0, 0, 1]), 2).single


def test_a_batch_says_whose_each_row_is_and_what_it_weighs():
    groups = Groups(np.array([1, 0, 1, 2, 1]), 2)
    rows, places, parts = groups.batch(np.array([0, 1]), 3, 1)
    assert rows.tolist() == [1, 1, 4, 0, 0, 0]
    assert places.tolist() == [0, 0, 1, 1, 0, 0]
    assert parts.tolist() == [1, 0, 0.5, 0.5, 0, 0]


def test_p07_a_gpu_cuts_no_number_in_a_clipped_sum(monkeypatch):
    """Ten bits in the sum and all of them in the lengths would make a gradient longer than the clip."""
    from wardgan.privacy import clip

    seen, real = [], clip.keep_books

    def books(*given):
        seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
        return real(*given)

    monkeypatch.setattr(clip, "keep_books", books)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    layer = torch.nn.Linear(2, 1)
    rule = clip.PrivateStep(clip_norm=1.0, noise_multiplier=1.0, expected_batch=2.0)
    ones = torch.ones(2, dtype=torch.float64)
    clip.PatientGradients(layer, rule).clipped_sum(lambda rows: layer(rows)[:, 0], torch.eye(2), weights=ones)
    assert seen == [(False, False)]
    assert torch.backends.cudnn.allow_tf32
