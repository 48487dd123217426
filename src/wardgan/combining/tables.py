"""Noisy tables: what a hospital answered to a survey, with its bill, signed; they add up with those of others."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wardgan import files
from wardgan._version import __version__
from wardgan.encode.layout import Layout
from wardgan.errors import FormatError, GateError, UsageError
from wardgan.models.anchor.answered import questions
from wardgan.models.anchor.survey import Survey
from wardgan.models.anchor.surveyed import SURVEY
from wardgan.models.base import LEDGER
from wardgan.models.fit import declared_in
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import kept_answer, nobodys
from wardgan.schema.schema import Schema
from wardgan.seal import gate, keys, sign
from wardgan.seal.artifact import check_data_id, day_of
from wardgan.seal.joint import Named, bound_of
from wardgan.seal.json_text import canonical, parse
from wardgan.seal.reading import Signature, opened, schema_of, signed_by
from wardgan.seal.records import DataId, LedgerRecord, Record, Text, read, read_ledger

FORMAT: Final = "wardgan-tables"
VERSION: Final = 1
CAP: Final = 256 << 20
_FREE: Final = {"terms"}


class _Record(Record):
    format: Literal["wardgan-tables"]
    version: Literal[1]
    package: Annotated[str, Field(max_length=50)]
    created: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    patients: DataId
    answers: Annotated[dict[Text, str], Field(min_length=1, max_length=16)]


@dataclass(frozen=True, eq=False, repr=False)
class Tables:
    """The noisy tables of one hospital.

    Attributes:
        digest: Of all that they say.
        signature: Who signed them.
        patients: Opaque name of the patients.
        schema: What the patients obey.
        survey: What was asked.
        ledger: What it has cost.
        answers: By name of the event, shape (numbers,).
    """

    digest: str
    signature: Signature
    patients: str
    schema: Schema
    survey: Survey
    ledger: LedgerRecord
    answers: Mapping[str, NDArray[np.float64]]

    def __repr__(self) -> str:
        return f"Tables({self.schema.name!r}, {len(self.answers)} answers)"

    @property
    def behind(self) -> Named:
        """The ledger behind them."""
        return Named(self.digest, self.patients, self.ledger, self.schema.name)


def write_tables(
    run: str | Path, path: str | Path, *, key: str | Path | None = None, passphrase: bytes | None = None,
    training_data_id: str | None = None, created: str | None = None, force: bool = False,
) -> Path:  # fmt: skip
    """Writes the noisy tables of a run that answered a survey: they were paid for, so they may leave like a generator.

    Args:
        run: Run folder of a finished private fit of `copula` or `marginal` with a survey.
        path: The file.
        key: The hospital's private key; `None` leaves the file unsigned.
        passphrase: Of the private key.
        training_data_id: Opaque name of the patients, as for `release`; `None` names this fit only.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        force: Whether an existing file may be replaced.

    Raises:
        UsageError: The run answered no survey, or stopped before the end.
        GateError: The run is a rehearsal, or its ledger is not in order.
        FormatError: The run folder is damaged.
        OutputError: The file exists, or cannot be written.
    """
    files.check_new(path, force=force)
    folder = Path(run)
    ledger, schema, answers = _finished(folder)
    if training_data_id is not None:
        check_data_id(training_data_id=training_data_id)
    reasons = gate.ledger_reasons(read_ledger(ledger, "ledger"), None) + gate.schema_reasons(schema)
    if reasons:
        raise GateError(reasons)
    plain = {name: base64.b64encode(answer.astype("<f8").tobytes()).decode() for name, answer in answers.items()}
    fit = hashlib.sha256(canonical(ledger) + canonical(plain)).hexdigest()[:32]
    body = {
        "format": FORMAT, "version": VERSION, "package": __version__, "created": day_of(created),
        "patients": training_data_id or f"fit-{fit}", "schema": schema.to_dict(),
        "survey": json.loads((folder / SURVEY).read_text(encoding="utf-8")), "ledger": ledger, "answers": plain,
    }  # fmt: skip
    data = canonical(body, sort=False)
    digest = _digest(data)
    private = None if key is None else keys.read_private(key, passphrase=passphrase)
    envelope = b"null" if private is None else sign.sign(digest, private)
    whole = b'{"tables":' + data + b',"signature":' + envelope + b"}"
    _tables(whole, lambda *_: Signature("unsigned"))  # what a receiver would refuse must not leave
    return files.write_bytes(path, whole, force=force)


def _finished(folder: Path) -> tuple[dict[str, object], Schema, dict[str, NDArray[np.float64]]]:
    """Gives ledger, schema and answers of a run that answered a survey, whether or not it has a generator."""
    if not (folder / SURVEY).is_file():
        raise UsageError(
            f"run={str(folder)!r} answered no survey; fit with --survey FILE, so that the answers of "
            "all hospitals are about the same questions."
        )
    found = Ledger.resume(folder / LEDGER)
    if found.plan is None:
        raise GateError(["Tables without noise never leave; fit with a budget (--epsilon)."])
    missing = [event.name for event in found.plan.events if found.steps(event.name) < event.steps]
    if missing:
        raise UsageError(f"run={str(folder)!r} was stopped before {missing[0]!r} was asked; finish it: fit --resume.")
    answers = {one.name: kept_answer(folder / f"{one.name.replace(' ', '-')}.npy") for one in found.events}
    return found.to_dict(), replace(declared_in(folder), confirm=()), answers


def read_tables(path: str | Path, *, trust: str | Path | None = None) -> Tables:
    """Reads noisy tables; nothing in the file is believed before it is checked.

    Args:
        path: The file.
        trust: Trust file: then they must be signed by a key in it.

    Raises:
        UsageError: The file cannot be opened.
        FormatError: It is none, or its parts contradict each other.
        TrustError: The signature is missing, unknown or wrong.
    """
    try:
        with opened(path) as file:
            data = file.read(CAP + 1)
    except OSError as error:
        raise UsageError(f"path={str(path)!r} cannot be read: {error.strerror or error}.") from error
    return _tables(data, lambda digest, envelope: signed_by(digest, envelope, trust, required=trust is not None), path)


def _tables(data: bytes, judge: object, path: str | Path = "tables") -> Tables:
    what = Path(path).name
    if not data.lstrip().startswith(b"{"):
        raise FormatError(f"{what}: is no file of noisy tables; wardgan pool tables writes one.")
    found = parse(data, what=what, cap=CAP)
    if not isinstance(found, dict) or set(found) != {"tables", "signature"} or not isinstance(found["tables"], dict):
        raise FormatError(f"{what}: is no file of noisy tables; wardgan pool tables writes one.")
    body = cast("dict[str, object]", found["tables"])
    digest = _digest(canonical(body, sort=False))
    envelope = None if found["signature"] is None else canonical(found["signature"])
    signature = cast("Signature", judge(digest, envelope))  # pyright: ignore[reportCallIssue]
    parts = {name: body.pop(name, None) for name in ("schema", "survey", "ledger")}
    record = read(_Record, body, what)
    schema = schema_of(parts["schema"])
    ledger = read_ledger(parts["ledger"], what)
    survey = Survey.of_dict(parts["survey"], Layout.of(schema))
    reasons = gate.ledger_reasons(ledger, None)
    if reasons or ledger.sites is not None or ledger.mode == "none":
        raise FormatError(f"{what}: {reasons[0] if reasons else 'tables come from one hospital, with a budget.'}")
    bound_of(ledger)
    answers = {name: _numbers(text, name, what) for name, text in record.answers.items()}
    if set(answers) != {event.name for event in ledger.events} or any(
        event.mechanism != "gaussian" or event.steps != 1 for event in ledger.events
    ):
        raise FormatError(f"{what}: its answers are not those of its ledger, one for each noisy table.")
    layout = Layout.of(schema)
    wanted = {name: nobodys(query, layout).shape for name, query in questions(layout, survey).items()}
    if wanted != {name: answer.shape for name, answer in answers.items()}:
        raise FormatError(f"{what}: its answers are not to the questions of its survey.")
    return Tables(digest, signature, record.patients, schema, survey, ledger, answers)


def _numbers(text: str, name: str, what: str) -> NDArray[np.float64]:
    try:
        answer = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"{what}: the answer {name!r} is no list of numbers.") from error
    if not np.isfinite(answer).all():
        raise FormatError(f"{what}: the answer {name!r} has a number that is not finite.")
    return answer


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def names_of(all_tables: Sequence[Tables]) -> list[str]:
    """Gives what the hospitals are called, each name once."""
    found: list[str] = []
    for one in all_tables:
        name, number = one.schema.name, 2
        while name in found:
            name, number = f"{one.schema.name} {number}", number + 1
        found.append(name)
    return found
