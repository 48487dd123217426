"""Which patients a cohort holds, as one number that tells nothing to whoever lacks the key (Rule P14)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import numpy as np

from wardgan.schema.cohort import Cohort
from wardgan.schema.image_cohort import AnyCohort, ImageCohort
from wardgan.schema.keys import plain_key

KEY_BYTES: Final = 32


def fingerprint(cohort: AnyCohort, key: bytes) -> str:
    """Gives the name of a set of patients, which says nothing about them without the key.

    Where the schema names the patient it is made from the set of patient keys, whatever their order, and from nothing
    else: it stays the same when columns or visits are added, taken away or mended, and when the file is exported
    again, also if the new file has lost capitals, leading zeros or the order of its rows. Without such a key it is
    made from all cells of the rows, in whatever order, so it changes with the columns.

    One patient more or less gives another fingerprint. Whoever has the key *and* guesses all patients can confirm the
    guess; without the key nothing can be tried (HMAC-SHA256, Krawczyk, Bellare, Canetti 1997).

    Args:
        cohort: The patients.
        key: Secret bytes, made once for each ledger and kept outside of it.

    Example:
        >>> import pandas as pd
        >>> from wardgan import Schema, read
        >>> table = {"age": {"kind": "integer", "low": 0, "high": 99}}
        >>> schema = Schema.from_dict({"name": "demo", "patient": "id", "table": table})
        >>> one = read(pd.DataFrame({"id": ["P1", "P2"], "age": [50, 61]}), schema)
        >>> same = read(pd.DataFrame({"id": ["p2", "p1"], "age": [62, 50]}), schema)
        >>> fingerprint(one, b"secret") == fingerprint(same, b"secret")
        True
    """
    digest = hmac.new(key, digestmod=hashlib.sha256)
    if isinstance(cohort, ImageCohort):
        # Names are not kept; where nothing said whose an image is, what is kept is made from the image.
        digest.update(b"images\0" + "".join(sorted(cohort.patients.tolist())).encode())
    elif cohort.schema.patient is None:
        digest.update(b"cells\0")
        digest.update(_cells(cohort))
    else:
        digest.update(b"patients\0")
        names = sorted({plain_key(str(name)) for name in cohort.patients.tolist()})
        texts = [name.encode("utf-8", "surrogatepass") for name in names]
        digest.update(b"".join(len(text).to_bytes(8, "big") + text for text in texts))
    return digest.hexdigest()


def _cells(cohort: Cohort) -> bytes:
    names = sorted(cohort.static)
    # Adding 0 makes one zero of two, and where() one hole of all.
    rows = np.column_stack([np.where(np.isnan(column := cohort.static[name]), np.nan, column + 0.0) for name in names])
    order = np.lexsort(rows.T[::-1])
    return "\0".join(names).encode() + b"\0\0" + np.ascontiguousarray(rows[order]).tobytes()
