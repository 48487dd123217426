"""Checkpoints of a training: arrays in one file that stays on site, written beside and renamed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn, optim

from wardgan import files
from wardgan.errors import FormatError
from wardgan.models.base import CHECKPOINT


def save(folder: Path | None, step: int, modules: Sequence[nn.Module], optimisers: Sequence[optim.Optimizer]) -> None:
    """Writes networks and optimisers after a step; does nothing without a folder."""
    if folder is None:
        return
    arrays = {"step": np.array(step)}
    for at, module in enumerate(modules):
        arrays |= {f"m{at}/{name}": tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
    for at, optimiser in enumerate(optimisers):
        for number, state in optimiser.state_dict()["state"].items():
            arrays |= {f"o{at}/{number}/{name}": torch.as_tensor(value).cpu().numpy() for name, value in state.items()}
    # For its owner alone: it holds discriminators, which have seen patients.
    with files.new_file(folder / CHECKPOINT, force=True, mode=0o600) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(folder: Path | None, modules: Sequence[nn.Module], optimisers: Sequence[optim.Optimizer]) -> int:
    """Reads the last checkpoint into networks and optimisers; gives its step, 0 if there is none.

    Raises:
        FormatError: It is damaged, or belongs to networks of another size.
    """
    path = None if folder is None else folder / CHECKPOINT
    if path is None or not path.exists():
        return 0
    try:
        return _read(path, modules, optimisers)
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, BadZipFile) as error:
        raise FormatError(f"checkpoint={str(path)!r} is not one of this fit: {type(error).__name__}.") from error


def _read(path: Path, modules: Sequence[nn.Module], optimisers: Sequence[optim.Optimizer]) -> int:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        for at, module in enumerate(modules):
            module.load_state_dict({name: torch.from_numpy(arrays[f"m{at}/{name}"]) for name in module.state_dict()})
        for at, optimiser in enumerate(optimisers):
            whole = optimiser.state_dict()
            names = [name.split("/") for name in arrays.files if name.startswith(f"o{at}/")]
            whole["state"] = {
                int(number): {
                    key: torch.from_numpy(np.asarray(arrays[f"o{at}/{number}/{key}"]))
                    for _, n, key in names
                    if n == number
                }
                for number in {number for _, number, _ in names}
            }
            optimiser.load_state_dict(whole)
        return int(arrays["step"])
