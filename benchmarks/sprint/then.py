"""The program of 2017 as it was coded, flaws and all. Nothing here is private, and nothing here is used by the package.

It is written anew from the layers, losses and settings that its public repository states, and from what Keras 2.0 did
with them. Patients enter as whole numbers of mm Hg, unscaled, without privacy in the same order in each epoch. A step
of the discriminator sees real and invented patients; one of the generator, twice as many invented ones. In its
"private" way there is one real patient in a step, drawn with replacement; the gradient of the real and the invented one
together is cut to `CLIP`, and gets noise of `NOISE` x `CLIP` squared: the square made the noise of the runs in the
public notebooks 10,000 times smaller than was stated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from benchmarks.sprint.trial import Part

CLIP: Final = 1e-4
NOISE: Final = 1.0
_LATENT: Final = 100
# Of Keras 2.0: what an answer is kept away from 0 and 1, and what the root in Adam's step is kept away from 0.
_SURE: Final = 1e-7
_TINY: Final = 1e-8
_BETAS: Final = (0.5, 0.999)
# Of an epoch: a step takes a stretch of it from a random place on, since to draw 1.9 million normals for each of
# millions of steps is a third of the time. Nothing here is private, so nothing hangs on its independence.
_POOL: Final = 1 << 24


@dataclass(frozen=True)
class Recipe:
    """Settings of a run.

    Attributes:
        batch: Real patients in a step.
        rate: Adam's learning rate.
        noise: Standard deviation of the noise on each number of the cut gradient; `None` leaves it uncut.
    """

    batch: int
    rate: float
    noise: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Epoch:
    """What an epoch left.

    Attributes:
        seen: Invented patients of its generator, by whom it is scored.
        part: Others, who are used if it is chosen.
        judge_loss: Mean loss of the discriminator's steps for the answer "real or not", as in the paper's figure.
        maker_loss: The same of the generator's steps.
    """

    seen: Part
    part: Part
    judge_loss: float
    maker_loss: float


OPEN: Final = Recipe(100, 2e-4, None)
PUBLISHED: Final = Recipe(1, 2e-5, NOISE * CLIP**2)
STATED: Final = Recipe(1, 2e-5, NOISE * CLIP)


class Generator(nn.Module):
    """Uniform numbers times an embedding of the arm, two dense layers, upsampling, two convolutions."""

    def __init__(self) -> None:
        """Makes the network."""
        super().__init__()
        self.embedding = nn.Embedding(2, _LATENT)
        self.dense = nn.Sequential(nn.Linear(_LATENT, 256), nn.ReLU(), nn.Linear(256, 384), nn.ReLU())
        self.wide, self.last = nn.Conv2d(32, 256, 5, padding=2), nn.Conv2d(256, 1, 4, stride=2, padding=1)
        _begun(self, normal=(self.embedding, self.wide, self.last))
        self.register_buffer("rows", _taps(2), persistent=False)
        self.register_buffer("columns", _taps(6), persistent=False)

    def forward(self, latent: Tensor, arms: Tensor) -> Tensor:
        """Gives patients of shape (patients, 3, 12)."""
        return self.last(torch.relu(self.widened(self.small(latent, arms))))[:, 0]

    def small(self, latent: Tensor, arms: Tensor) -> Tensor:
        """Gives what is upsampled, shape (patients, 32, 3, 4)."""
        return self.dense(latent * self.embedding(arms)).view(-1, 32, 3, 4)

    def widened(self, small: Tensor) -> Tensor:
        """Gives the first convolution of the upsampled picture, shape (patients, 256, 6, 24), with a third of the work.

        Cells that were copied from one are weighed together: a kernel of 3 x 3 for each of the 2 x 6 places among them.
        """
        kernel = torch.einsum("pak,qbl,oikl->opqiab", self.rows, self.columns, self.wide.weight)
        found = nn.functional.conv2d(small, kernel.reshape(-1, 32, 3, 3), padding=1)
        found = found.view(-1, 256, 2, 6, 3, 4).permute(0, 1, 4, 2, 5, 3).reshape(-1, 256, 6, 24)
        return found + self.wide.bias[:, None, None]


def _taps(copies: int) -> Tensor:
    """Gives which of 5 taps of a kernel meet which of 3 cells, for each place among its copies: (places, 3, 5)."""
    found = torch.zeros(copies, 3, 5)
    for place in range(copies):
        for tap in range(5):
            found[place, (place + tap - 2) // copies + 1, tap] = 1.0
    return found


class Discriminator(nn.Module):
    """Two convolutions, two dense layers, and two answers: real or not, and which arm."""

    def __init__(self) -> None:
        """Makes the network."""
        super().__init__()
        self.body = nn.Sequential(
            nn.ZeroPad2d((0, 1, 1, 1)), nn.Conv2d(1, 32, 3, stride=2), nn.LeakyReLU(0.3), nn.Dropout(0.3),
            nn.Conv2d(32, 64, 3, padding=1), nn.LeakyReLU(0.3), nn.Dropout(0.3),
            nn.Flatten(), nn.Linear(64 * 2 * 6, 1024), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(1024, 1024), nn.ReLU(),
        )  # fmt: skip
        self.real, self.arm = nn.Linear(1024, 1), nn.Linear(1024, 2)
        _begun(self)

    def losses(self, patients: Tensor, real: Tensor, arms: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the losses of both answers, which count alike; who is quite sure learns nothing, as in Keras."""
        seen = self.body(patients[:, None])
        judged = torch.sigmoid(self.real(seen)[:, 0]).clamp(_SURE, 1 - _SURE)
        classed = torch.softmax(self.arm(seen), 1).clamp(_SURE, 1 - _SURE)
        return nn.functional.binary_cross_entropy(judged, real), nn.functional.cross_entropy(classed.log(), arms)


