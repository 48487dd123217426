"""Section 12: what was spent on these patients, all fits and figures together, and who let the generator leave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardgan.dossier.document import Facts, Section, Table, Text
from wardgan.dossier.paid import PaidCounts
from wardgan.dossier.subject import Subject
from wardgan.errors import WardganError
from wardgan.privacy.accounts.slip import slip_of

if TYPE_CHECKING:
    from wardgan.privacy.accounts.facts import Cost, Page

UNREADABLE: Final = "The institution's ledger, in which this fit was entered, cannot be read"
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
        return None, f"{UNREADABLE} ({type(error).__name__})."


def told(subject: Subject, paid: PaidCounts | None) -> Section:
    """Gives section 12 of the public edition; overrides, which come later, are put before it where it is shown.

    What earlier fits have cost hangs on whether their patients were the same, so it is no function of what is public.

    Args:
        subject: The generator.
        paid: The public counts.
    """
    words = (
        "What earlier fits of the same patients have cost adds to this. It stands in the hospital's ledger and in the "
        "internal edition: whether they were the same patients is itself a fact about them (Rule P13)."
    )
    return Section(12, "Ledger and overrides", [Facts(_own(subject, paid)), Text(words)])


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
