"""A reader of `.hgan` files, written from docs/format.md alone: nothing of wardgan is imported here.

Numbers in brackets are sections of that page. It verifies and samples files of one generator, without `after`, groups
and rules beyond the comparison of two columns.
"""

import base64
import hashlib
import io
import json
import math
import re
import tarfile

import numpy as np
import onnxruntime
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CARD, SIGNATURE = "application/vnd.wardgan.card.v1+json", "application/vnd.wardgan.signature.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
TITLE, REF = "org.opencontainers.image.title", "org.opencontainers.image.ref.name"
PARTS = {
    "card.json": CARD,
    "generator.onnx": "application/vnd.wardgan.generator.v1+onnx",
    "schema.json": "application/vnd.wardgan.schema.v1+json",
    "privacy.json": "application/vnd.wardgan.privacy.v1+json",
    "README.md": "text/markdown",
    "dossier.json": "application/vnd.wardgan.dossier.v1+json",
}


class Refused(Exception):
    """The file is not as the page says."""


def must(holds, why):
    if not holds:
        raise Refused(why)


def parsed(data):
    """[2] JSON without keys that are given twice."""

    def unique(pairs):
        must(len(dict(pairs)) == len(pairs), "a key is there twice")
        return dict(pairs)

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except ValueError as error:
        raise Refused(str(error)) from error