def _begun(net: nn.Module, normal: tuple[nn.Module, ...] = ()) -> None:
    """Gives a network Keras' first weights: uniform, or normal and cut off at two deviations; no biases."""
    for part in net.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
    for part in normal:
        size = part.weight.shape
        spread = math.sqrt(2 / ((size[0] + size[1]) * math.prod(size[2:])))
        nn.init.trunc_normal_(part.weight, std=spread, a=-2 * spread, b=2 * spread)


class _Adam:
    """Adam as both programs had it: the number that keeps a root away from 0 is added before bias is taken out.

    With gradients that are cut to 1e-4 that number is not small.
    """

    def __init__(self, net: nn.Module, rate: float) -> None:
        self._inner = optim.Adam(net.parameters(), rate, betas=_BETAS, eps=_TINY, fused=True)
        self._steps = 0

    def zero_grad(self) -> None:
        self._inner.zero_grad()

    def step(self) -> None:
        self._steps += 1
        self._inner.param_groups[0]["eps"] = _TINY / math.sqrt(1 - _BETAS[1] ** self._steps)
        self._inner.step()


def epochs(train: Part, recipe: Recipe, *, count: int, seed: int, drawn: tuple[int, int]) -> Iterator[Epoch]:
    """Trains, and gives invented patients of each epoch's generator: arms by coin, numbers cut off behind the point.

    Args:
        train: Real patients.
        recipe: Settings.
        count: How many epochs; 500 in 2017.
        seed: Of everything, as then.
        drawn: How many patients of each are scored, and how many more are drawn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        maker, judge = Generator(), Discriminator()
        adams = [_Adam(net, recipe.rate) for net in (maker, judge)]
        values, arms = torch.from_numpy(train.values).float(), torch.from_numpy(train.arms)
        for _ in range(count):
            pool = None if recipe.noise is None else torch.randn(_POOL)
            losses = [
                (
                    _judge_step(maker, judge, adams[1], values[rows], arms[rows], recipe, pool),
                    _maker_step(maker, judge, adams[0], 2 * recipe.batch),
                )
                for rows in _batches(len(values), recipe.batch)
            ]
            judged, made = np.mean(losses, axis=0).tolist()
            yield Epoch(*(patients(maker, number) for number in drawn), judged, made)


def patients(maker: Generator, count: int) -> Part:
    """Gives invented patients as the notebooks made them: arms by coin, and what is behind the point cut off."""
    maker.eval()
    with torch.no_grad():
        latent, arms = _asked(count)
        found = maker(latent, arms).clamp(min=0).numpy()
    maker.train()
    return Part(found.astype(np.int64), arms.numpy())


def _batches(count: int, batch: int) -> Iterator[Tensor]:
    """Gives the rows of an epoch, as then: in their order, or for single patients drawn with replacement."""
    order = torch.randint(count, (count,)) if batch == 1 else torch.arange(count)
    return iter(order[: count // batch * batch].view(-1, batch))


def _asked(count: int) -> tuple[Tensor, Tensor]:
    return torch.rand(count, _LATENT) * 2 - 1, torch.randint(2, (count,))


def _judge_step(
    maker: Generator, judge: Discriminator, adam: _Adam, real: Tensor, arms: Tensor, recipe: Recipe,
    pool: Tensor | None,
) -> float:  # fmt: skip
    latent, wanted = _asked(len(real))
    with torch.no_grad():
        fake = maker(latent, wanted)
    adam.zero_grad()
    marks = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    judged, classed = judge.losses(torch.cat([real, fake]), marks, torch.cat([arms, wanted]))
    (judged + classed).backward()
    if recipe.noise is not None and pool is not None:
        cut([part.grad for part in judge.parameters() if part.grad is not None], recipe.noise, pool)
    adam.step()
    return float(judged.detach())


def cut(gradients: list[Tensor], noise: float, pool: Tensor) -> None:
    """Cuts gradients to `CLIP` together and adds noise, in place.

    Args:
        gradients: Of all weights.
        noise: Standard deviation.
        pool: Standard normals, more than there are weights.
    """
    size = sum(one.numel() for one in gradients)
    at = int(torch.randint(len(pool) - size, ()))
    factor = min(1.0, CLIP / max(float(torch.stack([one.norm() for one in gradients]).norm()), 1e-30))
    for one in gradients:
        one.mul_(factor).add_(pool[at : at + one.numel()].view_as(one), alpha=noise)
        at += one.numel()


def _maker_step(maker: Generator, judge: Discriminator, adam: _Adam, count: int) -> float:
    latent, arms = _asked(count)
    adam.zero_grad()
    for part in judge.parameters():
        part.requires_grad_(False)
    judged, classed = judge.losses(maker(latent, arms), torch.ones(count), arms)
    (judged + classed).backward()
    for part in judge.parameters():
        part.requires_grad_(True)
    adam.step()
    return float(judged.detach())


def weights(net: nn.Module) -> int:
    """Gives how many numbers a network has: 333,897 and 1,858,947 in 2017."""
    return sum(part.numel() for part in net.parameters())


def pooled(parts: list[Part]) -> Part:
    """Gives the patients of several generators together."""
    values: NDArray[np.int64] = np.concatenate([part.values for part in parts])
    return Part(values, np.concatenate([part.arms for part in parts]))
