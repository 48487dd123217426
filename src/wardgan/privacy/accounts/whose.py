"""With whom the patients of a fit are counted: in doubt with those who may be the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wardgan.errors import UsageError
from wardgan.privacy.accounts.rows import DataSet

How = Literal["named", "same patients", "same schema name", "new"]


@dataclass(frozen=True)
class Patients:
    """What is said of the patients of a fit, to find out with whom they are counted.

    Attributes:
        mark: Fingerprint of the set of patients; tells nothing without the ledger's key.
        schema: Name of the schema.
        dataset: The data set as a steward names it; `None` if nobody did.
    """

    mark: str
    schema: str
    dataset: str | None = None


@dataclass(frozen=True)
class Whose:
    """With whom the patients of a fit are counted.

    Attributes:
        name: The data set, or the data sets that were linked.
        how: `named` by the steward, the `same patients` or the `same schema name` as before, or `new`.
        fits: How many fits and figures were entered before.
        number: Of the data set; `None` if it is not made yet.
    """

    name: str
    how: How
    fits: int
    number: int | None


def found(patients: Patients, known: Sequence[DataSet], marked: int | None) -> Whose:
    """Gives the data set of some patients.

    Args:
        patients: What is known of them.
        known: The data sets of the ledger.
        marked: Number of the data set in which the same patients were entered; `None` if they are new.

    Raises:
        UsageError: The name contradicts the fingerprint, or several data sets have the schema's name.
    """
    by_mark = next((each for each in known if marked in each.ids), None)
    named = next((each for each in known if patients.dataset in each.names), None)
    if patients.dataset is not None:
        if by_mark is not None and by_mark is not named:
            join = f", or join the two: wardgan ledger link '{by_mark.names[0]}' '{patients.dataset}'" if named else ""
            raise UsageError(
                f"dataset={patients.dataset!r}: these patients are counted as {by_mark.name!r} already, and must not "
                f"be counted apart. Leave the name out{join}."
            )
        return _whose(named, patients.dataset, "named", patients.dataset)
    if by_mark is not None:
        return Whose(by_mark.name, "same patients", len(by_mark.entries), marked)
    alike = [each for each in known if patients.schema in (*each.schemas, *each.names)]
    if len(alike) > 1:
        names = ", ".join(each.name for each in alike)
        raise UsageError(
            f"dataset: fits under the schema name {patients.schema!r} are counted in several data sets ({names}), and "
            "these patients were not seen before. Say which they belong to, or give them a new name: --dataset NAME."
        )
    return _whose(alike[0] if alike else None, patients.schema, "same schema name" if alike else "new", None)


def _whose(group: DataSet | None, name: str, how: How, wanted: str | None) -> Whose:
    if group is None:
        return Whose(name, how, 0, None)
    number = group.ids[group.names.index(wanted)] if wanted in group.names else group.ids[0]
    return Whose(group.name, how, len(group.entries), number)
