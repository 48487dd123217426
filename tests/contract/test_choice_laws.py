"""The laws of families whose weights are chosen: each way of choosing, on small cases."""

import json
from dataclasses import replace

import families
import numpy as np
import pandas as pd
import pytest
from families import BUDGET, SCHEMAS, cohort

import wardgan as wg
from wardgan.errors import BudgetError, DataError
from wardgan.models.base import CHECKPOINT
from wardgan.models.candidates import Candidates
from wardgan.privacy.ledger import Ledger
from wardgan.schema.read import examine
from wardgan.select import decide, score
from wardgan.select.choice import CHOICE, Choice
from wardgan.select.score import Recognition

WAYS = {
    "noisy-max": Choice("noisy-max", candidates=3, weight=0.05),
    "top-k": Choice("top-k", candidates=3, k=2),
    "boosting": Choice("boosting", candidates=3, k=2, rounds=5),
}
BASES = {
    "tabgan": wg.TabganConfig(steps=60, width=16, noise_inputs=4),
    "acgan": wg.AcganConfig(steps=4, dense=8, channels=2, latent=8),
}
# Each way has its own kind of cohort, and acgan one way: what takes long is to solve the noise of a plan.
KINDS = {"noisy-max": "table", "top-k": "dated", "boosting": "ragged"}
BUDGETS = {"tabgan": BUDGET, "acgan": wg.Budget(1.0)}
CASES = [*(("tabgan", way) for way in WAYS), ("acgan", "top-k")]


@pytest.fixture(autouse=True, scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decide, "_TAUGHT", 120)
        patch.setattr(score, "_TREES", 5)
        yield


def config(family, way):
    return replace(BASES[family], choice=WAYS[way])


def fitted(family, way, **how):
    return wg.fit(cohort(KINDS[way]), BUDGETS[family], family=config(family, way), **how)


@pytest.fixture(scope="module")
def trained():
    made = {}

    def make(family, way):
        if (family, way) not in made:
            made[family, way] = fitted(family, way)
        return made[family, way]

    return make


@pytest.mark.parametrize(("family", "way"), CASES)
def test_a_sample_obeys_the_schema(trained, family, way):
    frame = trained(family, way).generator.sample(300, seed=1)
    assert [str(one) for one in examine(frame, wg.Schema.from_dict(SCHEMAS[KINDS[way]])).findings] == []


@pytest.mark.parametrize(("family", "way"), CASES)
def test_p05_what_was_planned_is_what_was_spent(trained, family, way):
    ledger = trained(family, way).ledger
    assert {event.name: event.steps for event in ledger.events} == {one.name: one.steps for one in ledger.plan.events}
    assert ledger.plan.event(CHOICE).steps == WAYS[way].runs
    assert 0.9 * BUDGETS[family].epsilon < ledger.epsilon() <= BUDGETS[family].epsilon
    assert ledger.epsilon() <= ledger.epsilon_bound()
    assert ledger.unbilled == ()


@pytest.mark.parametrize(("family", "way"), CASES)
def test_the_same_seed_gives_the_same_patients_whatever_their_number(trained, family, way):
    generator = trained(family, way).generator
    one, more = generator.sample(50, seed=7), generator.sample(400, seed=7)
    pd.testing.assert_frame_equal(one, more.iloc[: len(one)])
    assert not one.equals(generator.sample(50, seed=8))


def test_a_replayed_fit_gives_the_same_bytes():
    one, two = (fitted("tabgan", "top-k", seed=5).generator for _ in range(2))
    assert one.network == two.network


@pytest.mark.parametrize("family", BASES)
def test_it_survives_the_file(trained, family, tmp_path):
    made = trained(family, "top-k")
    path = wg.release(made, tmp_path / "x.hgan", override="A. Tester: no dossier in a test")
    pd.testing.assert_frame_equal(wg.load(path).sample(60, seed=3), made.generator.sample(60, seed=3))
    assert families.CANARY_ID.encode() not in path.read_bytes()
    heavy = wg.load(path).sample(40, where={"weight": (90, 200)}, seed=1)
    assert heavy["weight"].between(90, 200).all()


@pytest.mark.parametrize(("family", "way"), [("tabgan", "boosting"), ("acgan", "top-k")])
def test_p12_no_discriminator_outlives_the_choice(family, way, tmp_path, monkeypatch):
    """Neither a file of the run folder nor the network holds a weight of one."""
    judges = []
    honest = Candidates.close

    def close(self, maker, judge):
        honest(self, maker, judge)
        judges.extend(judge for judge in self.judges)

    monkeypatch.setattr(Candidates, "close", close)
    made = fitted(family, way, run=tmp_path / "run")
    assert not (tmp_path / "run" / CHECKPOINT).exists()
    files = [path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()]
    assert len(judges) == 3
    for judge in judges:
        for tensor in judge.parameters():
            data = tensor.detach().numpy()
            if data.size > 3 and np.any(data):
                assert not any(bytes_in(data, one) for one in (*files, made.generator.network))


