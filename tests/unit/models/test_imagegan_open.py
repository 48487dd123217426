"""The training of imagegan without privacy: pairs of one class, penalties as in the papers, and every patient alike."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import image_family_kit as kit
import wardgan as wg
from wardgan.models.imagegan import train as module
from wardgan.models.imagegan.nets import ImageGenerator, Judge

COHORT = kit.cohort()
MASKED = kit.cohort(mask=True)


def fit(cohort=COHORT, *, family=kit.TINY):
    return wg.fit(cohort, privacy="none", family=family, seed=3)


def test_without_privacy_patients_are_drawn_alike(monkeypatch):
    """One patient has 30 images, nine have one: each of them makes a tenth of the batches."""
    owners = np.array([0] * 30 + list(range(1, 10)))
    pixels = np.where(owners == 0, 0.75, -0.5)[:, None, None, None] * np.ones((1, 8, 8))
    cohort = kit.cohort_of(pixels, owners % 2, owners)
    seen = []
    monkeypatch.setattr(
        module, "_judge_step", lambda config, players, adam, stream, real, classes, penalised: seen.append(real)
    )
    monkeypatch.setattr(module, "_maker_step", lambda *_: None)
    fit(cohort, family=replace(kit.TINY, open_steps=60, batch=16))
    many = float((torch.cat(seen)[:, 0, 0, 0] == 0.75).float().mean())
    assert many == pytest.approx(0.1, abs=0.04)


def test_without_privacy_classes_stay_with_their_images(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "_judge_step", lambda config, players, adam, stream, real, classes, penalised: (
        seen.append((real.numpy(), classes.numpy(), penalised))
    ))  # fmt: skip
    fit(family=replace(kit.TINY, penalty_every=3))
    known = {image.tobytes(): label for image, label in zip(COHORT.pixels, COHORT.classes, strict=True)}
    assert all(
        known[image.tobytes()] == label
        for images, labels, _ in seen
        for image, label in zip(images, labels, strict=True)
    )
    assert [penalised for *_, penalised in seen] == [True, False, False] * 2


def players_of(cohort, config):
    base = kit.model(cohort.format, waves=2)
    maker = ImageGenerator(base, width=2, noise_inputs=2)
    judge = kit.randomised(Judge(cohort.format, classes=2, width=2), 3)
    return module.Players(base, maker, judge)


def test_the_penalty_is_that_of_the_papers():
    """Zero-centred penalties on real and on fake images, gamma / 2 each, as many times as strong as they are rare."""
    config = replace(kit.TINY, augment=False, penalty=0.7, penalty_every=5)
    players = players_of(COHORT, config)
    real, classes = torch.from_numpy(COHORT.pixels[:4]), torch.from_numpy(COHORT.classes[:4])
    found = []
    for penalised in (False, True):
        mine = copy.deepcopy(players)
        adam = torch.optim.SGD(mine.judge.parameters(), 0.0)
        module._judge_step(config, mine, adam, np.random.default_rng(1), real, classes, penalised=penalised)
        found.append(torch.cat([each.grad.flatten() for each in mine.judge.parameters()]))
    stream = np.random.default_rng(1)
    with torch.no_grad():
        fake = players.maker(players.latent(stream, 4), classes)
    judge, total = players.judge, torch.zeros(())
    judge.zero_grad()
    torch.nn.functional.softplus(judge(fake, classes) - judge(real, classes)).mean().backward()
    plain = torch.cat([each.grad.flatten() for each in judge.parameters()])
    for images in (real, fake):
        for at in range(4):
            one = images[at : at + 1].clone().requires_grad_()
            (slope,) = torch.autograd.grad(judge(one, classes[at : at + 1]).sum(), one, create_graph=True)
            total = total + slope.square().sum() / 4
    judge.zero_grad()
    (5 * 0.7 / 2 * total).backward()
    # The bias of the last layer has no part in a slope.
    penalty = [torch.zeros_like(each) if each.grad is None else each.grad for each in judge.parameters()]
    more = torch.cat([each.flatten() for each in penalty])
    assert torch.allclose(found[0], plain, atol=1e-6)
    assert torch.allclose(found[1], plain + more, atol=1e-5)
    assert more.abs().max() > 1e-3


def test_the_generator_without_privacy_is_told_apart_in_pairs():
    config = replace(kit.TINY, augment=False)
    players = players_of(COHORT, config)
    real, classes = torch.from_numpy(COHORT.pixels[:4]), torch.from_numpy(COHORT.classes[:4])
    adam = torch.optim.SGD(players.maker.parameters(), 0.0)
    module._maker_step(config, players, adam, np.random.default_rng(1), real, classes)
    found = torch.cat([each.grad.flatten() for each in players.maker.parameters()])
    players.maker.zero_grad()
    fake = players.maker(players.latent(np.random.default_rng(1), 4), classes)
    torch.nn.functional.softplus(players.judge(real, classes) - players.judge(fake, classes)).mean().backward()
    wanted = torch.cat([each.grad.flatten() for each in players.maker.parameters()])
    assert torch.allclose(found, wanted, atol=1e-7)
    assert found.abs().max() > 0


def test_real_and_fake_images_are_changed_before_they_are_judged(monkeypatch):
    asked = []
    honest = module.augmented
    monkeypatch.setattr(
        module, "augmented", lambda images, stream, **how: (asked.append(how), honest(images, stream, **how))[1]
    )
    fit(MASKED, family=replace(kit.TINY, flips=True, open_steps=2))
    assert asked == [{"mask": True, "flips": True}] * 8
    asked.clear()
    fit(MASKED, family=replace(kit.TINY, augment=False))
    wg.fit(MASKED, kit.BUDGET, family=kit.TINY)
    assert asked == []
