"""Checkpoints: everything comes back, or the run stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn, optim

from wardgan.errors import FormatError, OutputError
from wardgan.models import checkpoint
from wardgan.models.base import CHECKPOINT
from wardgan.models.weights import average, fall, one_thread, weights_state
from wardgan.rng import Seed


def made(width=4, seed=1):
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(weights_state(Seed(seed)))
        module = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 1))
        module.register_buffer("kept", torch.arange(3.0) * seed)
    return module, optim.Adam(module.parameters(), 1e-2, betas=(0.5, 0.999))


def train(module, adam, steps):
    for number in range(steps):
        adam.zero_grad()
        rows = torch.from_numpy(Seed(3).stream("rows", number).standard_normal((8, 3)).astype(np.float32))
        module(rows).square().mean().backward()
        adam.step()


def weights(module):
    return torch.cat([each.flatten() for each in module.state_dict().values()]).tolist()


def test_training_goes_on_as_if_nothing_had_happened(tmp_path):
    whole, whole_adam = made()
    train(whole, whole_adam, 10)
    first, first_adam = made()
    train(first, first_adam, 6)
    checkpoint.save(tmp_path, 6, (first,), (first_adam,))
    again, again_adam = made(seed=2)
    assert checkpoint.load(tmp_path, (again,), (again_adam,)) == 6
    assert weights(again) == weights(first)
    for number in range(6, 10):
        again_adam.zero_grad()
        rows = torch.from_numpy(Seed(3).stream("rows", number).standard_normal((8, 3)).astype(np.float32))
        again(rows).square().mean().backward()
        again_adam.step()
    np.testing.assert_allclose(weights(again), weights(whole), rtol=1e-6)


def test_several_networks_keep_apart(tmp_path):
    one, other = made(seed=1), made(width=5, seed=2)
    train(*one, 2)
    train(*other, 3)
    checkpoint.save(tmp_path, 3, (one[0], other[0]), (one[1], other[1]))
    again, another = made(seed=8), made(width=5, seed=9)
    checkpoint.load(tmp_path, (again[0], another[0]), (again[1], another[1]))
    assert (weights(again[0]), weights(another[0])) == (weights(one[0]), weights(other[0]))


def test_no_folder_and_no_checkpoint_mean_a_new_start(tmp_path):
    module, adam = made()
    checkpoint.save(None, 5, (module,), (adam,))
    assert checkpoint.load(None, (module,), (adam,)) == 0
    assert checkpoint.load(tmp_path, (module,), (adam,)) == 0


def test_a_checkpoint_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    module, adam = made()
    checkpoint.save(tmp_path, 5, (module,), (adam,))

    def full(*_args, **_how):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OutputError, match="No space"):
        checkpoint.save(tmp_path, 6, (module,), (adam,))
    assert checkpoint.load(tmp_path, (module,), (adam,)) == 5


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"not a checkpoint"])
def test_a_damaged_checkpoint_stops_the_run(tmp_path, damage):
    (tmp_path / CHECKPOINT).write_bytes(damage)
    module, adam = made()
    with pytest.raises(FormatError, match="not one of this fit"):
        checkpoint.load(tmp_path, (module,), (adam,))


def test_a_truncated_checkpoint_stops_the_run(tmp_path):
    module, adam = made()
    checkpoint.save(tmp_path, 5, (module,), (adam,))
    data = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError):
        checkpoint.load(tmp_path, (module,), (adam,))


def test_a_checkpoint_of_other_networks_stops_the_run(tmp_path):
    module, adam = made()
    checkpoint.save(tmp_path, 5, (module,), (adam,))
    wide, wide_adam = made(width=9)
    with pytest.raises(FormatError, match="RuntimeError"):
        checkpoint.load(tmp_path, (wide,), (wide_adam,))
    with pytest.raises(FormatError, match="KeyError"):
        checkpoint.load(tmp_path, (module, made()[0]), (adam,))


def test_p18_a_checkpoint_runs_no_code(tmp_path):
    np.savez(tmp_path / CHECKPOINT, step=np.array([object()], dtype=object), allow_pickle=True)
    module, adam = made()
    with pytest.raises(FormatError):
        checkpoint.load(tmp_path, (module,), (adam,))


def test_first_weights_follow_the_seed_and_nothing_else():
    assert weights(made(seed=1)[0]) == weights(made(seed=1)[0]) != weights(made(seed=2)[0])


def test_the_running_mean_and_the_learning_rate():
    one, other = nn.Linear(1, 1), nn.Linear(1, 1)
    with torch.no_grad():
        one.weight.fill_(1.0)
        other.weight.fill_(3.0)
    average(one, other, 0.9)
    assert one.weight.item() == pytest.approx(1.2)
    adam = optim.Adam(one.parameters(), 1.0)
    rates = []
    for done in (0.0, 0.5, 0.75, 1.0):
        fall(adam, 2.0, done)
        rates.append(adam.param_groups[0]["lr"])
    assert rates == [2.0, 2.0, 1.0, 0.0]


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before
