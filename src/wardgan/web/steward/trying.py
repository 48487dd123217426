"""A training that is tried here before any hospital is asked: by the agreement, with invented patients."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import yaml

from wardgan.errors import UsageError
from wardgan.federating.agreement import Agreement
from wardgan.rng import Seed
from wardgan.simulate.schemas import stand_in
from wardgan.simulate.world import World
from wardgan.web.steward.arithmetic import hospitals_in
from wardgan.web.steward.project import new_folder
from wardgan.web.steward.training import Training

HOSPITALS: Final = 12
PATIENTS: Final = 2_000
FOLDER: Final = "_tried"
_FILE: Final = f"{FOLDER}/tried.hgan"


def size_of(agreement: Agreement) -> int:
    """Gives how many patients are invented for each hospital: as many as are agreed on, but not more than 2,000.

    Args:
        agreement: What was agreed on.
    """
    return max(1, min(PATIENTS, agreement.patients // agreement.hospitals))


def invent(training: Training, agreement: Agreement) -> None:
    """Writes hospitals whose patients are invented, where an earlier trial had its own.

    Args:
        training: Whose.
        agreement: What was agreed on.

    Raises:
        UsageError: There are more hospitals than can be tried, patients are images, or hardly any invented patient
            obeys the rules.
        SchemaError: Bounds or levels are missing.
    """
    if agreement.hospitals > HOSPITALS:
        raise UsageError(
            f"hospitals={agreement.hospitals}: at most {HOSPITALS} are tried here; for a trial, agree on fewer."
        )
    if agreement.schema.images is not None:
        raise UsageError("try: images are not invented; try with wardgan federate simulate and images of your own.")
    declared, size = stand_in(agreement.schema), size_of(agreement)
    world = World.of(declared, seed=Seed(agreement.seed))
    shutil.rmtree(training.folder / FOLDER, ignore_errors=True)
    place = new_folder(training.folder, FOLDER)
    shutil.copyfile(training.schema, place / "schema.yaml")
    for name in _names(agreement):
        cohort = world.draw(size, seed=Seed(agreement.seed), group=name)
        cohort.frame().to_csv(place / f"{name}.csv", index=False)
        policy = {
            "name": name, "data": f"{name}.csv", "schema": "schema.yaml", "population": size,
            "patients": f"invented-{name}", "run": f"run-{name}", "epsilon": agreement.epsilon,
            "delta": agreement.delta, "rounds": max(1, agreement.rounds),
        }  # fmt: skip
        (place / f"{name}.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")


def words_of(training: Training, agreement: Agreement) -> list[list[str]]:
    """Gives the words of the trial, and those that look at what came of it.

    Args:
        training: Whose.
        agreement: What was agreed on.
    """
    words = ["federate", "simulate", training.agreement.name, *(f"{FOLDER}/{name}.yaml" for name in _names(agreement)),
             "-o", _FILE, "--json"]  # fmt: skip
    if agreement.epsilon is None:
        words.append("--override=Nobody: invented patients, which are never released")
    return [words, ["inspect", _FILE, "--json"]]


def keep(training: Training, agreement: Agreement, answers: Sequence[Mapping[str, Any]]) -> None:
    """Keeps what the trial says of the costs, and nothing else of it.

    Args:
        training: Whose.
        agreement: What was agreed on.
        answers: What the verbs answered.
    """
    made, facts = answers[0], answers[-1]
    found = hospitals_in(facts, made["bounds"])
    training.choose(tried={
        "agreement": agreement.digest, "patients": size_of(agreement), "rounds": made["rounds"],
        "notices": made["notices"], "facts": found | {"privacy": {"mode": found["privacy"]["mode"]}},
    })  # fmt: skip


def forget(training: Training) -> None:
    """Throws away what a trial has made, however it ended.

    Args:
        training: Whose.
    """
    shutil.rmtree(training.folder / FOLDER, ignore_errors=True)


def tried_in(training: Training, agreement: Agreement | None) -> Mapping[str, Any]:
    """Gives what `keep` kept of a trial of this very agreement; empty if there was none.

    Args:
        training: Whose.
        agreement: What was agreed on.
    """
    kept = training.chosen.get("tried")
    found = cast("Mapping[str, Any]", kept) if isinstance(kept, dict) else {}
    return found if agreement is not None and found.get("agreement") == agreement.digest else {}


def _names(agreement: Agreement) -> list[str]:
    return [f"hospital-{at + 1}" for at in range(agreement.hospitals)]
