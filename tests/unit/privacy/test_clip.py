"""Every patient's gradient is cut, nothing else gets through, and the noise is there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from critics import RULE, critic, filled, image_critic, losses_of, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from wardgan.errors import PlanError, UsageError
from wardgan.privacy import layers
from wardgan.privacy.clip import PatientGradients, PrivateStep, private_gradient
from wardgan.rng import Seed

REHEARSAL = Seed(1)


def flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in parts]).double()


def clipped(module: nn.Module, records: Tensor, losses=None, **how: Tensor) -> Tensor:
    how.setdefault("weights", torch.ones(len(records), dtype=torch.float64))
    return flat(PatientGradients(module, RULE).clipped_sum(losses or losses_of(module), records, **how))


def step(module: nn.Module, real: Tensor, *, seed: Seed = REHEARSAL, number: int = 0, **how: Tensor) -> Tensor:
    """Gives the flat gradient that one private step writes."""
    how.setdefault("mask", torch.ones(len(real), dtype=torch.bool))
    private_gradient(PatientGradients(module, RULE), losses_of(module), real, **how, seed=seed, step=number)
    return flat([parameter.grad for parameter in module.parameters()])


# What a patient can do -------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    image=st.booleans(),
    power=st.integers(-20, 25),
    loudness=st.integers(-20, 20),
    who=st.integers(0, 4),
    grouped=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_p7_a_patient_moves_the_sum_by_at_most_c(image, power, loudness, who, grouped, seed):
    module = image_critic() if image else critic()
    records = numbers(5, *((1, 8, 8) if image else (4,)), seed=seed)
    owners = torch.tensor([0, 1, 2, 3, 3]) if grouped else torch.arange(5)
    loud = torch.where(owners == min(who, int(owners.max())), 10.0**loudness, 1.0)
    records = records * torch.where(loud == 1.0, 1.0, 10.0**power).view(-1, *[1] * (records.ndim - 1))
    there = torch.ones(int(owners.max()) + 1, dtype=torch.float64)
    absent = there.clone()
    absent[min(who, int(owners.max()))] = 0

    def losses(x: Tensor) -> Tensor:
        return loud * losses_of(module)(x)

    both = [clipped(module, records, losses, weights=weights, patients=owners) for weights in (there, absent)]
    assert all(bool(each.isfinite().all()) for each in both)
    assert float((both[0] - both[1]).norm()) <= 1 + 1e-5


def test_p7_a_gradient_that_cancels_over_positions_is_not_taken_for_short():
    # Single precision shows a length of 0 for `gᵀg ∘ aᵀa` long before the gradient is 0.
    layer = nn.Conv2d(64, 64, 2, bias=False)
    a = torch.full((1, 64, 3, 3), 3.0) + 1e-3 * numbers(1, 64, 3, 3)
    g = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).expand(1, 64, 2, 2).contiguous()
    exact = layers.squared_norms(layer.double(), a.double(), g.double()).sqrt()
    assert float(layers.squared_norms(layer.float(), a, g).sqrt() / exact) >= 1 - 1e-6


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 2, 2), (4, 3, 6), (2, 3, 1), (3, 4, 2)]
)
def test_no_gradient_is_longer_than_the_greatest(kernel, stride, dilation):
    # Even fields are the worst case: every product has the same sign.
    layer = nn.Conv1d(1, 1, kernel, stride=stride, dilation=dilation).double()
    a = torch.ones(1, 1, 400, dtype=torch.float64)
    g = torch.ones_like(layer(a))
    share = float(layers.squared_norms(layer, a, g) / layers._greatest(layer, a, g))
    assert 0.3 < share <= 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 3e38])
@pytest.mark.parametrize("image", [False, True])
def test_a_gradient_that_is_not_finite_counts_as_zero(image, bad):
    module = image_critic() if image else critic()
    records = numbers(5, *((1, 8, 8) if image else (4,)))
    rest = clipped(module, records[1:], lambda x: 1e10 * losses_of(module)(x))
    records[0] = bad
    assert torch.allclose(clipped(module, records, lambda x: 1e10 * losses_of(module)(x)), rest, atol=1e-6)


@pytest.mark.parametrize("bad", [0.0, 1e30, math.nan])
def test_padding_contributes_exactly_zero(bad):
    module, real, fake = critic(), numbers(6, 4), numbers(3, 4, seed=5)
    mask = torch.tensor([True, True, False, True, False, False])
    padded = real.clone()
    padded[~mask] = bad
    found = step(module, padded, mask=mask, fake=fake)
    assert torch.allclose(found, step(module, real[mask], fake=fake), rtol=0, atol=1e-7)
    assert torch.equal(found, step(module, torch.where(mask[:, None], real, 7.0), mask=mask, fake=fake))


def test_p1_several_records_are_cut_once():
    module, same = critic(), numbers(1, 4).repeat(3, 1)
    who, alone = torch.zeros(3, dtype=torch.long), torch.ones(1, dtype=torch.float64)

    def loud(x: Tensor) -> Tensor:
        return 100 * module(x)[:, 0]

    assert float(clipped(module, same, loud).norm()) == pytest.approx(3)
    assert float(clipped(module, same, loud, weights=alone, patients=who).norm()) == pytest.approx(1)


def test_p1_padding_in_a_patient_with_several_records():
    module, real, fake = critic(), numbers(6, 4), numbers(2, 4, seed=3)
    patients = torch.tensor([0, 0, 1, 1, 2, 2])
    mask = torch.tensor([True, True, True, False, False, False])
    found = step(module, real, mask=mask, fake=fake, patients=patients)
    weights = torch.tensor([1, 1, 0, 4, 4], dtype=torch.float64) / 8  # two patients, nobody, two fakes
    owners = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4])
    by_hand = clipped(module, torch.cat([real, fake]), weights=weights, patients=owners)
    noise = Seed(1).normals(len(by_hand), "noise", 0) * 2 / 8
    assert torch.allclose(found, by_hand + torch.from_numpy(noise), atol=1e-6)
    real[3:] = math.nan
    assert torch.equal(found, step(module, real, mask=mask, fake=fake, patients=patients))


# Noise and denominators ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [Seed.secret(), Seed(4)])
def test_p6_an_empty_batch_is_pure_noise_of_the_right_size(seed):
    module = filled(nn.Sequential(nn.Linear(100, 300), nn.Tanh(), nn.Linear(300, 1)))
    private_gradient(
        PatientGradients(module, PrivateStep(0.5, 3.0, 20.0)),
        losses_of(module),
        numbers(4, 100),
        mask=torch.zeros(4, dtype=torch.bool),
        seed=seed,
        step=0,
    )
    noise = flat([parameter.grad for parameter in module.parameters()]) / (3.0 * 0.5 / 20)
    n = len(noise)
    # Five standard errors each: a false alarm in a million.
    assert abs(float(noise.mean())) < 5 / math.sqrt(n)
    assert abs(float(noise.square().mean()) - 1) < 5 * math.sqrt(2 / n)
    assert all(abs(float(part.grad.std()) / 0.075 - 1) < 0.3 for part in list(module.parameters())[:3])


def test_p8_real_patients_count_by_the_expected_batch_and_fakes_by_their_number():
    module = critic()
    real, fake = 100 * numbers(3, 4), 100 * numbers(5, 4, seed=2)
    found = step(module, real, fake=fake, number=6)
    signal = clipped(module, real) / 8 + clipped(module, fake) / 5
    noise = torch.from_numpy(Seed(1).normals(len(found), "noise", 6)) * 2 * 1 / 8
    assert torch.allclose(found, signal + noise, atol=1e-6)


def test_noise_is_drawn_anew_for_each_step():
    module, real = critic(), numbers(3, 4)
    first = step(module, real, number=0)
    assert torch.equal(first, step(module, real, number=0))
    assert not torch.equal(first, step(module, real, number=1))
    secret = step(module, real, seed=Seed.secret())
    assert not torch.equal(secret, step(module, real, seed=Seed.secret()))


@pytest.mark.parametrize("nothing", [0, 0.0, None])
def test_no_noise_is_refused(nothing):
    with pytest.raises(PlanError, match="gives no privacy"):
        PrivateStep(1.0, nothing, 8.0)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("field", ["clip_norm", "noise_multiplier", "expected_batch"])
def test_values_out_of_range_are_refused(field, bad):
    with pytest.raises(UsageError, match=field):
        PrivateStep(**{"clip_norm": 1.0, "noise_multiplier": 1.0, "expected_batch": 1.0, field: bad})


# What is left behind ---------------------------------------------------------------------------------------------


def test_an_optimiser_steps_on_what_is_written():
    module = critic()
    optimiser = torch.optim.SGD(module.parameters(), 0.5)
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, 1e6)  # what was there is replaced
    before = [parameter.detach().clone() for parameter in module.parameters()]
    step(module, numbers(3, 4))
    optimiser.step()
    for old, new in zip(before, module.parameters(), strict=True):
        assert new.grad.shape == new.shape
        assert new.grad.dtype == new.dtype
        assert torch.allclose(new, old - 0.5 * new.grad)
        assert float(new.grad.abs().max()) < 10


def test_the_worlds_randomness_is_left_as_it_was():
    module, before = critic(), torch.random.get_rng_state()
    state = np.random.get_state()[1].copy()
    step(module, numbers(3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(state, np.random.get_state()[1])


def test_nothing_stays_attached_to_the_network():
    module = critic()
    clipped(module, numbers(3, 4))
    assert all(not vars(child)["_forward_hooks"] for child in module.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    functional.softplus(module(numbers(3, 4))).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_a_layer_that_the_losses_do_not_need_gets_zero():
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare, self.cut = nn.Linear(4, 1), nn.Linear(4, 3), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x + self.cut(x).detach())

    module = filled(Spare())
    parts = PatientGradients(module, RULE).clipped_sum(losses_of(module), numbers(3, 4), weights=torch.ones(3))
    assert [bool(part.any()) for part in parts] == [True, True, False, False, False, False]
