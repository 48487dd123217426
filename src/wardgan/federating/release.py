"""The release of a training: one generator, with a ledger for each hospital behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from wardgan import files
from wardgan.errors import GateError
from wardgan.federating.agreement import Agreement
from wardgan.federating.coordinator import Coordinator
from wardgan.federating.members import Member, ledger_json
from wardgan.privacy.union import Bounds
from wardgan.sample.generator import Generator
from wardgan.seal import gate, joint, keys
from wardgan.seal.artifact import day_of, packed
from wardgan.seal.joint import Named
from wardgan.seal.records import OwnLedger, read


@dataclass(frozen=True)
class Federated:
    """What came of a training.

    Attributes:
        path: The file.
        bounds: What the hospitals' ledgers cost one patient together.
        hospitals: Names of those whose answers count.
        rounds: Rounds of training.
        notices: What a person should know: who was late, refused or failed.
        seconds: Of each round.
    """

    path: Path
    bounds: Bounds
    hospitals: tuple[str, ...]
    rounds: int
    notices: tuple[str, ...]
    seconds: tuple[float, ...]


def federated(
    coordinator: Coordinator, path: str | Path, *, key: str | Path | None = None, passphrase: bytes | None = None,
    override: str | None = None, created: str | None = None, force: bool = False,
) -> Federated:  # fmt: skip
    """Trains, and writes the generator of all hospitals with one ledger for each of them.

    Args:
        coordinator: The training.
        path: The `.hgan` file.
        key: Private key that signs the file; `None` leaves it unsigned.
        passphrase: Of the private key.
        override: `person: reason`, needed without privacy.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        force: Whether an existing file may be replaced.

    Raises:
        TooFewError: Fewer hospitals than agreed on took part; run again to go on.
        BudgetError: The hospitals have spent all steps in an earlier training of the same agreement.
        GateError: Without privacy nobody answers for it; or the ledgers cost too much together.
        OutputError: The file exists, or cannot be written.
    """
    files.check_new(path, force=force)
    day, agreement = day_of(created), coordinator.agreement
    check_release(agreement, key=key, passphrase=passphrase, override=override)
    game = coordinator.run()
    state = coordinator.state
    made = game.network()
    members = [one for one in state.members.values() if one.counted(private=coordinator.private)]
    ledgers = [_named(one, agreement) for one in members]
    bounds = joint.bounds_of(ledgers, overlap=agreement.overlap)
    claim = joint.claim(bounds)
    if claim["mode"] == "none" and override is None:
        raise GateError(["Together the hospitals cost more than an epsilon that protects anybody; declare an overlap."])
    population = sum(one.population for one in members)
    schema = replace(agreement.schema, name=agreement.name, population=population, confirm=())
    generator = Generator(schema, agreement.family, made.onnx, made.latent, made.probabilities, claim)
    ledger = joint.ledger_of(
        ledgers, claim, how="federated", of=agreement.digest, overlap=agreement.overlap, family=agreement.family,
        rounds=state.round,
    )  # fmt: skip
    data = packed(
        generator, ledger, day, override=override if claim["mode"] == "none" else None, key=key, passphrase=passphrase,
        data_id=joint.data_id(ledgers),
    )  # fmt: skip
    files.write_bytes(path, data, force=force)
    coordinator.farewell()
    names = tuple(one.name for one in ledgers)
    return Federated(Path(path), bounds, names, state.round, tuple(state.notices), tuple(state.seconds))


def check_release(
    agreement: Agreement, *, key: str | Path | None, passphrase: bytes | None, override: str | None
) -> None:
    """Refuses what would refuse the release, before a hospital has spent anything.

    Args:
        agreement: What was agreed on.
        key: See `federated`.
        passphrase: See `federated`.
        override: See `federated`.

    Raises:
        UsageError: The key cannot be used.
        GateError: Without privacy nobody answers for it; or the hospitals would cost too much together.
    """
    if key is not None:
        keys.read_private(key, passphrase=passphrase)
    reasons = [] if override is None else gate.override_reasons(override)
    if agreement.epsilon is None and override is None:
        reasons.append("The training is without privacy; it may leave only with an override 'person: reason'.")
    if reasons:
        raise GateError(reasons)


def _named(member: Member, agreement: Agreement) -> Named:
    ledger = ledger_json(member, agreement)
    source = joint.digest_of_part(agreement.digest, member.patients, member.part)
    return Named(source, member.patients, read(OwnLedger, ledger, f"ledger of {member.name}"), member.name)