@pytest.mark.parametrize("met", ["loaded", "resumed"])
def test_p12_a_run_that_was_killed_at_its_very_end_keeps_no_discriminator(met, tmp_path, monkeypatch):
    """Between the generator and the end of the fit, or while a checkpoint was written."""
    with monkeypatch.context() as patch:
        patch.setattr("wardgan.models.fit.forget", lambda folder: None)
        fitted("acgan", "top-k", run=tmp_path / "run")
    checkpoint, half = tmp_path / "run" / CHECKPOINT, tmp_path / "run" / f".{CHECKPOINT}.0123456789abcdef.part"
    assert checkpoint.stat().st_mode & 0o077 == 0
    half.write_bytes(checkpoint.read_bytes())
    if met == "loaded":
        wg.Trained.load(tmp_path / "run")
    else:
        with pytest.raises(DataError, match="is finished"):
            fitted("acgan", "top-k", run=tmp_path / "run", resume=True)
    assert not checkpoint.exists()
    assert not half.exists()


def bytes_in(data, where):
    return data.tobytes() in where or data.astype(np.float16).tobytes() in where


@pytest.mark.parametrize(("family", "way"), [("tabgan", "noisy-max"), ("acgan", "top-k")])
def test_p05_a_fit_that_was_killed_after_its_choice_chooses_nothing_again(family, way, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    run, runs = tmp_path / "run", WAYS[way].runs
    with monkeypatch.context() as patch:
        patch.setattr(wg.Trained, "save", kill)
        with pytest.raises(Killed):
            fitted(family, way, run=run)
    chosen = [path.read_bytes() for path in sorted(run.glob("choice-of-weights-*.npy"))]
    assert chosen
    assert Ledger.resume(run / "ledger.jsonl").steps(CHOICE) == runs
    with monkeypatch.context() as patch:
        patch.setattr(Recognition, "scores", kill)
        made = fitted(family, way, run=run, resume=True)
    assert [path.read_bytes() for path in sorted(run.glob("choice-of-weights-*.npy"))] == chosen
    assert made.ledger.steps(CHOICE) == runs
    with pytest.raises(wg.WardganError, match="finished"):
        fitted(family, way, run=run, resume=True)


def test_p05_a_fit_that_was_killed_in_its_training_keeps_its_candidates(tmp_path):
    class Killed(BaseException):
        pass

    def kill(progress):
        if "discriminator" in progress.doing and progress.done >= 50:
            raise Killed

    with pytest.raises(Killed):
        fitted("tabgan", "top-k", run=tmp_path / "run", watch=kill)
    with np.load(tmp_path / "run" / CHECKPOINT) as arrays:
        held = {name.split("/")[0] for name in arrays.files if name.startswith("m")}
    assert len(held) == 4 + 2 * 3
    made = fitted("tabgan", "top-k", run=tmp_path / "run", resume=True)
    assert made.ledger.epsilon() <= BUDGET.epsilon
    assert made.ledger.steps("discriminator") == 60


def test_p05_a_choice_that_is_not_in_the_plan_is_not_made(monkeypatch):
    """A family that forgot to plan it could not choose."""
    honest = wg.TabganConfig.shares

    def forgets(self, layout, budget):
        return honest(replace(self, choice=None), layout, budget)

    monkeypatch.setattr(wg.TabganConfig, "shares", forgets)
    with pytest.raises(BudgetError, match=r"choice of weights.*not in the plan"):
        fitted("tabgan", "noisy-max")


@pytest.mark.parametrize(("family", "way"), [("tabgan", "noisy-max"), ("acgan", "boosting")])
def test_without_privacy_the_best_by_score_is_taken(family, way):
    made = wg.fit(cohort(), family=config(family, way), privacy="none", seed=1)
    again = wg.fit(cohort(), family=config(family, way), privacy="none", seed=1)
    assert made.generator.network == again.generator.network
    assert CHOICE in made.notes[-1]


def test_the_exact_number_of_patients_is_nowhere():
    made = wg.fit(cohort("ragged", patients=587), BUDGET, family=config("tabgan", "boosting"))
    said = [made.ledger.to_dict(), made.generator.schema.to_dict(), dict(made.generator.privacy), made.config]
    assert "587" not in json.dumps([*said, *made.notes])
    assert made.config["choice"]["how"] == "boosting"
