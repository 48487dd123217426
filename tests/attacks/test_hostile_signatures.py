"""Files with forged, moved, missing or malformed signatures."""

import base64
import hashlib
import io
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import release_kit as kit
from release_kit import release
from wardgan.errors import DigestError, FormatError, TrustError, UsageError
from wardgan.seal import keys, oci, reading, sign, tar
from wardgan.seal.json_text import canonical


@pytest.fixture
def trust(tmp_path):
    """A trust file with the hospital's key."""
    folder = tmp_path / "keys"
    folder.mkdir()
    public = folder / "hospital.pub"
    public.write_bytes(pem(kit.key(1)))
    release.add_key(public, name="hospital", trust=folder / "trust.json")
    return folder / "trust.json"


def pem(key) -> bytes:
    return pem_of(key.public_key())


def with_envelope(change) -> bytes:
    """Signs with the hospital's key, then changes the envelope."""

    def envelope(digest):
        found = json.loads(sign.sign(digest, kit.key(1)))
        changed = change(found)
        return changed if isinstance(changed, bytes) else canonical(changed or found)

    return oci.pack(kit.parts(), envelope)


def with_payload(change) -> bytes:
    def apply(found):
        statement = json.loads(base64.b64decode(found["payload"]))
        changed = change(statement) or statement
        found["payload"] = base64.b64encode(changed if isinstance(changed, bytes) else canonical(changed)).decode()

    return with_envelope(apply)


def signed_statement(change) -> bytes:
    """The owner of the key signs a statement of another kind; the signature itself is right."""

    def envelope(digest):
        found = json.loads(sign.sign(digest, kit.key(1)))
        statement = json.loads(base64.b64decode(found["payload"]))
        change(statement)
        payload = canonical(statement)
        found["payload"] = base64.b64encode(payload).decode()
        found["signatures"][0]["sig"] = base64.b64encode(kit.key(1).sign(sign.encoding(payload))).decode()
        return canonical(found)

    return oci.pack(kit.parts(), envelope)


def moved() -> bytes:
    """The envelope of another release."""
    other = kit.forge(card=kit.changed(created="2020-01-01"))
    digest = oci.unpack(io.BytesIO(other), len(other)).digest
    return oci.pack(kit.parts(), lambda _: sign.sign(digest, kit.key(1)))


def moved_and_renamed() -> bytes:
    """The envelope of another release, its subject rewritten to this file."""

    def envelope(digest):
        found = json.loads(sign.sign("sha256:" + "0" * 64, kit.key(1)))
        payload = base64.b64decode(found["payload"]).replace(b"0" * 64, digest.removeprefix("sha256:").encode())
        found["payload"] = base64.b64encode(payload).decode()
        return canonical(found)

    return oci.pack(kit.parts(), envelope)


def impostor() -> bytes:
    """Signed with another key under the hospital's key id."""

    def envelope(digest):
        found = json.loads(sign.sign(digest, kit.key(2)))
        found["signatures"][0]["keyid"] = json.loads(sign.sign(digest, kit.key(1)))["signatures"][0]["keyid"]
        return canonical(found)

    return oci.pack(kit.parts(), envelope)


def signature(index=0, **fields):
    return with_envelope(lambda found: found["signatures"][index].update(fields))


def other_subject() -> bytes:
    """A signature manifest that points at another model."""
    members = kit.members(kit.valid(kit.key(1)))
    index = json.loads(members["index.json"])
    name = "blobs/sha256/" + index["manifests"][1]["digest"].removeprefix("sha256:")
    manifest = json.loads(members.pop(name))
    manifest["subject"]["digest"] = "sha256:" + "0" * 64
    data = canonical(manifest)
    digest = oci.digest_of(data)
    members["blobs/sha256/" + digest.removeprefix("sha256:")] = data
    index["manifests"][1] |= {"digest": digest, "size": len(data)}
    members["index.json"] = canonical(index)
    return tar.join(members)


def many_signatures() -> bytes:
    members = kit.members(kit.valid(kit.key(1)))
    index = json.loads(members["index.json"])
    index["manifests"].append(index["manifests"][1])
    members["index.json"] = canonical(index)
    return tar.join(members)


def signature_first() -> bytes:
    members = kit.members(kit.valid(kit.key(1)))
    index = json.loads(members["index.json"])
    index["manifests"].reverse()
    members["index.json"] = canonical(index)
    return tar.join(members)


