"""A fit of imagegan: what is billed, what is seen of patients, and what is left of it (Rules P4, P5, P9, P12 and P18)."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import image_family_kit as kit
import wardgan as wg
from wardgan.errors import DataError, WardganError
from wardgan.models.base import CHECKPOINT, Trained
from wardgan.models.imagegan import train as module
from wardgan.models.imagegan.config import CLASSES, DISCRIMINATOR, GRAIN, GREYS, PRODUCTS, SUMS
from wardgan.models.imagegan.nets import Judge
from wardgan.privacy import training as training_module
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.privacy.training import PrivateTraining

COHORT = kit.cohort()
MASKED = kit.cohort(mask=True)


def fit(cohort=COHORT, *, private=True, family=kit.TINY, seed=3, **how):
    budget, privacy = (kit.BUDGET, "private") if private else (None, "none")
    return wg.fit(cohort, budget, privacy=privacy, family=family, seed=seed, **how)


BOTH = pytest.mark.parametrize("private", [True, False], ids=["private", "open"])


@BOTH
@pytest.mark.parametrize("cohort", [COHORT, MASKED], ids=["plain", "masks"])
def test_a_fit_gives_a_generator_of_images(cohort, private):
    made = fit(cohort, private=private)
    batch = made.generator.images(20, seed=1)
    assert batch.pixels.shape == (20, *cohort.format.shape)
    assert np.abs(batch.pixels).max() <= 1
    assert set(batch.labels["finding"]) == {"benign", "malignant"}
    assert made.generator.family == "imagegan"
    assert made.config["waves"] == 2


@BOTH
def test_the_same_seed_gives_the_same_network(private):
    one, two, other = (fit(private=private, seed=seed).generator.network for seed in (3, 3, 4))
    assert one == two != other


@BOTH
def test_the_training_changes_the_network(private):
    still = replace(kit.TINY, open_steps=0, lr_generator=1e-12)
    assert fit(private=private).generator.network != fit(private=private, family=still).generator.network


def test_without_privacy_the_waves_are_those_of_the_images():
    """Without steps there are the waves alone, and their mean image is that of the class."""
    config = replace(kit.TINY, open_steps=0, waves=8, radius=1.0)
    generator = fit(private=False, family=config).generator
    weight = 1 / np.bincount(COHORT.owners)[COHORT.owners]
    for label, name in enumerate(("benign", "malignant")):
        mine = COHORT.classes == label
        mean = np.average(COHORT.pixels[mine], axis=0, weights=weight[mine])
        found = generator.images(1500, where={"finding": name}, seed=1).pixels.mean(axis=0)
        assert np.abs(found - mean).max() < 0.05


def test_p05_everything_planned_is_spent_and_nothing_else():
    ledger = fit().ledger
    assert {event.name: event.steps for event in ledger.events} == {
        **dict.fromkeys((CLASSES, SUMS, PRODUCTS, GRAIN, GREYS), 1), DISCRIMINATOR: 6,
    }  # fmt: skip
    assert ledger.unbilled == ()
    assert ledger.epsilon() <= kit.BUDGET.epsilon


def test_without_a_discriminator_none_is_billed_or_trained(monkeypatch):
    monkeypatch.setattr(Records, "image_training", lambda *_, **__: pytest.fail("asked for"))
    made = fit(family=replace(kit.TINY, discriminator=0))
    assert [event.name for event in made.ledger.events] == [CLASSES, SUMS, PRODUCTS, GRAIN, GREYS]
    # It draws the waves alone: whatever the networks' settings are, they have no part in it.
    other = fit(family=replace(kit.TINY, discriminator=0, width=5, noise_inputs=9))
    assert made.generator.network == other.generator.network
    assert made.generator.images(3, seed=1).pixels.std() > 0


def test_p08_the_discriminator_is_trained_as_planned(monkeypatch):
    asked = []
    honest = Records.image_training

    def spy(self, name, flat, **how):
        asked.append((name, how))
        return honest(self, name, flat, **how)

    monkeypatch.setattr(Records, "image_training", spy)
    fit()
    assert asked == [(DISCRIMINATOR, {
        "rate": 0.8, "steps": 6, "clip_norm": 1.0, "population": kit.POPULATION, "at_once": 2,
    })]  # fmt: skip


# --- Rule P9: what the generator sees ----------------------------------------------------------------------------------


def test_p09_a_private_fit_never_opens_images(monkeypatch):
    monkeypatch.setattr(Records, "open_images", lambda self: pytest.fail("opened"))
    fit()


def test_p09_a_private_training_asks_patients_for_gradients_alone():
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    whose = {call: getattr(call.func.value, "id", getattr(call.func.value, "attr", "")) for call in calls}
    asked = {call.func.attr for call in calls if whose[call] in ("records", "_training")}
    assert asked == {"open_images", "image_training", "gradient", "reserve", "go_on"}
    (private,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "_private"]
    assert "open_images" not in ast.unparse(private)


def test_p09_the_generator_learns_of_patients_by_the_waves_and_the_discriminator_only(monkeypatch):
    """With the same answers and a discriminator whose gradient is fixed, other patients make the same generator."""
    answers = {}
    honest = Records.measure

    def measure(self, name, query):
        return answers.setdefault(name, honest(self, name, query))

    def gradient(self, losses_of, fake, step):
        self._left -= 1
        for parameter in self._module.parameters():
            parameter.grad = 0.1 * torch.ones_like(parameter)

    monkeypatch.setattr(Records, "measure", measure)
    monkeypatch.setattr(PrivateTraining, "gradient", gradient)
    turned = replace(COHORT, pixels=-COHORT.pixels, labels={"finding": 1 - COHORT.labels["finding"]})
    one, two = (fit(cohort).generator.network for cohort in (COHORT, turned))
    assert one == two


def test_p09_generator_steps_judge_fakes_alone(monkeypatch):
    """The discriminator never judges a real image outside of the private gradient, not even to look."""
    known = {image.tobytes() for image in COHORT.pixels}
    inside, seen = [False], {True: 0, False: 0}
    honest, judge = PrivateTraining.gradient, Judge.forward

    def gradient(self, *args):
        inside[0] = True
        honest(self, *args)
        inside[0] = False

    def forward(self, images, classes):
        seen[inside[0]] += sum(image.tobytes() in known for image in images.detach().numpy())
        return judge(self, images, classes)

    monkeypatch.setattr(PrivateTraining, "gradient", gradient)
    monkeypatch.setattr(Judge, "forward", forward)
    fit()
    assert seen[False] == 0
    assert seen[True] > 0


def test_the_generator_takes_a_step_every_few_of_the_discriminator(monkeypatch):
    means = []
    honest = module.average
    monkeypatch.setattr(module, "average", lambda *args: (means.append(args[2]), honest(*args)))
    fit(family=replace(kit.TINY, ema=0.9))
    # The mean forgets its first weights, which have learned nothing: 1 + t by 10 + t, until that is the decay.
    assert means == [1 / 10, 2 / 11, 3 / 12]
    means.clear()
    fit(private=False, family=replace(kit.TINY, ema_open=0.2))
    assert means == [1 / 10, 2 / 11, 0.2, 0.2, 0.2, 0.2]


def test_the_generator_learns_to_please_the_discriminator(monkeypatch):
    """One that stays as it is gives better marks in the end, with privacy and without."""

    def still(self, losses_of, fake, step):
        self._left -= 1
        for parameter in self._module.parameters():
            parameter.grad = torch.zeros_like(parameter)

    marks = []

    def watched(train):
        def trained(config, source, run, players):
            def mark():
                with torch.no_grad():
                    images, classes = players.fakes(np.random.default_rng(0), 200)
                    return float(players.judge(images, classes).mean())

            before = mark()
            found = train(config, source, run, players)
            marks.append(mark() - before)
            return found

        return trained

    monkeypatch.setattr(PrivateTraining, "gradient", still)
    monkeypatch.setattr(module, "_judge_step", lambda *_, **__: None)
    for name in ("_private", "_open"):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    config = replace(kit.TINY, lr_generator=0.01, lr_open=0.01, open_steps=12, augment=False)
    fit(family=config)
    fit(private=False, family=config)
    assert len(marks) == 2
    assert min(marks) > 0


def test_real_images_are_told_from_fakes_by_the_sign():
    cohort = kit.cohort(4)
    judge = kit.randomised(Judge(cohort.format, classes=2, width=2), 1)
    flat = module._Flat(judge, cohort.format.shape)
    records = torch.cat([torch.randn(5, 64), torch.tensor([[0.0], [1], [1], [0], [1]])], dim=1)
    scores = judge(records[:, :-1].view(5, 1, 8, 8), records[:, -1].long())
    found = module._losses(flat, 3)(records)
    softplus = torch.nn.functional.softplus
    assert torch.allclose(found, torch.cat([softplus(-scores[:3]), softplus(scores[3:])]), atol=1e-6)


# --- stopped and resumed -----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a fit in the middle."""


