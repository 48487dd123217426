"""The private gradient: each patient's gradient cut to one length, all summed, and noise added once.

One forward and one backward pass serve the real and the fake records together. What passes by the layers gives
each patient's length, the length gives the patient's factor, and one ordinary weight gradient of the derivatives
times their factors is the clipped sum (Abadi et al. 2016, "Deep learning with differential privacy", algorithm
1, computed as in Bu et al. 2023, "Differentially private optimization on large model at small cost").
"""

# torch annotates a part of its functions only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wardgan import check
from wardgan.errors import PlanError
from wardgan.privacy.books import Book, Losses, keep_books, prove_separate
from wardgan.privacy.layers import private_layers, squared_norms, squared_norms_of_patients, summed_gradients
from wardgan.rng import Seed


@dataclass(frozen=True)
class PrivateStep:
    """What must not change between the steps of one fit.

    Attributes:
        clip_norm: Longest gradient of one patient, over all parameters together (C).
        noise_multiplier: Noise in units of `clip_norm`; solved by the plan.
        expected_batch: Sampling rate times the declared population, never the size of a drawn batch (Rule P8).

    Raises:
        PlanError: There is no noise.
        UsageError: A value is not a finite number greater than 0.

    Example:
        >>> PrivateStep(clip_norm=1.0, noise_multiplier=0, expected_batch=1000.0)
        Traceback (most recent call last):
        wardgan.errors.PlanError: noise_multiplier=0 gives no privacy; without privacy, use ordinary gradients.
    """

    clip_norm: float
    noise_multiplier: float
    expected_batch: float

    def __post_init__(self) -> None:
        if not self.noise_multiplier:
            given = self.noise_multiplier
            raise PlanError(f"noise_multiplier={given!r} gives no privacy; without privacy, use ordinary gradients.")
        check.positive(noise_multiplier=self.noise_multiplier)
        check.positive(clip_norm=self.clip_norm, expected_batch=self.expected_batch)


class PatientGradients:
    """The gradients of a network, patient by patient, cut to one length.

    Attributes:
        rule: Clip norm, noise and denominator of the fit.
        parameters: What is learned, in the order of `module.parameters()`.

    Raises:
        PlanError: The network has a layer that cannot be trained privately.
    """

    def __init__(self, module: nn.Module, rule: PrivateStep) -> None:
        self.rule = rule
        self._layers = private_layers(module)
        self.parameters = [parameter for layer in self._layers.values() for parameter in layer.parameters()]
        self._proven = False

    def clipped_sum(
        self, losses_of: Losses, records: Tensor, *, weights: Tensor, patients: Tensor | None = None
    ) -> list[Tensor]:
        """Gives `sum_i w_i min(1, C / |g_i|) g_i`, one tensor for each parameter, without noise.

        A patient whose gradient is not finite counts as zero.

        Args:
            losses_of: Calls the network on records and gives one loss for each, shape (records,). Each loss must
                depend on its own record only. The first call tries this out, with five more calls.
            records: Real and fake records; the first axis is records.
            weights: w_i of each patient, shape (patients,); without `patients`, each record is a patient.
            patients: Whose record it is, whole numbers that index `weights`, shape (records,). The gradients of
                one patient's records are summed before the one clip (Rule P1). Exact, but slow.

        Returns:
            Tensors shaped as `parameters`.

        Raises:
            PlanError: A loss depends on several records, a layer is used twice, or the network overwrites arrays.
        """
        records = records.detach()
        self._proven = self._proven or prove_separate(self._layers, losses_of, records)
        with exact_sums():
            return self._clipped(losses_of, records, weights, patients)

    def _clipped(self, losses_of: Losses, records: Tensor, weights: Tensor, patients: Tensor | None) -> list[Tensor]:
        books = keep_books(self._layers, losses_of, records)
        squared = sum((_squared_norms(book, patients, len(weights)) for book in books), torch.zeros_like(weights))
        factors, counted = weights * clip_factors(squared, self.rule.clip_norm), torch.isfinite(squared)
        if patients is not None:
            factors, counted = factors[patients], counted[patients]
        if not bool(counted.all()):
            books = [Book(book.layer, _rows(book.a, counted), _rows(book.g, counted)) for book in books]
        sums: dict[int, list[Tensor]] = {}
        while books:  # the arrays of a layer are freed once they are summed
            book = books.pop()
            sums[id(book.layer)] = summed_gradients(book.layer, book.a, book.g, factors.to(book.g.dtype))
        return [
            gradient
            for layer in self._layers.values()
            for gradient in sums.get(id(layer)) or [torch.zeros_like(parameter) for parameter in layer.parameters()]
        ]


