"""A small clinic with fits, dossiers, keys and files, and a forger who has a key that the receiver trusts."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import wardgan as wg
from wardgan.dossier.assess import Dossier, assess, tied
from wardgan.dossier.release import release
from wardgan.models.base import Trained
from wardgan.models.fit import fit
from wardgan.privacy.events import Budget
from wardgan.schema.cohort import Cohort
from wardgan.seal import oci, sign
from wardgan.seal.json_text import canonical
from wardgan.seal.keys import new_key, read_private

EVIL = "A <b>Clinic</b> & Co | `x` [y](javascript:z) --> ]]>"
SCHEMA = {
    "name": "clinic",
    "population": 500,
    "table": {
        "age": {"kind": "integer", "low": 18, "high": 99, "unit": "a"},
        "sex": {"kind": "flag"},
        "sbp": {"kind": "integer", "low": 80, "high": 220, "unit": "mm[Hg]"},
        "dbp": {"kind": "integer", "low": 40, "high": 130, "nullable": True},
        "died": {"kind": "flag", "label": True, "sensitive": True},
    },
    "rules": ["dbp < sbp"],
    "terms": {"purpose": "Teaching.\n\nAnd learning.", "controller": EVIL, "licence": "CC-BY-4.0"},
}
OVERRIDE = "Dr Ada Example: a small study for teaching"
DAY = "2026-01-31"


def cohort(size: int, seed: int, **changes) -> Cohort:
    rng = np.random.default_rng(seed)
    age = rng.integers(30, 90, size)
    sbp = np.clip(90 + 0.6 * age + rng.normal(0, 12, size), 100, 219).astype(int)
    dbp = pd.array(np.clip(0.45 * sbp + rng.normal(0, 5, size), 40, 99).astype(int), dtype="Int64")
    dbp[rng.random(size) < 0.1] = pd.NA
    died = rng.random(size) < 1 / (1 + np.exp(-(age - 65) / 6))
    frame = pd.DataFrame({"age": age, "sex": rng.random(size) < 0.5, "sbp": sbp, "dbp": dbp, "died": died})
    return wg.read(frame, wg.Schema.from_dict({**SCHEMA, **changes}))


@dataclass(frozen=True)
class Clinic:
    """What a hospital has: a private fit with dossiers by two policies, one without privacy, and a key."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "clinic.key"

    @property
    def trust(self) -> Path:
        return self.folder / "trust.json"

    @property
    def good(self) -> Path:
        """A file with a dossier that passes."""
        return self.folder / "good.hgan"

    @property
    def overridden(self) -> Path:
        """A file that left against the gates."""
        return self.folder / "overridden.hgan"

    @property
    def open(self) -> Path:
        """A file without privacy."""
        return self.folder / "open.hgan"

    def trained(self, run="private") -> Trained:
        return Trained.load(self.folder / run)

    def dossier(self, name="private") -> Path:
        return self.folder / f"{name}-dossier"

    def release(self, path: Path, run="private", dossier: str | Path | None = "private", **more) -> Path:
        place = self.dossier(dossier) if isinstance(dossier, str) else dossier
        return release(self.trained(run), path, self.key, dossier=place, created=DAY, **more)


def opened(folder: Path) -> Clinic:
    clinic = Clinic(folder)
    train, holdout = cohort(500, 1), cohort(400, 2)
    fit(train, privacy="none", family="copula", run=folder / "open")
    more = {"created": DAY, "public_share": 0.5}
    # The noise is new each time, and attacks accuse a safe generator in one of twenty cases.
    for _ in range(3):
        shutil.rmtree(folder / "private", ignore_errors=True)
        fit(train, Budget(3.0), family="copula", run=folder / "private")
        made = assess(folder / "private", train, holdout, **more)
        if not made.refusals:
            break
    made.write(clinic.dossier())
    # The same numbers, judged by another policy: what cannot be judged refuses.
    policy = wg_policy("strict")
    rejudged(made, policy).write(clinic.dossier("strict"))
    # Without a hold-out it is quick, and refused in any case.
    assess(folder / "open", train, None, **more).write(clinic.dossier("open"))
    new_key(clinic.key, name="Clinic", trust=clinic.trust)
    clinic.release(clinic.good)
    clinic.release(clinic.overridden, dossier="strict", override=OVERRIDE)
    clinic.release(clinic.open, run="open", dossier="open", override=OVERRIDE)
    return clinic


def wg_policy(name: str):
    from wardgan.dossier.policy import Policy

    return Policy.load(name)


def rejudged(made: Dossier, policy) -> Dossier:
    """Gives a dossier as another policy judges it."""
    from wardgan.dossier.gates import judged, overall
    from wardgan.dossier.public import GATES

    inside = judged(made.internal.measured, policy, gates=[gate for gate in policy.limits if gate != "public utility"])
    outside = judged(made.public.measured, policy, gates=GATES)
    found = policy.to_dict()
    return tied(
        replace(made.internal, policy=found, judgements=inside, overall=overall(inside)),
        replace(made.public, policy=found, judgements=outside, overall=overall(outside)),
    )


def parts(path: Path) -> oci.Parts:
    data = path.read_bytes()
    return oci.unpack(io.BytesIO(data), len(data)).parts()


def public(path: Path) -> dict:
    """Gives the public dossier of a file."""
    return json.loads(parts(path).dossier)


def forged(clinic: Clinic, source: Path, target: Path, dossier: Callable[[dict], object] | object) -> Path:
    """Re-packs a file, signed with a key that the receiver trusts.

    Its dossier is changed in place by a function, or replaced: by bytes, or by anything that JSON can hold.
    """
    made = parts(source)
    if callable(dossier):
        found = json.loads(made.dossier)
        dossier(found)
        dossier = found
    if not isinstance(dossier, bytes):
        dossier = canonical(dossier)
    key = read_private(clinic.key)
    target.write_bytes(oci.pack(replace(made, dossier=dossier), lambda digest: sign.sign(digest, key)))
    return target
