"""What a run folder knows of the institution's ledger: where it is, and under which entry the run is counted."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from wardgan import files
from wardgan.errors import FormatError, UsageError

SLIP: Final = "account.json"
RUN_LEDGER: Final = "ledger.jsonl"
FINISHED: Final = "trained.json"
_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class Slip:
    """The receipt that lies in a run folder.

    Attributes:
        ledger: The institution's ledger, as an absolute path.
        entry: Name of the entry there; random, so it says nothing.
        dataset: The data set as the steward named it for this fit; `None` if nobody did.
    """

    ledger: str
    entry: str
    dataset: str | None = None

    @classmethod
    def new(cls, ledger: Path, dataset: str | None) -> Slip:
        """Gives the slip of a run that is to be entered."""
        return cls(str(ledger.resolve()), secrets.token_hex(16), dataset)

    def write(self, run: Path) -> None:
        """Puts the slip into a run folder.

        Raises:
            OutputError: It cannot be written.
        """
        files.write_bytes(run / SLIP, json.dumps(asdict(self), indent=1).encode(), force=True)


def slip_of(run: Path) -> Slip | None:
    """Gives the slip of a run folder; `None` if its fit was entered nowhere.

    Raises:
        FormatError: It cannot be read.
    """
    path = run / SLIP
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        ledger, entry, dataset = found["ledger"], found["entry"], found["dataset"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if not isinstance(ledger, str) or not isinstance(entry, str) or not isinstance(dataset, (str, type(None))):
        raise _damaged(path)
    return Slip(ledger, entry, dataset)


def check_name(name: object) -> None:
    """Refuses what cannot name a data set; `None` is a steward who says nothing.

    Raises:
        UsageError: It is no text of 1 to 100 letters that can be printed.
    """
    fine = isinstance(name, str) and name == name.strip() and name.isprintable() and 0 < len(name) <= _LONGEST_NAME
    if name is not None and not fine:
        raise UsageError(
            f"dataset: a name has 1 to {_LONGEST_NAME} letters that can be printed, and no spaces around them."
        )


def _damaged(path: Path) -> FormatError:
    return FormatError(
        f"run={str(path.parent)!r}: {path.name} is damaged, so it cannot be told where the run is entered. Fit again, "
        "into another folder; the ledger still counts this run."
    )
