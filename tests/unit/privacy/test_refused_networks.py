"""Networks and losses for which a clip by patient would not be one are refused, with the layer's name."""

from __future__ import annotations

import pytest
import torch
from critics import RULE, critic, filled, losses_of, numbers
from torch import Tensor, nn
from torch.nn import functional

from wardgan.errors import PlanError
from wardgan.privacy.clip import PatientGradients


class Own(nn.Linear):
    """Not known, even if it is nearly a linear layer."""


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))


def hooked() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda module, given, out: out)
    return layer


def frozen() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.weight.requires_grad_(False)
    return layer


def normed() -> nn.Module:
    return torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.BatchNorm1d(4, affine=False, track_running_stats=False),
        nn.BatchNorm2d(4),
        nn.LayerNorm(4),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm1d(4),
        nn.Softmax(dim=0),
        nn.Embedding(4, 4),
        nn.PReLU(),
        nn.LSTM(4, 4),
        nn.MultiheadAttention(4, 2),
        nn.ConvTranspose1d(4, 4, 3),
        nn.Conv3d(4, 4, 3),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.ReLU(inplace=True),
        Own(4, 4),
        Scaled(),
        hooked(),
        frozen(),
        normed(),
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_are_not_known_are_refused_by_name(layer):
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh(), layer))
    with pytest.raises(PlanError, match=r"'1\.1"):
        PatientGradients(module, RULE)


def test_shared_parameters_are_refused():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    with pytest.raises(PlanError, match="same parameter"):
        PatientGradients(module, RULE)


def test_a_network_without_layers_is_refused():
    with pytest.raises(PlanError, match="nothing to learn"):
        PatientGradients(nn.Sequential(nn.ReLU(), nn.Flatten()), RULE)


def refusal(module: nn.Module, losses, records: Tensor | None = None) -> str:
    records = numbers(6, 4) if records is None else records
    with pytest.raises(PlanError) as caught:
        PatientGradients(module, RULE).clipped_sum(losses, records, weights=torch.ones(len(records)))
    return str(caught.value)


def test_a_layer_that_is_used_twice_is_refused():
    module = filled(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)))
    assert "'0' must be used once" in refusal(module, lambda x: module[1](module[0](module[0](x)))[:, 0])


@pytest.mark.parametrize(
    "mix",
    [
        lambda out: out - out.mean(),
        lambda out: out - out.mean().detach(),
        lambda out: out / (1 + out.detach().std()),
        lambda out: functional.softplus(out - out.flip(0)),  # relativistic pairs
        lambda out: torch.cat([out[:3], out[3:] - out[:3].mean()]),  # only the fakes see the others
        lambda out: functional.batch_norm(out[:, None], None, None, training=True)[:, 0],
    ],
)
def test_losses_that_mix_records_are_refused(mix):
    module = critic()
    assert "mixes records" in refusal(module, lambda x: mix(module(x)[:, 0]))


def test_a_module_of_ones_own_that_mixes_records_is_refused():
    class Spread(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x.std(0).expand(len(x), -1)], 1)

    module = filled(nn.Sequential(nn.Linear(4, 4), Spread(), nn.Linear(8, 1)))
    assert "mixes records" in refusal(module, losses_of(module))


def test_a_gradient_penalty_is_refused():
    module = critic()

    def losses(x: Tensor) -> Tensor:
        x = x.requires_grad_()
        out = module(x)[:, 0]
        (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        return out + slope.square().sum(1)

    assert "gradient penalty" in refusal(module, losses)


@pytest.mark.parametrize(
    "losses",
    [
        lambda module, x: module(x)[:, 0] * module[2].weight.sum(),
        lambda module, x: functional.linear(module[1](module[0](x)), module[2].weight)[:, 0],
        lambda module, x: module[2].forward(module[1](module[0](x)))[:, 0],
    ],
)
def test_parameters_outside_the_call_of_their_layer_are_refused(losses):
    module = critic()
    assert "outside the call of their layer" in refusal(module, lambda x: losses(module, x))


@pytest.mark.parametrize("side", [0, 1])
def test_what_is_overwritten_is_refused(side):
    module = filled(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)))

    def losses(x: Tensor) -> Tensor:
        hidden = module[0](x)
        given = hidden * 2
        out = module[1](given)
        (out if side else given).mul_(3)
        return out[:, 0]

    # What goes into the second layer, or what comes out of it. Torch itself may be the first to refuse.
    assert "is overwritten later" in refusal(module, losses)


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (lambda module, x: module(x)[:, 0].mean(), "one loss for each"),
        (lambda module, x: module(x), "one loss for each"),
        (lambda module, x: x.sum(1), "do not depend on the network"),
        (lambda module, x: module(x).detach()[:, 0], "do not depend on the network"),
        (lambda module, x: module(x.repeat(2, 1))[:6, 0], "on all records"),
    ],
)
def test_losses_that_make_no_sense_are_refused(losses, reason):
    module = critic()
    assert reason in refusal(module, lambda x: losses(module, x))


def test_gradients_that_are_switched_off_are_refused():
    module = critic()

    def losses(x: Tensor) -> Tensor:
        with torch.no_grad():
            hidden = module[1](module[0](x))
        return module[2](hidden)[:, 0]

    assert "with grad on" in refusal(module, losses)


def test_dropout_is_no_mixing():
    module = filled(nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1)))
    with torch.random.fork_rng():
        gradients = PatientGradients(module, RULE)
        parts = gradients.clipped_sum(losses_of(module), numbers(6, 4), weights=torch.ones(6))
    assert any(bool(part.any()) for part in parts)
