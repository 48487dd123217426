"""Synthetic patients of a release, written as FHIR or OMOP.

Only what is drawn from a release is written: a table has no way to show that its rows are nobody's, and resources that
say of real patients that they are test data would be worse than none. A table that was drawn earlier is drawn again, by
its seed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from wardgan import check
from wardgan.combining.loading import Opened, open_file
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.write import CHUNK, Exported, Form, Wish
from wardgan.imaging.marks import Origin
from wardgan.sample.conditions import Where
from wardgan.schema.schema import Schema
from wardgan.seal.artifact import day_of


def export(  # noqa: PLR0913 - one argument for each thing that may be asked for
    model: str | Path, n: int, output: str | Path, concepts: str | Path | Mapping[str, object], *, form: Form = "fhir",
    where: Where | None = None, balance: str | None = None, seed: int | None = None, trust: str | Path | None = None,
    force: bool = False,
) -> Exported:  # fmt: skip
    """Draws synthetic patients and writes them as FHIR R4 resources or as tables of the OMOP CDM 5.4.

    Args:
        model: The `.hgan` file.
        n: How many patients, 0 or more.
        output: Of FHIR a name that ends in .ndjson or .ndjson.gz for a Bundle of each patient in a line, or a folder
            for a file of each type of resource; of OMOP a folder for a CSV file of each table.
        concepts: The mapping file (`draft_concepts` drafts one), or its structure.
        form: `fhir` or `omop`.
        where: What the patients must have, as in `Generator.sample`.
        balance: A label whose levels shall be equally frequent.
        seed: Replays the draw; `None` for a new one. The patients are those of `Generator.sample`.
        trust: Trust file, as in `load`.
        force: Whether what is there may be replaced.

    Raises:
        UsageError: The mapping file does not fit the schema, or a condition cannot be met.
        OutputError: The output is there already, or cannot be written; nothing is left behind.
        WardganError: The file must not be used, as in `load`.
    """
    check.whole(0, n=n)
    check.path(model=model, output=output)
    found = open_file(model, trust, required=trust is not None)
    seed = secrets.randbits(48) if seed is None else seed
    wish = wish_of(found, output, concepts, form=form, seed=seed, force=force)
    wish.check(n)
    return wish.write(found.generator.draws(n, chunk=CHUNK, where=where, balance=balance, seed=seed), n)


def wish_of(
    found: Opened, output: str | Path, concepts: str | Path | Mapping[str, object], *, form: Form, seed: int,
    force: bool, schema: Schema | None = None,
) -> Wish:  # fmt: skip
    """Gives what is to be written of a release.

    Args:
        found: The release.
        output: As in `export`.
        concepts: As in `export`.
        form: `fhir` or `omop`.
        seed: The seed of the draw.
        force: As in `export`.
        schema: What the patients obey, if it is not the generator's.

    Raises:
        UsageError: The mapping file cannot be read, or does not fit.
    """
    obeyed = found.generator.schema if schema is None else schema
    meant = Concepts.from_dict(concepts, obeyed) if isinstance(concepts, Mapping) else Concepts.load(concepts, obeyed)
    return Wish(
        form, Path(output), meant, Origin(found.digest, seed, found.privacy.epsilon), (_released(found), day_of(None)),
        force,
    )  # fmt: skip


def _released(found: Opened) -> str:
    """Gives the day on which the release was made, `YYYY-MM-DD`."""
    if found.facts is not None:
        return day_of(found.facts.card.created)
    return day_of(None) if found.node is None else day_of(found.node.record.created)
