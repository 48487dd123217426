"""A fit under the institution's ledger: reserved before it reads, settled however it ends (Rule P14)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wardgan import check
from wardgan.errors import BudgetError, OutputError, PlanError, WardganError
from wardgan.privacy.accounts.slip import Slip, check_name, slip_of

if TYPE_CHECKING:
    from wardgan.privacy.accounts.book import Accounts
    from wardgan.privacy.accounts.claim import Claim
    from wardgan.privacy.accounts.rows import State
    from wardgan.privacy.accounts.whose import Whose
    from wardgan.privacy.ledger import Ledger
    from wardgan.privacy.plan import Plan
    from wardgan.schema.image_cohort import AnyCohort


@dataclass(frozen=True)
class Account:
    """Where a fit is entered.

    Attributes:
        ledger: The institution's ledger; made if it is not there.
        dataset: Which patients these are, if the steward says so.

    Raises:
        UsageError: The ledger is no path, or the name is none.
    """

    ledger: str | Path
    dataset: str | None = None

    def __post_init__(self) -> None:
        check.path(ledger=self.ledger)
        check_name(self.dataset)


class Spending:
    """The open entry of a fit; without an institution's ledger it does nothing."""

    def __init__(self, account: Account | None = None, token: str = "") -> None:
        """Takes the entry."""
        self._account = account
        self._token = token

    def revise(self, plan: Plan) -> None:
        """Enters the plan with batch caps, before batches are drawn.

        Raises:
            BudgetError: The caps cost so much that a cap of the ledger does not allow it.
        """
        if self._account is not None:
            with _opened(self._account) as accounts:
                accounts.revise(self._token, plan)

    def note(self, ledger: Ledger) -> None:
        """Notes what was billed, before patients are read.

        Raises:
            OutputError: The ledger is out of reach.
        """
        if self._account is not None:
            with _opened(self._account, create=False) as accounts:
                accounts.note_bill(self._token, ledger.events, unbilled=bool(ledger.unbilled))

    def settle(self, ledger: Ledger, state: State) -> None:
        """Lowers the reservation to what was billed.

        If the ledger is out of reach, the reservation stays: it counts more than was spent, never less, and is found
        out later from the run's own ledger.
        """
        if self._account is not None:
            with suppress(WardganError), _opened(self._account) as accounts:
                accounts.settle(self._token, ledger.events, state, unbilled=bool(ledger.unbilled))


def account_of(accounts: str | Path | Account | None, run: Path | None, *, resume: bool) -> Account | None:
    """Gives where a fit is entered; a run that goes on stays where it was entered.

    Args:
        accounts: What the caller says.
        run: The run folder.
        resume: Whether the run goes on.

    Raises:
        PlanError: The run was entered elsewhere.
        UsageError: `accounts` is neither a path nor an `Account`.
    """
    given = accounts if isinstance(accounts, Account) or accounts is None else Account(accounts)
    slip = slip_of(run) if resume and run is not None else None
    if slip is None:
        return given
    if given is not None and Path(given.ledger).resolve() != Path(slip.ledger):
        raise PlanError(
            f"ledger={str(given.ledger)!r}: the run was entered in {slip.ledger!r}, where it goes on. Leave the ledger "
            "out."
        )
    if not Path(slip.ledger).is_file():
        raise OutputError(
            f"ledger={slip.ledger!r}, in which the run was entered, is not there. Put it back, or fit into another "
            "folder."
        )
    return Account(slip.ledger, slip.dataset if given is None or given.dataset is None else given.dataset)


@contextmanager
def entered(
    account: Account | None, cohort: AnyCohort, ledger: Ledger, *, family: str, run: Path | None
) -> Generator[Spending]:
    """Reserves what a fit may spend, and settles it however the fit ends.

    Args:
        account: Where the fit is entered; `None`: nowhere.
        cohort: The patients.
        ledger: The run's own bill, with its plan.
        family: Name of the family, for people.
        run: The run folder, whose ledger this process holds.

    Raises:
        BudgetError: A cap does not allow the plan; nothing was read.
    """
    if account is None:
        yield Spending()
        return
    slip = _reserved(account, cohort, ledger, family, run)
    spending = Spending(account, slip.entry)
    ledger.tell(spending.note)
    try:
        yield spending
    except WardganError:
        spending.settle(ledger, "refused")
        raise
    except KeyboardInterrupt:
        spending.settle(ledger, "stopped")
        raise
    except BaseException:
        spending.settle(ledger, "failed")
        raise
    spending.settle(ledger, "done")


