"""Section 12: what was spent on these patients, all fits and figures together, and who let the generator leave."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field
from pydantic.dataclasses import dataclass

from wardgan.dossier.document import Facts, Section, Table, Text
from wardgan.dossier.numbers import STRICT
from wardgan.dossier.paid import PaidCounts
from wardgan.dossier.subject import Subject
from wardgan.errors import WardganError
from wardgan.privacy.accounts.slip import LONGEST_NAME, slip_of
from wardgan.privacy.accounts.together import How, total

if TYPE_CHECKING:
    from wardgan.privacy.accounts.facts import Cost, Page

UNREADABLE: Final = "The institution's ledger, in which this fit was entered, cannot be read"
_HOW: Final = {
    "nothing": "nothing was spent", "exact": "exact, for Gaussian sums", "PLD": "by the accountant of record",
    "RDP": "by our own accountant, an upper bound", "sum": "added up, an upper bound", "no privacy": "without privacy",
}  # fmt: skip


@dataclass(frozen=True, config=STRICT)
class Earlier:
    """What all fits of a data set have cost together, under the name that the steward gave it.

    Only fits under a name count here. Whether two files hold the same patients hangs on each of them, so what the
    ledger finds out by fingerprints stays in the hospital (Rule P13).

    Attributes:
        name: Of the data set.
        fits: How many there were.
        epsilon: What they cost together; `None` if there is no bound.
        delta: The probability that goes with it.
        how: How it was added up.
    """

    name: Annotated[str, Field(max_length=LONGEST_NAME)]
    fits: int
    epsilon: float | None
    delta: float
    how: How


def declared_fits(run: Path) -> Earlier | None:
    """Gives what a public dossier may say of earlier fits; `None` if the steward gave the patients no name.

    Args:
        run: Run folder of the fit.
    """
    try:
        slip = slip_of(run)
        if slip is None or slip.dataset is None:
            return None
        from wardgan.privacy.accounts.book import Accounts

        with Accounts.open(slip.ledger, writable=False) as accounts:
            found = next((each for each in accounts.show() if slip.dataset in each.names), None)
        if found is None:
            return None
        parts = [entry.part for entry in found.entries if entry.kind == "fit"]
        cost = total(parts, found.delta())
        return Earlier(
            slip.dataset, len(parts), cost.epsilon if math.isfinite(cost.epsilon) else None, cost.delta, cost.how
        )
    except WardganError:
        return None


def institution(run: Path) -> tuple[Page | None, str]:
    """Gives what the institution's ledger says of a run's patients, or why it says nothing.

    Args:
        run: Run folder of the fit.
    """
    try:
        slip = slip_of(run)
        if slip is None:
            return None, "This fit was entered in no institution's ledger (ledger.db), so earlier fits are not known."
        from wardgan.privacy.accounts.book import Accounts
        from wardgan.privacy.accounts.facts import facts_of

        with Accounts.open(slip.ledger, writable=False) as accounts:
            found = [each for each in accounts.show() if any(one.token == slip.entry for one in each.entries)]
        if not found:
            return None, "The institution's ledger does not know this fit."
        return facts_of(found)["datasets"][0], ""
    except WardganError as error:
        return None, f"{UNREADABLE} ({type(error).__name__})."


def told(subject: Subject, earlier: Earlier | None, paid: PaidCounts | None) -> Section:
    """Gives section 12 of the public edition; overrides, which come later, are put before it where it is shown.

    Args:
        subject: The generator.
        earlier: What the steward's name of the patients says of earlier fits.
        paid: The public counts.
    """
    rows = _own(subject, paid)
    if earlier is None:
        words = (
            "What earlier fits of the same patients have cost stands in the hospital's ledger, and is said here if the "
            "hospital gives the patients a name (wardgan fit --dataset NAME)."
        )
        return Section(12, "Ledger and overrides", [Facts(rows), Text(words)])
    cost = _cost({"epsilon": earlier.epsilon, "delta": earlier.delta, "how": earlier.how})
    rows += [(f"all fits of {earlier.name} together", cost), ("fits so far", str(earlier.fits))]
    return Section(12, "Ledger and overrides", [Facts(rows)])


def spent(subject: Subject, page: Page | None, why: str, paid: PaidCounts | None) -> Section:
    """Gives section 12 of the internal edition.

    Args:
        subject: The generator.
        page: What the institution's ledger says.
        why: Why it says nothing.
        paid: The public counts.
    """
    rows = _own(subject, paid)
    if page is None:
        return Section(12, "Ledger and overrides", [Facts(rows), Text(why)])
    rows.append(("all fits and figures of these patients together", _cost(page["total"])))
    rows.append(("fits and figures so far", str(len(page["entries"]))))
    rows.append(("left under the cap", "no cap was set" if page["left"] is None else f"epsilon {page['left']:g}"))
    lines = [
        [line["begun"][:16].replace("T", " "), line["kind"], line["family"], line["state"],
         "none" if line["epsilon"] is None else f"{line['epsilon']:g}",
         "infinite" if line["spent_epsilon"] is None else f"{line['spent_epsilon']:.4g}",
         ", ".join(str(release["file"]) for release in line["releases"])]
        for line in page["entries"]
    ]  # fmt: skip
    head = ["begun (UTC)", "what", "family", "state", "epsilon planned", "spent", "left the hospital"]
    table = Table("All fits and figures of these patients", head, lines)
    return Section(12, "Ledger and overrides", [Facts(rows), table])


def _own(subject: Subject, paid: PaidCounts | None) -> list[tuple[str, str]]:
    claim = subject.generator.privacy
    own = (
        f"epsilon {claim['epsilon']:g} at delta {claim['delta']:g}" if subject.private else "without privacy: no bound"
    )
    rows = [("this generator, for its training patients", own)]
    if paid is not None:
        figure = f"epsilon {paid.epsilon:.4g} at delta {paid.delta:g}"
        rows.append(("the public counts, for the patients of the hold-out", figure))
    return rows


def _cost(found: Cost) -> str:
    how = _HOW[found["how"]]
    if found["epsilon"] is None:
        return f"no bound ({how})"
    return f"epsilon {found['epsilon']:.4g} at delta {found['delta']:g} ({how})"
