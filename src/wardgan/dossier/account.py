"""Section 12: what was spent on these patients, all fits and figures together, and who let the generator leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardgan.dossier.document import Block, Facts, Section, Table, Text
from wardgan.dossier.paid import PaidCounts
from wardgan.dossier.subject import Subject
from wardgan.errors import WardganError
from wardgan.privacy.accounts.slip import slip_of

if TYPE_CHECKING:
    from wardgan.privacy.accounts.facts import Cost, Page

_HOW: Final = {
    "nothing": "nothing was spent", "exact": "exact, for Gaussian sums", "PLD": "by the accountant of record",
    "RDP": "by our own accountant, an upper bound", "sum": "added up, an upper bound", "no privacy": "without privacy",
}  # fmt: skip


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
        return None, f"The institution's ledger cannot be read ({type(error).__name__})."


def spent(
    subject: Subject, page: Page | None, why: str, paid: PaidCounts | None, overrides: Sequence[str], *, internal: bool
) -> Section:
    """Gives section 12.

    Args:
        subject: The generator.
        page: What the institution's ledger says.
        why: Why it says nothing.
        paid: The public counts.
        overrides: Who let it leave against the gates, and why.
        internal: Whether single runs are shown.
    """
    blocks: list[Block] = [Text(f"Released by override: {override}", "alarm") for override in overrides]
    claim = subject.generator.privacy
    own = (
        f"epsilon {claim['epsilon']:g} at delta {claim['delta']:g}" if subject.private else "without privacy: no bound"
    )
    rows = [("this generator, for its training patients", own)]
    if paid is not None:
        figure = f"epsilon {paid.epsilon:.4g} at delta {paid.delta:g}"
        rows.append(("the public counts, for the patients of the hold-out", figure))
    if page is not None:
        rows.append(("all fits and figures of these patients together", _cost(page["total"])))
        rows.append(("fits and figures so far", str(len(page["entries"]))))
        left = "no cap was set" if page["left"] is None else f"epsilon {page['left']:g}"
        rows += [("left under the cap", left)] if internal else []
    blocks.append(Facts(rows))
    if page is None:
        blocks.append(Text(why))
    elif internal:
        lines = [
            [line["begun"][:16].replace("T", " "), line["kind"], line["family"], line["state"],
             "none" if line["epsilon"] is None else f"{line['epsilon']:g}",
             "infinite" if line["spent_epsilon"] is None else f"{line['spent_epsilon']:.4g}",
             ", ".join(str(release["file"]) for release in line["releases"])]
            for line in page["entries"]
        ]  # fmt: skip
        head = ["begun (UTC)", "what", "family", "state", "epsilon planned", "spent", "left the hospital"]
        blocks.append(Table("All fits and figures of these patients", head, lines))
    return Section(12, "Ledger and overrides", blocks)


def _cost(found: Cost) -> str:
    how = _HOW[found["how"]]
    if found["epsilon"] is None:
        return f"no bound ({how})"
    return f"epsilon {found['epsilon']:.4g} at delta {found['delta']:g} ({how})"