@contextmanager
def paid_figure(run: Path, ledger: Ledger, name: str, patients: AnyCohort) -> Generator[None]:
    """Reserves what a figure costs the patients who are asked, and settles it however that ends.

    It is counted with these patients if the ledger has seen them, and otherwise with those of the run, with whom they
    are counted from then on: a later fit of a hold-out finds what the hold-out has paid. For a run that was entered
    nowhere nothing is done. Spend from `ledger` inside the block.

    Args:
        run: Run folder of the fit.
        ledger: The figure's own bill, with a plan; empty so far.
        name: What it is for, such as `dossier`.
        patients: Who is asked.

    Raises:
        BudgetError: A cap does not allow it; or patients were read before it was entered.
    """
    slip = slip_of(run)
    if slip is None:
        yield
        return
    if ledger.events or ledger.unbilled:
        raise BudgetError(f"figure={name!r}: patients were read before it was entered; begin with an empty ledger.")
    account = Account(slip.ledger)
    own = Slip.new(Path(slip.ledger), None)
    with _opened(account, create=False) as accounts:
        claim = _claim(own, ledger, name, run)
        accounts.reserve_figure(slip.entry, claim, accounts.patients(patients))
    spending = Spending(account, own.entry)
    try:
        yield
    except BaseException:
        spending.settle(ledger, "failed")
        raise
    spending.settle(ledger, "done")


def note_release(run: Path, file: Path, digest: str, override: str | None = None) -> str | None:
    """Enters that a model has left the hospital.

    Args:
        run: Its run folder.
        file: The `.hgan` file.
        digest: Digest of its manifest.
        override: Who let it leave without privacy, and why.

    Returns:
        The ledger; `None` if the run was entered nowhere.

    Raises:
        UsageError: The ledger is gone, or is another one.
        OutputError: It cannot be written to.
    """
    slip = slip_of(run)
    if slip is None:
        return None
    with _opened(Account(slip.ledger), create=False) as accounts:
        accounts.note_release(slip.entry, file, digest, override)
    return slip.ledger


def patients_of(run: Path) -> str | None:
    """Gives an opaque name of a run's patients; see `Accounts.opaque`.

    Args:
        run: Its run folder.

    Returns:
        The name; `None` if the run was entered nowhere.

    Raises:
        UsageError: The ledger or its key is gone, or is another one.
        FormatError: It is damaged.
    """
    slip = slip_of(run)
    if slip is None:
        return None
    with _opened(Account(slip.ledger), create=False) as accounts:
        return accounts.opaque(slip.entry)


def preview(account: Account, cohort: AnyCohort) -> Whose | None:
    """Gives with whom the patients of a fit will be counted; `None` if there is no ledger yet."""
    if not Path(account.ledger).exists():
        return None
    with _opened(account) as accounts:
        return accounts.whose(accounts.patients(cohort, account.dataset))


def _opened(account: Account, *, create: bool = True) -> Accounts:
    # SQLite is loaded for those who keep a ledger.
    from wardgan.privacy.accounts.book import Accounts

    return Accounts.open(account.ledger, create=create)


def _claim(slip: Slip, ledger: Ledger, family: str, run: Path | None) -> Claim:
    from wardgan.privacy.accounts.claim import Claim

    return Claim(slip.entry, ledger.plan, family, ledger.replayable, run, billed=ledger.events)


def _reserved(account: Account, cohort: AnyCohort, ledger: Ledger, family: str, run: Path | None) -> Slip:
    """Gives the slip of a run once it is reserved; a copy of a run, or an older state of it, gets a new one."""
    from wardgan.privacy.accounts.book import AnotherRun

    slip = (None if run is None else slip_of(run)) or _new_slip(account, run)
    with _opened(account) as accounts:
        patients = accounts.patients(cohort, account.dataset)
        try:
            accounts.reserve(patients, _claim(slip, ledger, family, run))
        except AnotherRun:
            slip = _new_slip(account, run)
            accounts.reserve(patients, _claim(slip, ledger, family, run))
    return slip


def _new_slip(account: Account, run: Path | None) -> Slip:
    """Gives a new slip, which is in the run folder before anything is reserved: a crash cannot part the two."""
    made = Slip.new(Path(account.ledger), account.dataset)
    if run is not None:
        made.write(run)
    return made
