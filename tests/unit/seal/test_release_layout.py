"""Tar and OCI layout: what is packed is what is read, and other programs can read it."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import release_kit as kit
from wardgan.errors import FormatError
from wardgan.seal import oci, tar


def opened(data: bytes) -> oci.Layout:
    return oci.unpack(io.BytesIO(data), len(data))


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=1500), min_size=5, max_size=5, unique=True))
def test_parts_come_back(contents):
    parts = oci.Parts(*contents)
    data = oci.pack(parts)
    assert opened(data).parts() == parts
    assert oci.pack(parts) == data


def test_python_reads_it_as_a_plain_tar():
    data = kit.valid(kit.key())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = archive.getmembers()
    assert all(m.isreg() and m.mode == 0o644 and m.mtime == m.uid == m.gid == 0 and not m.uname for m in found)
    assert [m.name for m in found] == sorted(m.name for m in found)
    assert {m.name for m in found} == set(kit.members(data))


def test_every_blob_is_named_by_its_digest():
    for name, data in kit.members(kit.valid(kit.key())).items():
        if name.startswith("blobs/"):
            assert name == "blobs/sha256/" + oci.digest_of(data).removeprefix("sha256:")


def test_signature_is_a_second_manifest_with_the_model_as_subject():
    import json

    members = kit.members(kit.valid(kit.key()))
    index = json.loads(members["index.json"])
    model, signature = index["manifests"]
    found = json.loads(members["blobs/sha256/" + signature["digest"].removeprefix("sha256:")])
    assert found["subject"] == {k: model[k] for k in ("mediaType", "digest", "size")}
    assert found["artifactType"] == signature["artifactType"] == oci.SIGNATURE_TYPE


def test_signing_does_not_change_the_name_of_the_release():
    assert opened(kit.valid()).digest == opened(kit.valid(kit.key())).digest


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 8**10, 8**11 - 1])
def test_header_is_the_one_that_python_writes(size):
    """Up to the device numbers, which a regular file does not have."""
    info = tarfile.TarInfo("oci-layout")
    info.size = size
    theirs = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    ours = bytearray(tar.header("oci-layout", size))
    assert tarfile.TarInfo.frombuf(bytes(ours), "ascii", "strict").size == size
    theirs[329:345] = bytes(16)
    theirs[148:156] = ours[148:156] = bytes(8)
    assert theirs == ours


def test_members_are_sorted_whatever_the_order_they_come_in():
    one, other = {"oci-layout": b"x", "index.json": b"y"}, {"index.json": b"y", "oci-layout": b"x"}
    assert tar.join(one) == tar.join(other)


def test_table_reads_headers_only(tmp_path):
    """A part of 100 MB is not read to find out where the next one lies."""
    data = kit.valid()

    class Counting(io.BytesIO):
        total = 0

        def read(self, size=-1):
            found = super().read(size)
            Counting.total += len(found)
            return found

    blob = b"x" * (100 << 20)
    name = "blobs/sha256/" + "0" * 64
    tar.table(Counting(tar.join({**kit.members(data), name: blob})), len(tar.join({**kit.members(data), name: blob})))
    assert Counting.total < 20_000


def test_equal_parts_are_refused():
    """Two parts of the same bytes would share a name."""
    with pytest.raises(FormatError, match="same bytes"):
        opened(oci.pack(oci.Parts(b"a", b"b", b"c", b"d", b"d")))
