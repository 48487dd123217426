"""What discriminators say of patients, each patient judged alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def alone(judges: Sequence[nn.Module], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gives for each patient and discriminator the chance that the patient is real, shape (patients, judges).

    Patients are judged one by one: in a batch the last digits of an answer may hang on who else is in it, and one
    patient more could then move the others' answers, too.

    Args:
        judges: Discriminators that do not drop units; their first output is the one for real or fake.
        rows: What they see, shape (patients, features).
    """
    found = np.empty((len(rows), len(judges)))
    given = torch.empty(1, rows.shape[1])
    with torch.no_grad():
        for at, row in enumerate(torch.from_numpy(rows)):
            given[0] = row
            for place, judge in enumerate(judges):
                found[at, place] = float(judge(given)[0, 0])
    return 1 / (1 + np.exp(-np.clip(found, -60, 60)))
