"""Which weights are kept on the way, also when a run stops and goes on."""

import pytest
import torch
from torch import nn

from wardgan.models.candidates import Candidates
from wardgan.models.verdicts import alone
from wardgan.select.choice import Choice


def marked(number):
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, float(number))
    return layer


def kept(found):
    return [round(maker.weight.item()) for maker in found.makers], [round(one.weight.item()) for one in found.judges]


def test_each_candidate_has_the_weights_of_its_step():
    found = Candidates(Choice(candidates=4), 16, marked(0), marked(0))
    for step in range(1, 17):
        found.look(step, marked(step), marked(100 + step))
    assert found.steps == (10, 12, 14, 16)
    assert kept(found) == ([10, 12, 14, 16], [110, 112, 114, 116])
    found.close(marked(99), marked(99))
    assert kept(found)[0] == [10, 12, 14, 16]


def test_a_run_that_goes_on_keeps_what_it_has_and_what_was_lost_is_made_up_for():
    found = Candidates(Choice(candidates=4), 16, marked(0), marked(0))
    found.look(10, marked(10), marked(10))
    again = Candidates(Choice(candidates=4), 16, marked(0), marked(0))
    for mine, old in zip(again.modules, found.modules, strict=True):
        mine.load_state_dict(old.state_dict())
    again.go_on(10)
    again.look(15, marked(15), marked(15))
    assert kept(again)[0] == [10, 15, 15, 0]
    again.close(marked(15), marked(15))
    assert kept(again)[0] == [10, 15, 15, 15]


def test_without_a_choice_nothing_is_kept():
    found = Candidates(None, 16, marked(0), marked(0))
    found.go_on(16)
    found.look(16, marked(1), marked(1))
    found.close(marked(1), marked(1))
    assert found.modules == ()
    assert found.steps == ()


def test_what_is_kept_drops_no_units():
    found = Candidates(Choice(candidates=2), 4, marked(0), nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1)))
    assert not any(judge.training for judge in found.judges)


def test_each_patient_is_judged_alone():
    torch_rows = torch.linspace(-3, 3, 70).reshape(35, 2)
    seen = []

    class Watched(nn.Module):
        def forward(self, rows):
            seen.append(len(rows))
            return rows.sum(dim=1, keepdim=True)

    found = alone([Watched(), Watched()], torch_rows.numpy())
    assert set(seen) == {1}
    assert found.shape == (35, 2)
    assert ((found > 0) & (found < 1)).all()
    assert found[0, 0] == pytest.approx(float(torch.sigmoid(torch_rows[0].sum())))
    assert (alone([Watched()], torch_rows.numpy()[5:])[:, 0] == found[5:, 0]).all()