def canonical(value):
    """[2] Sorted keys, no spaces, characters as themselves."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def header(name, size):
    """[1] The one header that a member may have."""
    block = bytearray(512)
    block[: len(name)] = name.encode()
    block[100:156] = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0" + b" " * 8
    block[156:157], block[257:265] = b"0", b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def members(data):
    """[1] The members of the tar, which must be the one tar that they make."""
    must(len(data) <= 1 << 30, "too long")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as file:
            found = {one.name: file.extractfile(one).read() for one in file.getmembers() if one.isfile()}
    except (tarfile.TarError, AttributeError) as error:
        raise Refused(str(error)) from error
    must(all(re.fullmatch(r"oci-layout|index\.json|blobs/sha256/[0-9a-f]{64}", name) for name in found), "a name")
    parts = [header(name, len(one)) + one + bytes(-len(one) % 512) for name, one in sorted(found.items())]
    must(len(found) <= 16 and b"".join(parts) + bytes(1024) == data, "not the one spelling of its members")
    return found


class Release:
    """A file that was checked.

    Attributes:
        name: Digest of the model's manifest, which is the name of the release.
        signer: Name of the key that signed it, or None.
        card, schema, privacy: What these parts hold.
    """

    def __init__(self, data, trust=()):
        blobs = members(data)
        must(blobs.pop("oci-layout", b"") == b'{"imageLayoutVersion":"1.0.0"}', "oci-layout")
        index = blobs.pop("index.json", b"")
        found = parsed(index)
        must(canonical(found) == index and len(index) <= 256 << 10, "index.json is not canonical")
        kinds = [one["artifactType"] for one in found["manifests"]]
        must(kinds in ([CARD], [CARD, SIGNATURE]), "index.json lists other manifests")
        must(found["schemaVersion"] == 2 and found["mediaType"] == INDEX, "index.json's kind")
        for one, name in zip(found["manifests"], ("model", "signature"), strict=False):
            must(one["annotations"] == {REF: name} and one["mediaType"] == MANIFEST, "an entry of index.json")
        self.used = set()
        self.blobs = blobs
        model, *signatures = found["manifests"]
        manifest = parsed(self.blob(model))
        must(manifest["artifactType"] == CARD and manifest["mediaType"] == MANIFEST, "the manifest's kind")
        named = [manifest["config"], *manifest["layers"]]
        titles = [one["annotations"][TITLE] for one in named]
        must(titles in (list(PARTS), list(PARTS)[:5]), "the parts, or their order")
        must([one["mediaType"] for one in named] == [PARTS[title] for title in titles], "a part's media type")
        self.name, self.signer = model["digest"], None
        for one in signatures:
            self.signer = self.signed(one, model, trust)
        parts = {title: self.blob(one) for title, one in zip(titles, named, strict=True)}
        must(self.used == set(blobs), "a blob that no manifest names")
        self.card, self.schema = parsed(parts["card.json"]), parsed(parts["schema.json"])
        self.privacy, self.network = parsed(parts["privacy.json"]), parts["generator.onnx"]
        self.agree(parts)

    def blob(self, descriptor):
        """[3] Size and digest before anything is parsed."""
        place = "blobs/" + descriptor["digest"].replace(":", "/")
        data = self.blobs.get(place, b"")
        must(len(data) == descriptor["size"] and digest(data) == descriptor["digest"], "a digest")
        self.used.add(place)
        return data

    def signed(self, descriptor, model, trust):
        """[4] The name of the key that signed the model's manifest."""
        manifest = parsed(self.blob(descriptor))
        same = {name: manifest["subject"][name] for name in ("digest", "size", "mediaType")}
        must(same == {name: model[name] for name in same}, "the signature is for another manifest")
        must(self.blob(manifest["config"]) == b"{}", "the empty config")
        envelope = parsed(self.blob(manifest["layers"][0]))
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = envelope["payloadType"]
        encoded = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        statement = parsed(payload)
        must(statement["subject"] == [{"name": "manifest", "digest": {"sha256": self.name[7:]}}], "the subject")
        must(statement["predicateType"] == "urn:wardgan:release:v1", "the predicate")
        (signature,) = envelope["signatures"]
        for key in trust:
            public = base64.b64decode(key["public_key"], validate=True)
            if key["keyid"] == signature["keyid"] == hashlib.sha256(public).hexdigest():
                Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature["sig"]), encoded)
                return key["name"]
        raise Refused("signed by a key that is not trusted")

    def agree(self, parts):
        """[6, 11, 12] What must be the same in two places."""
        card, ledger = self.card, self.privacy
        must(card["format"] == "wardgan" and card["version"].split(".")[0] == "1", "the version")
        must(canonical(card) == parts["card.json"] and canonical(ledger) == parts["privacy.json"], "not canonical")
        must(card["network"] == digest(self.network), "the network")
        must(card["schema_fingerprint"] == digest(canonical(self.schema)), "the fingerprint")
        must(card["name"] == self.schema["name"], "the name")
        must(card["variables"] == len(self.variables()), "the variables")
        sizes = [len(levels(one)) for one in self.labels().values()]
        must(len(card["probabilities"]) == math.prod(sizes), "the classes")
        must(abs(sum(card["probabilities"]) - 1) <= 1e-6, "the shares")
        stated = card["privacy"]
        must(stated["mode"] == ledger["mode"], "the mode")
        if stated["mode"] == "private":
            must([stated["epsilon"], stated["delta"]] == [ledger["epsilon"], ledger["delta"]], "the budget")
            must(ledger["spent"]["epsilon"] <= ledger["epsilon"], "more was spent than was allowed")
            must(not ledger["unbilled"] and not ledger["replayable"] and ledger["events"], "the ledger")

    def labels(self):
        """[10] The label columns in the order of the table; the event of `events` is one."""
        event = self.schema.get("events", {}).get("event")
        return {name: one for name, one in self.schema["table"].items() if one.get("label") or name == event}

    def slots(self):
        """[10] Names of the visits' slots."""
        visits = self.schema["visits"]
        if "max_visits" in visits:
            return [str(at + 1) for at in range(visits["max_visits"])]
        grid = visits["grid"]
        if isinstance(grid, list):
            return [str(name) for name in grid]
        bins = round((grid["stop"] - grid["start"]) / grid["step"])
        return [f"{grid['start'] + at * grid['step']:.12g}{grid.get('unit', '')}" for at in range(bins)]

    def variables(self):
        """[10] Name, column and slot of each variable, in order."""
        labels, visits = self.labels(), self.schema.get("visits")
        found = [(name, one, -1) for name, one in self.schema["table"].items() if name not in labels and not fixed(one)]
        if visits is None:
            return found
        slots = self.slots()
        if "max_visits" in visits:
            found.append(("@count", {"kind": "integer", "low": 0, "high": len(slots)}, -1))
        elif not visits.get("complete"):
            found += [("@took place", {"kind": "flag"}, at) for at in range(len(slots))]
        for name, one in visits["columns"].items():
            gap = (
                one
                if fixed(one)
                else {**one, "kind": "number", "low": 0, "high": one.get("high", 0) - one.get("low", 0)}
            )
            gap.setdefault("step", 1 if one["kind"] == "integer" else None)
            times = "max_visits" in visits and name == visits["key"]
            found += [(name, gap if times and at else one, at) for at in range(len(slots)) if not fixed(one)]
        return found

    def units(self, latent, classes):
        """[9] What the network makes, shape (patients, variables)."""
        session = onnxruntime.InferenceSession(self.network, providers=["CPUExecutionProvider"])
        return session.run(["units"], {"latent": latent.astype(np.float32), "label": classes.astype(np.int64)})[0]

    def patients(self, units, classes):
        """[10] The columns of patients, by name: shape (patients,), or (patients, slots) of the visits."""
        found, rest = {}, np.asarray(classes)
        for name, one in reversed(self.labels().items()):
            rest, found[name] = np.divmod(rest, len(levels(one)))
        for at, (name, one, slot) in enumerate(self.variables()):
            cells = values(units[:, at], one)
            if slot >= 0:
                found.setdefault(name, []).append(cells)
            else:
                found[name] = cells
        found |= {name: np.full(len(units), one["low"]) for name, one in self.schema["table"].items() if fixed(one)}
        return found | self.visited(found, len(units))

    def visited(self, found, n):
        """[10] The columns of the visits; what is called @ is taken out."""
        if "visits" not in self.schema:
            return {}
        visits, slots = self.schema["visits"], self.slots()
        there = np.ones((n, len(slots)), dtype=bool)
        if "@count" in found:
            there = np.arange(len(slots)) < found.pop("@count")[:, None]
        elif "@took place" in found:
            there = np.stack(found.pop("@took place"), 1) == 1
        cells = {name: np.stack(found[name], 1) for name in visits["columns"]}
        if "max_visits" in visits and visits["key"] in cells:
            cells[visits["key"]] = times(cells[visits["key"]], visits["columns"][visits["key"]])
        return {name: np.where(there, one, np.nan) for name, one in cells.items()}

    def broken(self, found):
        """[10] Who breaks a rule: here the comparison of two columns of the table; unknown is not broken."""
        wrong = np.zeros(len(next(iter(found.values()))), dtype=bool)
        for rule in self.schema.get("rules", ()):
            left, right = re.fullmatch(r"(\w+) < (\w+)", rule).groups()
            wrong |= found[left] >= found[right]
        return wrong

    def sample(self, n, seed):
        """[10] Patients, with random numbers of our own."""
        rng = np.random.default_rng(seed)
        classes = rng.choice(len(self.card["probabilities"]), size=n, p=self.card["probabilities"])
        latent = rng.standard_normal((n, self.card["latent"]), dtype=np.float32)
        wrong = np.arange(n)
        units = np.empty((n, self.card["variables"]))
        while len(wrong):
            latent[wrong] = rng.standard_normal((len(wrong), self.card["latent"]), dtype=np.float32)
            units[wrong] = self.units(latent[wrong], classes[wrong])
            wrong = np.flatnonzero(self.broken(self.patients(units, classes)))
        return self.patients(units, classes)


