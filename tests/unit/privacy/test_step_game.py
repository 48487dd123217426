"""One private step gives away no more than it bills, and the game that says so sees planted mistakes (Rule P17)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from step_game import least_mu
from torch import Tensor, nn

from wardgan.privacy import clip
from wardgan.privacy.clip import PatientGradients, PrivateStep, private_gradient
from wardgan.rng import Seed

OTHERS, CAP, FAKES, PLAYS = 4, 8, 2, 500
RULE = PrivateStep(clip_norm=1.0, noise_multiplier=0.5, expected_batch=16.0)


def a_step(rule: PrivateStep = RULE) -> tuple[Callable[[bool, int], NDArray[np.float64]], list[slice]]:
    """A tiny critic; the others and the fakes pull one way, and one loud patient pulls exactly the other way."""
    module = nn.Sequential(nn.Linear(3, 2), nn.LeakyReLU(0.2), nn.Linear(2, 1))
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(0.1 * torch.ones_like(parameter) * (1 + number))
    gradients = PatientGradients(module, rule)
    records, fakes = torch.ones(CAP, 3), torch.ones(FAKES, 3)
    pull = 10 * torch.ones(CAP + FAKES)
    pull[0] = -1000  # the loud patient
    masks = {there: (torch.arange(CAP) <= OTHERS) & ((torch.arange(CAP) > 0) | there) for there in (True, False)}

    def play(there: bool, number: int) -> NDArray[np.float64]:
        private_gradient(
            gradients,
            lambda x: pull * module(x)[:, 0],
            records,
            mask=masks[there],
            fake=fakes,
            seed=Seed.secret(),
            step=number,
        )
        return np.concatenate([each.grad.numpy().ravel() for each in module.parameters()]).astype(np.float64)

    ends = np.cumsum([parameter.numel() for parameter in module.parameters()])
    return play, [slice(end - each.numel(), end) for end, each in zip(ends, module.parameters(), strict=True)]


def least(rule: PrivateStep = RULE) -> float:
    play, parts = a_step(rule)
    return least_mu(play, parts=parts, plays=PLAYS)


@pytest.mark.parametrize("noise_multiplier", [0.5, 1.0, 3.0])
def test_p17_an_honest_step_keeps_its_promise(noise_multiplier):
    assert least(PrivateStep(1.0, noise_multiplier, 16.0)) <= 1 / noise_multiplier


def test_the_game_is_not_blind():
    # The bound of an honest step is not far below the truth, so that a step twice as leaky cannot pass.
    assert least() > 0.3 / RULE.noise_multiplier


def no_clip(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clip, "clip_factors", lambda squared_norms, clip_norm: torch.ones_like(squared_norms))


def half_the_noise(patch: pytest.MonkeyPatch) -> None:
    honest = clip.noise_sd
    patch.setattr(clip, "noise_sd", lambda rule: honest(rule) / 2)


def clip_of_the_whole_batch(patch: pytest.MonkeyPatch) -> None:
    honest = PatientGradients.clipped_sum

    def mutant(self: PatientGradients, losses_of: clip.Losses, records: Tensor, **how: Tensor) -> list[Tensor]:
        with pytest.MonkeyPatch.context() as inner:
            no_clip(inner)
            whole = honest(self, losses_of, records, **how)
        most = self.rule.clip_norm / self.rule.expected_batch
        length = torch.sqrt(sum(part.square().sum() for part in whole))
        return [part * min(1.0, most / float(length)) for part in whole]

    patch.setattr(PatientGradients, "clipped_sum", mutant)


def drawn_batch_as_denominator(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clip, "real_weights", lambda mask, rule: mask.double() / mask.sum())


def noise_divided_twice(patch: pytest.MonkeyPatch) -> None:
    honest = clip.noise_sd
    patch.setattr(clip, "noise_sd", lambda rule: honest(rule) / rule.expected_batch)


def a_layer_without_noise(patch: pytest.MonkeyPatch) -> None:
    honest = clip.add_noise

    def mutant(gradients: list[Tensor], sd: float, seed: Seed, step: int) -> list[Tensor]:
        return [*honest(gradients, sd, seed, step)[:-2], *gradients[-2:]]

    patch.setattr(clip, "add_noise", mutant)


def the_same_noise_again(patch: pytest.MonkeyPatch) -> None:
    honest = clip.add_noise
    patch.setattr(clip, "add_noise", lambda gradients, sd, seed, step: honest(gradients, sd, Seed(7), 0))


def real_and_fake_clipped_together(patch: pytest.MonkeyPatch) -> None:
    honest = PatientGradients.clipped_sum

    def mutant(self: PatientGradients, losses_of: clip.Losses, records: Tensor, **how: Tensor) -> list[Tensor]:
        # The loud patient and the first fake are cut as one; without the patient, the fake is still there.
        weights, owners = how["weights"].clone(), torch.arange(len(records))
        present = torch.ones(len(records))
        present[0] = float(weights[0] > 0)
        weights[0], owners[CAP] = 1 / self.rule.expected_batch, 0

        def losses(x: Tensor) -> Tensor:
            return present * losses_of(x)

        return honest(self, losses, records, weights=weights, patients=owners)

    patch.setattr(PatientGradients, "clipped_sum", mutant)


MUTANTS = [
    no_clip,
    half_the_noise,
    clip_of_the_whole_batch,
    drawn_batch_as_denominator,
    noise_divided_twice,
    a_layer_without_noise,
    the_same_noise_again,
    real_and_fake_clipped_together,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_p17_the_game_sees(mutant, monkeypatch):
    mutant(monkeypatch)
    assert least() > 1 / RULE.noise_multiplier