@contextmanager
def exact_sums() -> Generator[None]:
    """Keeps a GPU from cutting numbers to ten bits in sums whose lengths were computed with all of them."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def private_gradient(
    gradients: PatientGradients,
    losses_of: Losses,
    real: Tensor,
    *,
    mask: Tensor,
    fake: Tensor | None = None,
    patients: Tensor | None = None,
    seed: Seed,
    step: int,
) -> None:
    """Writes the private gradient of one step into `.grad`, replacing what was there, for a torch optimiser.

    Real patients count 1 / expected batch, fakes 1 / number of fakes. Gradients of terms that touch no patient
    (penalties on fakes) are added to `.grad` afterwards.

    Neighbours: add or remove one patient with all records. Sensitivity: clip_norm / expected_batch, of the real
    part alone, since each fake is clipped alone (Rule P7). Event: one Gaussian mechanism with `noise_multiplier`
    on one Poisson batch; the caller bills it before the call. Not protected: the losses themselves, which are
    not to be shown, and the time the step takes.

    Args:
        gradients: The network and the rule.
        losses_of: Gives one loss for each record of `real` followed by `fake`.
        real: A padded Poisson batch; the first axis is records.
        mask: True for records that were drawn, False for padding, which contributes exactly zero; (real records,).
        fake: Generated records; as many as wanted, they cost nothing.
        patients: Whose record it is, whole numbers in [0, number of real records), if patients have several.
        seed: Where the noise comes from: `Seed.secret()`, or a replayable seed in a rehearsal.
        step: Number of the step; noise is drawn once for it, over all parameters.
    """
    records = real if fake is None else torch.cat([real, fake])
    fakes = len(records) - len(real)
    weights = torch.cat([real_weights(mask, gradients.rule), fake_weights(fakes, mask.device)])
    if patients is not None:
        weights, patients = _weights_of_patients(mask, patients, weights, gradients.rule)
    clipped = gradients.clipped_sum(losses_of, records, weights=weights, patients=patients)
    noisy = add_noise(clipped, noise_sd(gradients.rule), seed, step)
    for parameter, gradient in zip(gradients.parameters, noisy, strict=True):
        parameter.grad = gradient


def clip_factors(squared_norms: Tensor, clip_norm: float) -> Tensor:
    """Gives `min(1, C / |g_i|)`, and 0 where the length is not finite, shape (patients,)."""
    return torch.where(squared_norms.isfinite(), (clip_norm / squared_norms.sqrt()).clamp(max=1), 0)


def real_weights(mask: Tensor, rule: PrivateStep) -> Tensor:
    """Gives 1 / expected batch for drawn records and 0 for padding, shape (real records,) in float64."""
    return mask.double() / rule.expected_batch


def fake_weights(fakes: int, device: torch.device) -> Tensor:
    """Gives 1 / number of fakes for each of them, shape (fakes,) in float64."""
    return torch.full((fakes,), 1 / max(fakes, 1), dtype=torch.float64, device=device)


def noise_sd(rule: PrivateStep) -> float:
    """Gives the standard deviation of the noise in each coordinate of the gradient."""
    return rule.noise_multiplier * rule.clip_norm / rule.expected_batch


def add_noise(gradients: Sequence[Tensor], sd: float, seed: Seed, step: int) -> list[Tensor]:
    """Gives the gradients with noise: one flat draw over all of them, added in float64 before the cast."""
    flat = torch.cat([gradient.flatten() for gradient in gradients])  # (coordinates,)
    noisy = torch.from_numpy(seed.noisy(flat.cpu().numpy(), sd, "noise", step)).to(flat.device)
    parts = noisy.split([gradient.numel() for gradient in gradients])
    return [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]


def _squared_norms(book: Book, patients: Tensor | None, count: int) -> Tensor:
    if patients is None:
        return squared_norms(book.layer, book.a, book.g)
    return squared_norms_of_patients(book.layer, book.a, book.g, patients, count)


def _rows(values: Tensor, counted: Tensor) -> Tensor:
    # 0 times infinity is not 0: what does not count is taken out of both sides of the product.
    return torch.where(counted.view(-1, *[1] * (values.ndim - 1)), values, 0)


def _weights_of_patients(mask: Tensor, patients: Tensor, weights: Tensor, rule: PrivateStep) -> tuple[Tensor, Tensor]:
    """Gives one weight for each patient and each fake; padding belongs to one more patient, of weight 0."""
    rows = len(mask)
    everyone = torch.ones(rows, dtype=torch.bool, device=mask.device)
    nobody = weights.new_zeros(1)
    fakes = torch.arange(len(weights) - rows, device=mask.device) + rows + 1
    owners = torch.cat([torch.where(mask, patients, rows), fakes])
    return torch.cat([real_weights(everyone, rule), nobody, weights[rows:]]), owners