def levels(column):
    return [False, True] if column["kind"] == "flag" else column["levels"]


def fixed(column):
    """[10] A constant has no variable."""
    return "low" in column and column["low"] == column.get("high") and not column.get("nullable")


def values(units, column):
    """[10] The table of kinds."""
    u = np.asarray(units, dtype=np.float64)
    missing = ~(u >= -0.5)
    u = np.where(missing, 0, np.maximum(u, 0))
    if column["kind"] in ("category", "flag"):
        found = np.minimum(np.rint(u), len(levels(column)) - 1)
    else:
        found = numbers(u, column)
    return np.where(missing, np.nan, found)


def numbers(u, column):
    low, high = (day(column[name]) for name in ("low", "high"))
    step = 1 if column["kind"] in ("integer", "date") and not column.get("step") else column.get("step")
    log = column.get("scale") == "log"
    if not step:
        u = np.minimum(u, 1)
        return low * np.exp(u * np.log(high / low)) if log else low + u * (high - low)
    steps = round((high - low) / step) + 1
    place = u * steps
    if log:
        first = low + step / 2
        place = (first * np.exp(np.minimum(u, 1) * np.log((first + steps * step) / first)) - first) / step
    return decimals(low + step * np.minimum(np.floor(place), steps - 1), low, step)


def decimals(found, low, step):
    digits = next((n for n in range(16) if round(low, n) == low and round(step, n) == step), None)
    return found if digits is None else np.round(found, digits)


def day(value):
    return np.datetime64(value).astype("datetime64[D]").astype(int) if isinstance(value, str) else value


def times(cells, column):
    """[10] Times of visits in order: the first, and gaps that never lead beyond the end."""
    step = column.get("step") or (1 if column["kind"] in ("integer", "date") else 0)
    now = cells[:, 0].astype(float)
    found = [now]
    for gap in cells[:, 1:].T:
        left = day(column["high"]) - now
        again = np.minimum(np.mod(gap, np.maximum(left + step, 1e-300)), left)
        now = now + np.where(gap > left, again, gap)
        found.append(now)
    return np.stack(found, 1)
