"""Files with forged, moved, missing or malformed signatures."""

import base64
import io
import json

import pytest

import release_kit as kit
from release_kit import release
from wardgan.errors import DigestError, FormatError, TrustError
from wardgan.seal import oci, reading, sign, tar
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
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


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
    "other predicate": (lambda: signed_statement(lambda s: s.update(predicateType="x")), TrustError, "predicateType"),
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
    for name in ("check_network", "read_card", "read_ledger", "_schema", "check_readme"):
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


def test_the_true_signature_passes(tmp_path, trust):
    path = kit.write(tmp_path, kit.valid(kit.key(1)))
    assert release.load(path, trust=trust).family == "copula"
    assert release.verify(path, trust, rebill=lambda _: 0.97).signer == "hospital"
