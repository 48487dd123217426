"""Synthetic patients of a verb as FHIR or OMOP files."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wardgan.cli.drawn import known_efficiency, took
from wardgan.cli.terminal import Advance, answer, bar, say, screen
from wardgan.errors import UsageError, counted

if TYPE_CHECKING:
    from wardgan.combining.loading import Opened
    from wardgan.combining.mixture import Mixture
    from wardgan.exchange.write import Form
    from wardgan.sample.drawing import Drawn
    from wardgan.sample.generator import Generator
    from wardgan.sample.wish import Wanted
    from wardgan.schema.cohort import Cohort


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        n: How many patients.
        output: A file, or a folder.
        concepts: The mapping file.
        form: `fhir` or `omop`.
        wanted: Conditions.
        where: The same in words.
        balance: A label whose levels shall be equally frequent.
        seed: Replays them; `None` for a new one.
        force: Whether what is there may be replaced.
    """

    n: int
    output: Path
    concepts: Path
    form: Form
    wanted: Mapping[str, Wanted]
    where: list[str]
    balance: str | None
    seed: int | None
    force: bool


def asked_form(form: str | None, output: Path, concepts: Path | None, *, tables_only: bool) -> Form | None:
    """Gives which of FHIR and OMOP is asked for; `None` if neither is.

    Args:
        form: What `--format` says.
        output: Where to; a name that ends in .ndjson or .ndjson.gz means FHIR.
        concepts: The mapping file.
        tables_only: Whether options were given that have a meaning for tables only.

    Raises:
        UsageError: A mapping file without need, or none where it is needed; or options that do not go together.
    """
    from wardgan.exchange.write import FORMS, names_bundles

    found = "fhir" if form is None and names_bundles(output) else form
    if found not in FORMS:
        if concepts is not None:
            raise UsageError(f"--concepts {concepts} is for --format fhir and --format omop; say which.")
        return None
    if concepts is None:
        raise UsageError(
            f"--format {found} needs --concepts FILE, which says what columns mean; `wardgan concepts MODEL` drafts it."
        )
    if tables_only:
        raise UsageError(f"--wide, --croissant, --bits: they have no meaning for --format {found}.")
    return cast("Form", found)


def draw_exchange(found: Opened, generator: Generator | Mixture, asked: Asked, *, as_json: bool) -> None:
    """Writes synthetic patients, and says so.

    Args:
        found: The release.
        generator: What is sampled of it.
        asked: What is asked for.
        as_json: Whether the answer is JSON.
    """
    from wardgan.exchange.export import wish_of
    from wardgan.exchange.write import CHUNK
    from wardgan.sample.drawing import Drawn

    seed = secrets.randbits(48) if asked.seed is None else asked.seed
    wish = wish_of(found, asked.output, asked.concepts, form=asked.form, seed=seed, force=asked.force,
                   schema=generator.schema)  # fmt: skip
    wish.check(asked.n)
    generator.draw(0, where=asked.wanted, balance=asked.balance)  # refuses what cannot be asked for
    known = known_efficiency(generator, asked.wanted, asked.balance, seed)
    parts: list[Drawn] = []
    with bar("sampling", asked.n) as advance:
        cohorts = generator.draws(
            asked.n, chunk=CHUNK, where=asked.wanted, balance=asked.balance, seed=seed, drew=parts.append
        )
        made = wish.write(_told(cohorts, advance, asked.n), asked.n)
    console, drawn = screen(errors=as_json), sum(parts, Drawn())
    what = "rows" if asked.form == "omop" else "resources"
    text = f"{asked.output}: {counted(made.patients, 'synthetic patient')} in {sum(made.counts.values()):,} {what}"
    say(console, f"{text}; --seed {seed} draws the same again.", style="bold green")
    say(console, ", ".join(f"{name} {count:,}" for name, count in made.counts.items()))
    for line in (*took(drawn, known), *made.notices):
        say(console, line)
    if as_json:
        answer({
            "output": str(asked.output), "format": asked.form, "patients": made.patients, "seed": seed,
            "counts": dict(made.counts), "unmapped": list(made.unmapped), "notices": list(made.notices),
            "model": found.digest, "signature": vars(found.signature), "where": asked.where, "balance": asked.balance,
            "drawn": asdict(drawn), "efficiency": None if known is None else known.to_dict(),
        })  # fmt: skip


def _told(cohorts: Iterator[Cohort], advance: Advance, n: int) -> Iterator[Cohort]:
    done = 0
    for cohort in cohorts:
        yield cohort
        done += len(cohort)
        advance(done, n, f"{done:,} patients")