@BOTH
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_p05_a_fit_that_was_killed_ends_with_the_same_network(private, blocks, tmp_path, monkeypatch):
    monkeypatch.setattr(training_module, "BLOCK", 2)
    monkeypatch.setattr(module, "_EVERY", 2)
    left = [blocks]

    def kill(progress):
        if "training" in progress.doing:
            left[0] -= 1
            if not left[0]:
                raise Killed

    whole = fit(private=private, run=tmp_path / "whole")
    with pytest.raises(Killed):
        fit(private=private, run=tmp_path / "run", watch=kill)
    assert (tmp_path / "run" / CHECKPOINT).exists()
    if private:
        assert Ledger.resume(tmp_path / "run" / "ledger.jsonl").steps(DISCRIMINATOR) == 2 * blocks
    again = fit(private=private, run=tmp_path / "run", resume=True)
    assert again.generator.network == whole.generator.network
    assert {event.name: event.steps for event in again.ledger.events} == {
        event.name: event.steps for event in whole.ledger.events
    }


def test_p05_a_run_goes_on_with_the_same_images_only(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_EVERY", 2)

    def kill(progress):
        raise Killed

    with pytest.raises(Killed):
        fit(run=tmp_path / "run", watch=kill)
    pixels = COHORT.pixels.copy()
    pixels[0, 0, 0, 0] *= -1
    for wrong in (replace(COHORT, pixels=pixels), COHORT.take(slice(0, 99))):
        with pytest.raises(DataError, match="resume: the patients"):
            fit(wrong, run=tmp_path / "run", resume=True)
    with pytest.raises(DataError, match="resume: the patients"):
        fit(run=tmp_path / "run", resume=True, family=replace(kit.TINY, width=3))


# --- what is left ------------------------------------------------------------------------------------------------------


@BOTH
def test_p12_nothing_of_the_discriminator_stays_in_the_run_folder(private, tmp_path, monkeypatch):
    judges = []
    monkeypatch.setattr(module, "Judge", lambda *args, **how: (judges.append(Judge(*args, **how)), judges[-1])[1])
    fit(private=private, run=tmp_path / "run")
    files = kit.bytes_of(tmp_path / "run")
    assert CHECKPOINT not in files
    assert {"generator.onnx", "trained.json", "ledger.jsonl", "schema.json"} <= set(files)
    answers = (
        {"classes.npy", "wave-sums.npy", "wave-products.npy", "grain.npy", "shades-of-grey.npy"} if private else set()
    )
    known = {"generator.onnx", "trained.json", "ledger.jsonl", "schema.json", "cohort.sha256", "progress.png"}
    known |= {name.replace(".npy", ".question") for name in answers}
    assert set(files) <= known | answers | {name for name in files if name.endswith(".lock")}
    (judge,) = judges
    for parameter in judge.parameters():
        data = parameter.detach().numpy().tobytes()
        assert not [name for name, text in files.items() if len(data) >= 16 and data[:16] in text]


@BOTH
def test_p18_no_row_of_an_image_is_in_the_run_folder(private, tmp_path):
    """A planted image of its own: none of its rows, as floats or as bytes, is in a file."""
    canary = np.random.default_rng(77).uniform(-1, 1, (1, 1, 8, 8)).astype(np.float32)
    pixels = np.concatenate([canary, COHORT.pixels])
    owners = np.concatenate([[len(COHORT)], COHORT.owners])
    cohort = kit.cohort_of(pixels, np.concatenate([[0], COHORT.classes]), owners)
    fit(cohort, private=private, run=tmp_path / "run")
    rows = [row for kind in ("f4", "f8", "f2") for row in canary[0, 0].astype(kind)]
    rows += list(np.rint((canary[0, 0] + 1) * 127.5).astype(np.uint8))
    for text in kit.bytes_of(tmp_path / "run").values():
        assert not [row for row in rows if row.tobytes() in text]
        assert not [name for name in cohort.patients if name.encode() in text]


@BOTH
def test_a_strip_of_fakes_is_drawn_while_it_is_trained(private, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="the extra [images] is not installed")
    fit(MASKED, private=private, run=tmp_path / "run")
    # Two classes of eight images, each beside its mask.
    with image.open(tmp_path / "run" / "progress.png") as strip:
        assert strip.size == (8 * (16 + 2) + 2, 2 * (8 + 2) + 2)


@BOTH
def test_a_run_folder_is_loaded_again(private, tmp_path):
    made = fit(private=private, run=tmp_path / "run")
    again = Trained.load(tmp_path / "run").generator
    assert np.array_equal(again.images(9, seed=1).pixels, made.generator.images(9, seed=1).pixels)


def test_slow_steps_are_kept_one_by_one(monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 0.0)
    told = []
    fit(private=False, watch=told.append)
    assert [one.done for one in told] == [1, 2, 3, 4, 5, 6]


def test_progress_is_told_to_the_end():
    told = []
    fit(watch=told.append)
    assert (told[-1].doing, told[-1].done, told[-1].total) == ("training the discriminator", 6, 6)
    fit(private=False, watch=told.append)
    assert (told[-1].doing, told[-1].done, told[-1].total) == ("training without privacy", 6, 6)


def test_an_empty_class_is_refused_without_privacy():
    cohort = replace(COHORT, labels={"finding": np.zeros(len(COHORT.pixels), dtype=np.int64)})
    with pytest.raises(WardganError, match="class finding=malignant has no patient"):
        fit(cohort, private=False)
    made = fit(cohort)
    assert len(made.generator.images(5, where={"finding": "malignant"}, seed=1).pixels) == 5


def test_one_patient_is_refused_without_privacy():
    with pytest.raises(WardganError, match="one patient is no cohort"):
        fit(COHORT.take(slice(0, 1)), private=False)
