"""Everything that wardgan can refuse, as one tree.

```
WardganError                     exit 2
├── UsageError                   exit 2   an argument, a file or a schema is wrong
│   ├── SchemaError              exit 2   the schema contradicts itself or says too little
│   ├── DataError                exit 2   rows that break the schema, an unreadable file
│   ├── PlanError                exit 2   epsilon, delta or the family do not fit the cohort
│   └── OutputError              exit 2   the output exists, or cannot be written
├── ArtifactError                exit 2   a .hgan file that must not be used
│   ├── FormatError              exit 2   not the format, or a part is malformed
│   ├── VersionError             exit 2   written by a newer major version
│   ├── DigestError              exit 2   bytes do not match their digest
│   └── NetworkError             exit 2   the generator network is not acceptable as data
├── HubError                     exit 2   a hub or a registry cannot be reached, refuses, or has no such release
├── TrustError                   exit 3   unsigned, unknown key or wrong signature
├── GateError                    exit 3   the release policy says no; `.reasons` lists why
└── BudgetError                  exit 4   the privacy budget does not allow it
```

Catch `WardganError` for all of them. Every message names the argument, the value, the rule and the way
out, and never a patient's value.
"""

from __future__ import annotations

from collections.abc import Sequence


class WardganError(Exception):
    """Something that wardgan refuses to do."""

    exit_code = 2


class UsageError(WardganError):
    """An argument, a file or a schema is wrong."""


class SchemaError(UsageError):
    """The schema contradicts itself, or says too little for what is asked."""


class DataError(UsageError):
    """Rows that break the schema, or a file that cannot be read."""


class PlanError(UsageError):
    """Epsilon, delta or the family do not fit the cohort."""


class OutputError(UsageError):
    """The output exists already, or cannot be written."""


class ArtifactError(WardganError):
    """A `.hgan` file that must not be used."""


class FormatError(ArtifactError):
    """The file is not a `.hgan` file, or a part of it is malformed."""


class VersionError(ArtifactError):
    """The file was written by a newer major version of the format."""


class DigestError(ArtifactError):
    """Bytes do not match the digest that names them."""


class NetworkError(ArtifactError):
    """The generator network is not acceptable as data."""


class HubError(WardganError):
    """A hub or a registry cannot be reached, refuses what is asked, or has no such release."""


class TrustError(WardganError):
    """The file is unsigned, signed by an unknown key, its signature is wrong, or its bill cannot be checked."""

    exit_code = 3


class GateError(WardganError):
    """The release policy says no.

    Attributes:
        reasons: One sentence for each rule that failed.
    """

    exit_code = 3

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("The release is refused:\n" + "\n".join(f"- {reason}" for reason in self.reasons))


class BudgetError(WardganError):
    """The privacy budget does not allow this read of the patients."""

    exit_code = 4


def counted(number: int, noun: str) -> str:
    """Gives a number with its noun, for messages.

    Example:
        >>> counted(1, "rule"), counted(2500, "column"), counted(2, "class")
        ('1 rule', '2,500 columns', '2 classes')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "es" if noun.endswith("s") else "s")
