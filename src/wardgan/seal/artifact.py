"""The `.hgan` file: release, load, inspect and verify."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardgan import files
from wardgan._version import __version__
from wardgan.errors import GateError, UsageError
from wardgan.sample.generator import Generator
from wardgan.seal import gate, keys, oci, sign
from wardgan.seal.bill import Rebill
from wardgan.seal.card import page_of
from wardgan.seal.joint import billed
from wardgan.seal.json_text import canonical
from wardgan.seal.reading import Model, Signature, claim_of, read_file, read_model, signature_of
from wardgan.seal.records import FORMAT, VERSION, Card, Claim, read, read_ledger

if TYPE_CHECKING:
    from wardgan.models.base import Trained


DATA_ID: Final = re.compile(r"[A-Za-z0-9:._-]{8,100}")


@dataclass(frozen=True)
class Verified:
    """What is known for certain after `verify`.

    Attributes:
        digest: Digest of the manifest: the name of the release.
        signer: Name of the trusted key that signed it.
        keyid: Id of that key.
        privacy: The guarantee that the file claims.
        epsilon: The ledger's events, billed again by the accountant of record; `None` if it is not installed and
            our own confirms the claim, or if the file claims no privacy.
        epsilon_bound: The same, by our own accountant: an upper bound. It is infinite where batches are cut off too
            often for it.
    """

    digest: str
    signer: str
    keyid: str
    privacy: Claim
    epsilon: float | None
    epsilon_bound: float | None


def release(  # noqa: PLR0913 - what a release may be told, in one place
    trained: Trained, path: str | Path, key: str | Path | None = None, override: str | None = None, *,
    force: bool = False, created: str | None = None, passphrase: bytes | None = None,
    training_data_id: str | None = None, dossier: bytes | None = None,
) -> Path:  # fmt: skip
    """Writes a model to a `.hgan` file, if the gate lets it leave: the same model gives the same bytes.

    Args:
        trained: A finished fit.
        path: The file, usually `name.hgan`.
        key: The hospital's private key; `None` leaves the file unsigned, which receivers may refuse.
        override: `person: reason`, needed for a fit without privacy and printed in the file.
        force: Whether an existing file may be replaced.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        passphrase: Of the private key.
        training_data_id: Opaque name of the patients, the same for all models of the same patients, such as a random
            `data-3f9c...`. `None` names this fit only.
        dossier: JSON of the public dossier, in canonical form.

    Returns:
        The path.

    Raises:
        GateError: The model may not leave; `.reasons` lists why.
        OutputError: `path` is no path, the file exists, or cannot be written.
        UsageError: `trained` is no finished fit, the key cannot be used, or the date or the name of the
            patients is none.
        NetworkError: The network is not one that a receiver would accept.
    """
    files.check_new(path, force=force)
    if not isinstance(getattr(trained, "generator", None), Generator):
        raise UsageError(f"trained: {type(trained).__name__} is no finished fit; pass what fit or Trained.load gives.")
    day = day_of(created)
    if training_data_id is not None:
        check_data_id(training_data_id=training_data_id)
    data = packed(
        trained.generator, trained.ledger.to_dict(), day, override=override, key=key, passphrase=passphrase,
        data_id=training_data_id, dossier=dossier,
    )  # fmt: skip
    return files.write_bytes(path, data, force=force)


def packed(
    generator: Generator, ledger: Mapping[str, object], day: str, *, override: str | None = None,
    key: str | Path | None = None, passphrase: bytes | None = None, data_id: str | None = None,
    dossier: bytes | None = None,
) -> bytes:  # fmt: skip
    """Gives the bytes of a `.hgan` file, if the gate lets the generator leave.

    Args:
        generator: What is sampled.
        ledger: The JSON of its ledger: of one hospital, or of several.
        day: Date, `YYYY-MM-DD`.
        override: See `release`.
        key: See `release`.
        passphrase: See `release`.
        data_id: Opaque name of the patients; `None` names this fit only.
        dossier: JSON of the public dossier.

    Raises:
        GateError: It may not leave.
        UsageError: The key cannot be used.
        NetworkError: The network is not one that a receiver would accept.
    """
    reasons = [*gate.generator_reasons(generator), *gate.claim_reasons(generator.privacy, ledger, override)]
    if reasons:
        raise GateError(reasons)
    private = None if key is None else keys.read_private(key, passphrase=passphrase)
    parts = replace(_parts(generator, ledger, override, day, data_id), dossier=dossier)
    data = oci.pack(parts, None if private is None else lambda digest: sign.sign(digest, private))
    # What a receiver would refuse must not leave.
    read_model(io.BytesIO(data), len(data), lambda _: Signature("unsigned"))
    return data


def load(path: str | Path, *, trust: str | Path | None = None) -> Generator:
    """Gives the generator of a `.hgan` file. Every part is checked before it is used; nothing in it is ever executed.

    Args:
        path: The file.
        trust: Trust file: then the file must be signed by a key in it. `None` is for your own files: an unsigned
            file and an unknown key pass, a wrong signature never does.

    Raises:
        UsageError: The file cannot be opened.
        FormatError: Not a `.hgan` file, or a part of it is malformed or contradicts another.
        VersionError: The file needs a newer wardgan.
        DigestError: Bytes do not match their digest.
        NetworkError: The network is not a plain generator.
        TrustError: The signature is missing, unknown, wrong or belongs to another file.
    """
    return read_file(path, lambda layout: signature_of(layout, trust, required=trust is not None)).generator


def inspect(path: str | Path, trust: str | Path | None = None) -> dict[str, object]:
    """Gives the facts of a `.hgan` file for printing; the file is checked as by `load`.

    Args:
        path: The file.
        trust: Trust file that gives the signer a name; `None` for the default one. An unsigned file and an unknown
            key are facts here, not errors.

    Returns:
        `bytes`, `digest`, `card`, `dossier` (the public one as it stands in the file, or `None`), `privacy` (the
        ledger), `epsilon_bound` (of its events, by our own accountant; `None` if it has none), `schema`, `parts` (name,
        media type, bytes, digest) and `signature` (status, name, keyid). What the ledger says was spent is its own
        word, and what the dossier says the hospital's: `verify` bills and judges again.
    """
    model = read_file(path, lambda layout: signature_of(layout, trust, required=False))
    parts = [model.manifest.config, *model.manifest.layers]
    layers = zip(parts, oci.kinds(len(parts)), strict=True)
    return {
        "bytes": Path(path).stat().st_size,
        "digest": model.digest,
        "card": model.card.model_dump(),
        "dossier": None if model.dossier is None else json.loads(model.dossier),
        "privacy": model.ledger.model_dump(exclude_none=True),
        "epsilon_bound": None if model.bound is None or math.isinf(model.bound) else model.bound,
        "schema": model.generator.schema.to_dict(),
        "parts": [
            {"name": kind.name, "media_type": part.media_type, "bytes": part.size, "digest": part.digest}
            for part, kind in layers
        ],
        "signature": vars(model.signature),
    }


def verify(path: str | Path, trust: str | Path | None = None, *, rebill: Rebill | None = None) -> Verified:
    """Checks everything that can be checked about a `.hgan` file: digests, signature, and the bill.

    Args:
        path: The file.
        trust: Trust file; `None` for the default one. The file must be signed by a key in it.
        rebill: Bills a ledger's JSON again; `None` for the accountant of record, if it is installed.

    Raises:
        TrustError: The file is unsigned, or its signature is unknown, wrong or belongs to another file; or the bill
            cannot be checked, because that takes the accountant of record or too much time.
        FormatError: The ledger's events cost more than the file claims; and whatever `load` raises.
    """
    return verified(read_file(path, lambda layout: signature_of(layout, trust, required=True)), rebill)


def verified(model: Model, rebill: Rebill | None = None) -> Verified:
    """Gives what is known of a file that was read with its signature, once its bill is added up again.

    Args:
        model: The file.
        rebill: See `verify`.

    Raises:
        TrustError: The bill cannot be checked.
        FormatError: The ledger's events cost more than the file claims.
    """
    bound = model.bound
    epsilon = None if bound is None else billed(model.ledger, bound, rebill)
    return Verified(
        model.digest, str(model.signature.name), str(model.signature.keyid), model.card.privacy, epsilon, bound
    )


def check_data_id(**named: str) -> None:
    """Refuses a text that is no opaque name of patients.

    Args:
        named: The text, by the name that its user knows it by.

    Raises:
        UsageError: It is none.
    """
    for name, text in named.items():
        if not DATA_ID.fullmatch(text):
            raise UsageError(
                f"{name}={text!r} is not 8 to 100 letters (a to z), digits and : . _ -; make up a random one, such as "
                "data-3f9c2a71, and keep it for these patients."
            )


def day_of(created: str | None) -> str:
    """Gives a date as `YYYY-MM-DD`: the one that is given, that of `$SOURCE_DATE_EPOCH`, or today.

    Raises:
        UsageError: It is none.
    """
    if created is None:
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        try:
            return datetime.fromtimestamp(time.time() if epoch is None else int(epoch), UTC).date().isoformat()
        except (ValueError, OverflowError, OSError) as error:
            raise UsageError(f"SOURCE_DATE_EPOCH={epoch!r} is not a number of seconds.") from error
    try:
        return date.fromisoformat(created).isoformat()
    except ValueError as error:
        raise UsageError(f"created={created!r} is not a date such as 2026-01-31.") from error


def _parts(
    generator: Generator, ledger: Mapping[str, object], override: str | None, day: str, data_id: str | None
) -> oci.Parts:
    schema = generator.schema
    record = read_ledger(ledger, "ledger")
    licence = schema.terms.get("licence")
    # The order of a schema's keys is the order of its columns, so it is kept.
    declared, bill = canonical(schema.to_dict(), sort=False), canonical(ledger)
    fit = hashlib.sha256(generator.network + bill).hexdigest()[:32]
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "package": __version__,
        "name": schema.name,
        "family": generator.family,
        "created": day,
        "latent": generator.latent,
        "variables": len(generator.layout),
        "probabilities": [float(share) for share in generator.probabilities],
        "training_data_id": f"fit-{fit}" if data_id is None else data_id,
        "ancestor": None,
        "network": oci.digest_of(generator.network),
        "schema_fingerprint": schema.fingerprint(),
        "privacy": claim_of(record).model_dump(),
        "override": override,
        "licence": licence if isinstance(licence, str) else None,
    }
    card = read(Card, facts, "card")
    page = page_of(card, schema, record).encode()
    return oci.Parts(canonical(facts), generator.network, declared, bill, page)