BOTH = {
    "wrong signature": (lambda: signature(sig=base64.b64encode(bytes(64)).decode()), TrustError, "signature is wrong"),
    "impostor": (impostor, TrustError, "signature is wrong"),
    "moved and renamed": (moved_and_renamed, TrustError, "signature is wrong"),
    "another file's": (moved, TrustError, "belongs to another file"),
    "other subject": (other_subject, TrustError, "belongs to another file"),
    "no JSON": (lambda: with_envelope(lambda _: b"hello"), TrustError, "malformed.*not JSON"),
    "key twice": (lambda: with_envelope(lambda _: b'{"a":1,"a":1}'), TrustError, "malformed.*there twice"),
    "unknown field": (lambda: with_envelope(lambda f: f | {"x": 1}), TrustError, "malformed.*x: Extra"),
    "no signature": (lambda: with_envelope(lambda f: f | {"signatures": []}), TrustError, "malformed.*signatures"),
    "bad base64": (lambda: with_envelope(lambda f: f | {"payload": "%%%"}), TrustError, "malformed"),
    "line end": (lambda: with_envelope(lambda f: f | {"payload": f["payload"] + "\n"}), TrustError, "malformed"),
    "two spellings": (lambda: signature(sig="A" * 85 + "B=="), TrustError, "malformed.*one spelling"),
    "short signature": (lambda: signature(sig=base64.b64encode(b"x" * 63).decode()), TrustError, "63 bytes, not 64"),
    "other type": (lambda: with_envelope(lambda f: f | {"payloadType": "text/plain"}), TrustError, "payloadType"),
    "payload is no JSON": (lambda: with_payload(lambda _: b"x"), TrustError, "malformed.*statement"),
    "other statement": (lambda: signed_statement(lambda s: s.update(_type="x")), TrustError, "malformed.*_type"),
    "other predicate": (lambda: signed_statement(lambda s: s.update(predicateType="x")), TrustError, "means something else"),
    "says something": (lambda: signed_statement(lambda s: s["predicate"].update(x="y")), TrustError, "means something else"),
    "two subjects": (lambda: signed_statement(lambda s: s["subject"].append(s["subject"][0])), TrustError, "subject"),
    "three manifests": (many_signatures, FormatError, "index.json"),
    "signature first": (signature_first, FormatError, "does not list one model"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("asked", [True, False], ids=["trust", "own"])
def test_forged_signature_is_refused(name, asked, tmp_path, trust, monkeypatch):
    """Also where no signature is asked for: a wrong one from a known key is never passed over."""
    make, error, phrase = BOTH[name]
    path = kit.write(tmp_path, make())
    monkeypatch.setenv("WARDGAN_TRUST", str(trust))
    with pytest.raises(error, match=phrase):
        release.load(path, trust=trust if asked else None)
    with pytest.raises(error, match=phrase):
        release.verify(path, trust)


def test_unsigned_file_where_trust_is_asked_for(tmp_path, trust):
    path = kit.write(tmp_path, kit.valid())
    with pytest.raises(TrustError, match="is unsigned"):
        release.load(path, trust=trust)
    with pytest.raises(TrustError, match="is unsigned"):
        release.verify(path, trust)
    assert release.load(path).family == "copula"


def test_unknown_key(tmp_path, trust):
    path = kit.write(tmp_path, kit.valid(kit.key(2)))
    with pytest.raises(TrustError, match="unknown key"):
        release.load(path, trust=trust)
    assert release.load(path).family == "copula"
    assert release.inspect(path)["signature"]["status"] == "unknown key"


def test_stripped_signature_is_an_unsigned_file(tmp_path, trust):
    members = kit.members(kit.valid(kit.key(1)))
    unsigned = kit.members(kit.valid())
    assert unsigned["index.json"] != members["index.json"]
    with pytest.raises(TrustError, match="is unsigned"):
        release.load(kit.write(tmp_path, tar.join(unsigned)), trust=trust)


def test_changed_part_under_a_true_signature(tmp_path, trust):
    """The forger lowers epsilon in the ledger and leaves the signature."""
    members = kit.members(kit.valid(kit.key(1)))
    name = next(key for key, data in members.items() if b'"events"' in data)
    members[name] = members[name].replace(b"0.98", b"0.01")
    with pytest.raises(DigestError, match=r"privacy\.json"):
        release.load(kit.write(tmp_path, tar.join(members)), trust=trust)


def test_nothing_is_parsed_before_the_signature(tmp_path, trust, monkeypatch):
    path = kit.write(tmp_path, kit.valid(kit.key(2)))
    for name in ("check_network", "read_card", "read_ledger", "schema_of", "check_readme"):
        monkeypatch.setattr(reading, name, lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(TrustError, match="unknown key"):
        release.load(path, trust=trust)


def test_missing_and_malformed_trust_files(tmp_path):
    path = kit.write(tmp_path, kit.valid(kit.key(1)))
    with pytest.raises(TrustError, match="cannot be read"):
        release.load(path, trust=tmp_path / "none.json")
    bad = tmp_path / "trust.json"
    for text, phrase in (
        ("{", "not JSON"),
        ('{"version":1,"keys":[],"keys":[]}', "there twice"),
        ('{"version":2,"keys":[]}', "version"),
        ('{"version":1,"keys":[{"name":"x","keyid":"' + "0" * 64 + '","public_key":"AAAA"}]}', "not an Ed25519"),
    ):
        bad.write_text(text)
        with pytest.raises(TrustError, match=phrase):
            release.load(path, trust=bad)


def test_id_of_a_trusted_key_must_be_its_own(tmp_path, trust):
    """A forged trust entry: the hospital's id with the forger's key."""
    found = json.loads(trust.read_text())
    found["keys"][0]["public_key"] = base64.b64encode(kit.key(2).public_key().public_bytes_raw()).decode()
    trust.write_text(json.dumps(found))
    with pytest.raises(TrustError, match="does not belong to its key"):
        release.load(kit.write(tmp_path, kit.valid(kit.key(1))), trust=trust)


# Edwards curve 25519 (RFC 8032, section 5.1), in the slow way.
PRIME = 2**255 - 19
BENT = -121665 * pow(121666, -1, PRIME) % PRIME


def added(one, other):
    (x, y), (u, v) = one, other
    both = BENT * x * u * y * v % PRIME
    return (x * v + u * y) * pow(1 + both, -1, PRIME) % PRIME, (y * v + x * u) * pow(1 - both, -1, PRIME) % PRIME


def encodings(point):
    """Gives every 32 bytes that a lenient reader takes for a point."""
    x, y = point
    tops = (0, 1) if x == 0 else (x & 1,)
    return [(value | top << 255).to_bytes(32, "little") for value in range(y, 2**255, PRIME) for top in tops]


def small_order():
    """Gives the eight points whose eightfold is the neutral element: the multiples of one of order 8.

    A point doubles to y = 0 where x^2 = -y^2, so d y^4 + 2 y^2 - 1 = 0.
    """
    root = root_of(1 + BENT)
    for half in (1, -1):
        y = root_of((-1 + half * root) * pow(BENT, -1, PRIME) % PRIME)
        x = None if y is None else root_of(-y * y % PRIME)
        if x is not None:
            found = [(0, 1)]
            while len(found) < 8:
                found.append(added(found[-1], (x, y)))
            assert added(found[-1], (x, y)) == (0, 1)
            assert len(set(found)) == 8
            return found
    raise AssertionError("no point of order 8")


def root_of(square):
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if root * root % PRIME != square:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return root if root * root % PRIME == square else None


WEAK = sorted({raw for point in small_order() for raw in encodings(point)})
NOT_PROPER = [(PRIME + 2).to_bytes(32, "little"), (2**255 - 1).to_bytes(32, "little"), b"\xff" * 32]


def test_there_are_fourteen_weak_encodings():
    """Eight points; those with y = 0 and y = 1 have a second y below 2^255, those with x = 0 a second sign."""
    assert len(WEAK) == 14
    assert bytes(32) in WEAK


def test_anybody_can_sign_for_a_weak_key():
    """This is why they are refused: the signature was made without any key and fits every message."""
    neutral = (1).to_bytes(32, "little")
    for message in (b"one", b"other"):
        Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), message)


@pytest.mark.parametrize("raw", [*WEAK, *NOT_PROPER], ids=lambda raw: raw.hex()[:4] + raw.hex()[-4:])
def test_weak_keys_are_refused(raw, tmp_path):
    public = Ed25519PublicKey.from_public_bytes(raw)
    path = tmp_path / "weak.pub"
    path.write_bytes(pem_of(public))
    with pytest.raises(UsageError, match="is weak: anybody can sign"):
        release.add_key(path, name="hospital", trust=tmp_path / "trust.json")
    assert not (tmp_path / "trust.json").exists()
    keyid = hashlib.sha256(raw).hexdigest()
    entry = {"name": "hospital", "keyid": keyid, "public_key": base64.b64encode(raw).decode()}
    (tmp_path / "trust.json").write_text(json.dumps({"version": 1, "keys": [entry]}))
    with pytest.raises(TrustError, match="is weak: anybody can sign"):
        release.read_trust(tmp_path / "trust.json")
    with pytest.raises(TrustError, match="is weak: anybody can sign"):
        sign.verify(sign.Envelope(b"{}", "", keyid, bytes(64)), keys.Trust(keys=[keys.TrustedKey(**entry)]))


def test_true_keys_are_not_weak():
    assert not any(keys.weak(kit.key(number).public_key()) for number in range(1, 50))


def pem_of(public) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_the_true_signature_passes(tmp_path, trust):
    path = kit.write(tmp_path, kit.valid(kit.key(1)))
    assert release.load(path, trust=trust).family == "copula"
    assert release.verify(path, trust, rebill=lambda _: 0.97).signer == "hospital"
