"""Keys, trust files and envelopes."""

import base64
import json
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import release_kit as kit
from release_kit import release
from wardgan.errors import OutputError, TrustError, UsageError
from wardgan.seal import keys, sign

DIGEST = "sha256:" + "ab" * 32


def test_new_key_signs_and_is_trusted(tmp_path):
    info = release.new_key(tmp_path / "hospital.key", name="hospital", trust=tmp_path / "trust" / "keys.json")
    assert info.public == tmp_path / "hospital.key.pub"
    assert info.private == tmp_path / "hospital.key"
    assert stat.S_IMODE(info.private.stat().st_mode) == 0o600
    envelope = sign.read_envelope(sign.sign(DIGEST, keys.read_private(info.private)), DIGEST)
    assert envelope.keyid == info.keyid
    assert sign.verify(envelope, keys.read_trust(tmp_path / "trust" / "keys.json")) == "hospital"


def test_private_key_never_lies_open_even_for_a_moment(tmp_path, monkeypatch):
    modes = []
    monkeypatch.setattr(
        "wardgan.files.os.fsync", lambda fd: modes.append(stat.S_IMODE(__import__("os").fstat(fd).st_mode))
    )
    release.new_key(tmp_path / "k", name="a")
    assert modes[0] == 0o600


def test_keys_differ(tmp_path):
    assert release.new_key(tmp_path / "a", name="a").keyid != release.new_key(tmp_path / "b", name="b").keyid


def test_existing_key_is_never_replaced(tmp_path):
    info = release.new_key(tmp_path / "k", name="a")
    before = info.private.read_bytes()
    never = "exists; a key is never replaced: choose another name"
    with pytest.raises(OutputError, match=never):
        release.new_key(tmp_path / "k", name="a")
    info.private.unlink()
    with pytest.raises(OutputError, match=rf"k.pub.*{never}"):
        release.new_key(tmp_path / "k", name="a")
    assert before
    assert not info.private.exists()


def test_arguments_of_another_kind_are_refused(tmp_path):
    for path in (None, 3, "-"):
        with pytest.raises(OutputError):
            release.new_key(path, name="a")
    with pytest.raises(UsageError, match="name=3"):
        release.new_key(tmp_path / "k", name=3)
    for call in (
        lambda: keys.read_private(3),
        lambda: keys.read_trust(3),
        lambda: release.add_key(None, name="a", trust=tmp_path / "t"),
    ):
        with pytest.raises(UsageError, match="is not a path"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_passphrase(tmp_path):
    info = release.new_key(tmp_path / "k", name="a", passphrase=b"correct horse")
    assert b"ENCRYPTED" in info.private.read_bytes()
    assert keys.read_private(info.private, passphrase=b"correct horse")
    for wrong, phrase in ((None, "needs a passphrase"), (b"x", "passphrase is wrong")):
        with pytest.raises(UsageError, match=phrase):
            keys.read_private(info.private, passphrase=wrong)
    with pytest.raises(UsageError, match="is empty"):
        release.new_key(tmp_path / "other", name="a", passphrase=b"")
    assert not (tmp_path / "other").exists()


def test_what_is_no_key(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        keys.read_private(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="not a PEM key"):
        keys.read_private(tmp_path / "text")
    other = generate_private_key(SECP256R1())
    (tmp_path / "ec").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(UsageError, match="not an Ed25519 private key"):
        keys.read_private(tmp_path / "ec")
    pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "ec.pub").write_bytes(pem)
    with pytest.raises(UsageError, match="not an Ed25519 public key"):
        release.add_key(tmp_path / "ec.pub", name="a", trust=tmp_path / "t.json")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "a\x1b[2J"])
def test_names_are_short_and_printable(tmp_path, name):
    with pytest.raises(UsageError, match="short printable name"):
        release.new_key(tmp_path / "k", name=name)
    assert list(tmp_path.iterdir()) == []


def test_trust_file_grows_and_keeps_names_and_keys_apart(tmp_path):
    trust = tmp_path / "t.json"
    first = release.new_key(tmp_path / "a", name="a", trust=trust)
    second = release.new_key(tmp_path / "b", name="b", trust=trust)
    assert [key.name for key in keys.read_trust(trust).keys] == ["a", "b"]
    release.add_key(first.public, name="a", trust=trust)
    assert len(keys.read_trust(trust).keys) == 2
    with pytest.raises(UsageError, match="already"):
        release.add_key(second.public, name="a", trust=trust)
    with pytest.raises(UsageError, match="already"):
        release.add_key(first.public, name="c", trust=trust)
    with pytest.raises(UsageError, match="already"):
        release.new_key(tmp_path / "c", name="a", trust=trust)
    assert not (tmp_path / "c").exists()
    assert len(keys.read_trust(trust).keys) == 2


def test_trust_file_is_the_documented_json(tmp_path):
    trust = tmp_path / "t.json"
    info = release.new_key(tmp_path / "a", name="a", trust=trust)
    found = json.loads(trust.read_text())
    raw = base64.b64decode(found["keys"][0]["public_key"])
    assert found == {
        "version": 1,
        "keys": [{"name": "a", "keyid": info.keyid, "public_key": base64.b64encode(raw).decode()}],
    }
    assert len(raw) == 32


def test_default_trust_file(tmp_path, monkeypatch):
    monkeypatch.setenv("WARDGAN_TRUST", str(tmp_path / "mine.json"))
    assert release.default_trust() == tmp_path / "mine.json"
    assert keys.read_trust().keys == []
    monkeypatch.delenv("WARDGAN_TRUST")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert release.default_trust() == tmp_path / "wardgan" / "trust.json"
    release.add_key(release.new_key(tmp_path / "a", name="a").public, name="a")
    assert [key.name for key in release.read_trust().keys] == ["a"]
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("APPDATA", raising=False)
    assert release.default_trust().parts[-3:] == (".config", "wardgan", "trust.json")


def test_trust_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        release.new_key(tmp_path / "k", name="a", trust=tmp_path / "file" / "t.json")


def test_same_key_and_digest_give_the_same_envelope():
    assert sign.sign(DIGEST, kit.key()) == sign.sign(DIGEST, kit.key())


def test_signature_is_over_the_dsse_encoding():
    """Checked by hand against the words of the DSSE protocol."""
    found = json.loads(sign.sign(DIGEST, kit.key()))
    payload = base64.b64decode(found["payload"])
    signed = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    kit.key().public_key().verify(base64.b64decode(found["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "manifest", "digest": {"sha256": "ab" * 32}}]


def test_every_byte_of_a_signature_matters():
    trust = keys.Trust(
        keys=[
            keys.TrustedKey(
                name="a",
                keyid=keys.keyid_of(kit.key().public_key()),
                public_key=base64.b64encode(kit.key().public_key().public_bytes_raw()).decode(),
            )
        ]
    )
    envelope = sign.read_envelope(sign.sign(DIGEST, kit.key()), DIGEST)
    assert sign.verify(envelope, trust) == "a"
    for at in range(64):
        changed = bytearray(envelope.signature)
        changed[at] ^= 1
        broken = sign.Envelope(envelope.payload, envelope.digest, envelope.keyid, bytes(changed))
        with pytest.raises(TrustError, match="signature is wrong"):
            sign.verify(broken, trust)
