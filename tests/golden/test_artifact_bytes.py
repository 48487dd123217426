"""The bytes of the format, spelled out: whoever changes them changes the format."""

import base64
import io
from pathlib import Path

import pytest

import release_kit as kit
from release_kit import release
from wardgan.seal import artifact, oci, sign, tar
from wardgan.seal.json_text import canonical

PARTS = oci.Parts(card=b"card", network=b"network", schema=b"schema", privacy=b"privacy", readme=b"readme")
OLD = Path(__file__).with_name("release_1_0.hgan.b64")
MODEL = "34a6d2a8f948ce09386b6edb7d41ebf9162893801024aad87c0924e5abba1dd6"
MANIFEST = (
    '{"artifactType":"application/vnd.wardgan.card.v1+json","config":{"annotations":{"org.opencontainers.image'
    '.title":"card.json"},"digest":"sha256:8367cd66fdd136bba8ba23f8805bb050dd6289401c8ec3b0be44a3c233eef90d","'
    'mediaType":"application/vnd.wardgan.card.v1+json","size":4},"layers":[{"annotations":{"org.opencontainers'
    '.image.title":"generator.onnx"},"digest":"sha256:3009be769fb8f956e8413ee9f3e0836e34968bc40457d0a10c549d2e'
    'dcf00cc1","mediaType":"application/vnd.wardgan.generator.v1+onnx","size":7},{"annotations":{"org.opencont'
    'ainers.image.title":"schema.json"},"digest":"sha256:df0ad6e43880f09c90ebf95f19110178aba6890df0010ebda7485'
    '029e2b543b4","mediaType":"application/vnd.wardgan.schema.v1+json","size":6},{"annotations":{"org.opencont'
    'ainers.image.title":"privacy.json"},"digest":"sha256:a4cc6bc01a927e2a78fd3bec51e865ac0d85e4daab6f988d5d33'
    'd056e125b1c3","mediaType":"application/vnd.wardgan.privacy.v1+json","size":7},{"annotations":{"org.openco'
    'ntainers.image.title":"README.md"},"digest":"sha256:711a6108ba2ce6ca93dd47d6817f2361db10d8ab6eec89460b2df'
    'c2c325efabe","mediaType":"text/markdown","size":6}],"mediaType":"application/vnd.oci.image.manifest.v1+js'
    'on","schemaVersion":2}'
)
KEYID = "34750f98bd59fcfc946da45aaabe933be154a4b5094e1c4abf42866505f3c97e"
SIGNATURE = "L5jlCORoLR2FwnWCX91VrboGHzJAFzwU3foN8kq4nmCZtlbOxe2ArsHw6HpnpAxnNHEiajoNyK8eAV2wm02WDw=="
UNSIGNED = "42dcc9d4c32d244a1b4da3c0e35bad0918da6705cca763c64435cf505556a173"
SIGNED = "8dbf367b9a14c41824020289dc8654d003a992bdcc0dfb9946432cff74ad6c7a"


def test_header():
    block = tar.header("oci-layout", 30)
    assert (
        block.rstrip(b"\0").hex()
        == (
            b"oci-layout" + bytes(90) + b"0000644\x000000000\x000000000\x0000000000036\x0000000000000\x00"
            b"007754\x00 0" + bytes(100) + b"ustar\x0000"
        ).hex()
    )


def test_canonical_json():
    value = {"ß": 1, "b": [1.0, 1e-05, 0.1, True, None], "a": {"d": "ü\n", "c": -3}}
    assert canonical(value).decode() == '{"a":{"c":-3,"d":"ü\\n"},"b":[1.0,1e-05,0.1,true,null],"ß":1}'


def test_layout():
    members = kit_members(oci.pack(PARTS))
    assert members["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'
    assert members["index.json"].decode() == (
        '{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"model"},'
        '"artifactType":"application/vnd.wardgan.card.v1+json",'
        '"digest":"sha256:MODEL","mediaType":"application/vnd.oci.image.manifest.v1+json","size":1177}],'
        '"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}'
    ).replace("MODEL", MODEL)
    assert members[f"blobs/sha256/{MODEL}"].decode() == MANIFEST


def kit_members(data: bytes) -> dict[str, bytes]:
    return {name: data[m.offset : m.offset + m.size] for name, m in tar.table(io.BytesIO(data), len(data)).items()}


def test_envelope():
    envelope = sign.sign("sha256:" + "0" * 64, kit.key(1)).decode()
    payload = (
        '{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"urn:wardgan:release:v1",'
        '"subject":[{"digest":{"sha256":"' + "0" * 64 + '"},"name":"manifest"}]}'
    )
    assert envelope == (
        '{"payload":"' + base64.b64encode(payload.encode()).decode() + '","payloadType":"application/vnd.in-toto+json",'
        '"signatures":[{"keyid":"' + KEYID + '","sig":"' + SIGNATURE + '"}]}'
    )


def test_whole_files():
    assert oci.digest_of(oci.pack(PARTS)) == "sha256:" + UNSIGNED
    assert oci.digest_of(oci.pack(PARTS, lambda digest: sign.sign(digest, kit.key(1)))) == "sha256:" + SIGNED


def test_card_fields():
    made = kit.fit()
    parts = artifact._parts(made.generator, made.ledger.found, None, kit.DAY, "data-12345678")
    text = parts.card.decode().replace(oci.digest_of(parts.network), "NETWORK").replace(artifact.__version__, "PACKAGE")
    assert text == (
        '{"ancestor":null,"created":"2026-01-31","family":"copula","format":"wardgan","latent":3,"licence":"CC-BY-4.0",'
        '"name":"demo","network":"NETWORK","override":null,"package":"PACKAGE",'
        '"privacy":{"delta":1e-05,"epsilon":1.0,"mode":"private","neighbours":"add-or-remove","unit":"patient"},'
        '"probabilities":[0.5,0.5],'
        '"schema_fingerprint":"sha256:b20a82055c4a9334195319da74e9f606874d441a21cf6921beb8ac99ef468c08",'
        '"training_data_id":"data-12345678","variables":4,"version":"1.0"}'
    )


@pytest.fixture
def old(tmp_path):
    """A signed file of format 1.0 and its trust file; its package was an earlier one, whose page has other words."""
    path = tmp_path / "old.hgan"
    path.write_bytes(base64.b64decode(OLD.read_text()))
    public = tmp_path / "k.pub"
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public.write_bytes(kit.key(1).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    release.add_key(public, name="hospital", trust=tmp_path / "trust.json")
    return path, tmp_path / "trust.json"


def test_files_of_version_1_0_can_always_be_read(old):
    path, trust = old
    found = release.load(path, trust=trust)
    assert [column.name for column in found.schema.table] == ["sex", "arm", "age"]
    assert release.inspect(path)["card"]["version"] == "1.0"
    assert len(found.draw(5, seed=1)) == 5
