"""The best network of a training without privacy is the one that held-out patients like best; a private one the last."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from anchors import anchor

import wardgan as wg
from wardgan.models.anchor.refiner import Refiner
from wardgan.models.marginal import train as marginal
from wardgan.models.pairs import fitting
from wardgan.models.pairs.best import Best
from wardgan.models.tabgan import train as tabgan
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.queries import PatientCount
from wardgan.privacy.records import Records
from wardgan.rng import Seed

FAMILY = wg.TabganConfig(steps=200, width=16, noise_inputs=4, steps_per_generator_step=1)


NAN = float("nan")


class Killed(BaseException):
    """A fit that ends in its midst."""


def refiner(value):
    made = Refiner(anchor(), width=4, noise_inputs=2)
    for weight in made.parameters():
        torch.nn.init.constant_(weight, value)
    return made


def weights(network):
    return torch.cat([each.flatten() for each in network.state_dict().values()]).tolist()


def cohort(patients=1000):
    numbers = np.random.default_rng(4)
    arm, low = numbers.random(patients) < 0.4, numbers.normal(0, 1, patients)
    frame = pd.DataFrame({"arm": arm, "x": 5 * low + 50, "y": 50 + 5 * low**2 + 3 * arm}).clip(0, 100)
    table = {
        "arm": {"kind": "flag", "label": True},
        "x": {"kind": "number", "low": 0, "high": 100}, "y": {"kind": "number", "low": 0, "high": 100},
    }  # fmt: skip
    schema = {"name": "curve", "population": patients, "table": table}
    return wg.read(frame.assign(arm=arm), wg.Schema.from_dict(schema))


def judged(monkeypatch, scores):
    """Lets a list of scores stand for the task; gives a list of the networks that were looked at, and of those used."""
    seen, used = [], []

    def task(network):
        seen.append(copy.deepcopy(network))
        return scores[len(seen) - 1]

    honest = tabgan.refined_network
    monkeypatch.setattr(tabgan, "task_of", lambda held, *_: None if held is None else task)
    monkeypatch.setattr(
        tabgan, "refined_network", lambda network, *rest: used.append(network) or honest(network, *rest)
    )
    return seen, used


@pytest.mark.parametrize(
    ("scores", "kept", "idle"),
    [
        ([0.6, 0.7, 0.65, 0.7], 1, 2),
        ([0.6, 0.5], 0, 1),
        ([0.5, 0.6], 1, 0),
        ([NAN] * 3, 2, 0),
        ([0.6, NAN], 0, 1),
        ([NAN, 0.5, NAN, 0.4], 1, 2),
    ],
)
def test_the_best_is_kept_and_of_equals_the_first(scores, kept, idle):
    given = iter(scores)
    best = Best(lambda _: next(given), refiner(0.5))
    looks = [best.look(refiner(float(at))) for at in range(len(scores))]
    np.testing.assert_array_equal(looks, scores)
    assert weights(best.kept) == weights(refiner(float(kept)))
    assert best.idle == idle


def test_without_a_task_the_newest_is_the_best():
    best = Best(None, refiner(0.5))
    assert [best.look(refiner(float(at))) for at in range(3)] == [None] * 3
    assert weights(best.kept) == weights(refiner(2.0))


def test_what_is_kept_does_not_change_with_the_training():
    network = refiner(1.0)
    best = Best(lambda _: 0.6, network)
    best.look(network)
    torch.nn.init.zeros_(next(network.parameters()))
    assert weights(best.kept) == weights(refiner(1.0))


@pytest.mark.parametrize("at", [0, 2, 4])
def test_tabgan_without_privacy_takes_the_weights_of_the_best_look(monkeypatch, at):
    scores = [0.5] * 5
    scores[at] = 0.6
    seen, used = judged(monkeypatch, scores)
    wg.fit(cohort(), None, family=FAMILY, privacy="none", seed=2)
    assert len(seen) == 5  # the anchor alone, then each block of 50 steps
    assert weights(used[-1]) == weights(seen[at])
    assert weights(seen[0]) != weights(seen[1])


def test_a_private_tabgan_looks_at_no_hold_out_and_takes_the_last_weights(monkeypatch):
    seen, used = judged(monkeypatch, [])
    last = []
    honest = tabgan.average
    monkeypatch.setattr(tabgan, "average", lambda mean, *rest: last.append(mean) or honest(mean, *rest))
    wg.fit(cohort(), wg.Budget(epsilon=3.0), family=FAMILY, seed=2)
    assert seen == []
    assert weights(used[-1]) == weights(last[-1])


def test_marginal_without_privacy_takes_the_weights_of_the_best_look(monkeypatch):
    scores, seen, used = [0.5, 0.6, 0.55, 0.5, 0.52], [], []
    monkeypatch.setattr(
        fitting, "task_of", lambda *_: lambda network: seen.append(copy.deepcopy(network)) or scores[len(seen) - 1]
    )
    honest = marginal.refined_network
    monkeypatch.setattr(
        marginal, "refined_network", lambda network, *rest: used.append(network) or honest(network, *rest)
    )
    family = wg.MarginalConfig(steps=10, width=16, noise_inputs=4)
    wg.fit(cohort(), None, family=family, privacy="none", seed=2)
    assert len(seen) == 5  # three without getting better
    assert weights(used[-1]) == weights(seen[1])


@pytest.mark.parametrize("family", [FAMILY, wg.MarginalConfig(steps=10, width=16, noise_inputs=4)])
def test_the_anchor_does_not_see_who_is_held_out(monkeypatch, family):
    told, asked = [], []
    module = tabgan if family is FAMILY else marginal
    honest, measure = module.split, module.measure_anchor
    monkeypatch.setattr(module, "split", lambda *given: told.append(honest(*given)) or told[-1])
    monkeypatch.setattr(
        module, "measure_anchor", lambda records, **more: asked.append(records) or measure(records, **more)
    )
    wg.fit(cohort(), None, family=family, privacy="none", seed=2)
    ((rest, (units, _)),) = told
    assert asked == [rest]
    assert len(units) == 100
    assert rest.measure("count", PatientCount())[0] == 900


def test_who_is_held_out_are_not_the_first_rows():
    """Files are often sorted: by date, by site, by outcome."""
    records = Records(cohort(), Ledger(None), noise=Seed(1))
    everybody, _ = records.peek("test")
    _, units, _ = records.held_out(0.1, Seed(1).stream("hold-out"))
    places = [int(np.flatnonzero((everybody == one).all(axis=1))[0]) for one in units]
    assert len(set(places)) == 100
    assert np.ptp(places) > 800
    assert abs(np.mean(places) - 500) < 100


@pytest.mark.parametrize("stop", [50, 150])
def test_a_stopped_fit_without_privacy_goes_on_with_its_best(tmp_path, stop):
    whole = wg.fit(cohort(), None, family=FAMILY, privacy="none", seed=2)

    def watch(progress):
        if progress.done == stop:
            raise Killed

    run = tmp_path / "run"
    with pytest.raises(Killed):
        wg.fit(cohort(), None, family=FAMILY, privacy="none", seed=2, run=run, watch=watch)
    again = wg.fit(cohort(), None, family=FAMILY, privacy="none", seed=2, run=run, resume=True)
    assert again.generator.network == whole.generator.network
