"""Files whose outer wrapping was made to harm; every one must be refused before anything is parsed."""

import gzip
import io
import os
import tarfile

import pytest

import release_kit as kit
from release_kit import release
from wardgan.errors import DigestError, FormatError, UsageError
from wardgan.seal import oci, tar
from wardgan.seal.json_text import canonical


def made_by_tarfile(*extra: tarfile.TarInfo, data: bytes = b"x", pax: dict[str, str] | None = None) -> bytes:
    """Gives a tar of the good members, and hostile ones in front."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT if pax else tarfile.USTAR_FORMAT) as archive:
        for info in extra:
            info.size = len(data) if info.isreg() else 0
            info.pax_headers = pax or {}
            archive.addfile(info, io.BytesIO(data))
        for name, content in sorted(kit.members(kit.valid()).items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def raw(*pairs: tuple[str, bytes]) -> bytes:
    """Gives a tar of members in the given order, with headers of ours."""
    blocks = [tar.header(name, len(data)) + data + bytes(-len(data) % 512) for name, data in pairs]
    return b"".join(blocks) + bytes(1024)


def good() -> list[tuple[str, bytes]]:
    return sorted(kit.members(kit.valid()).items())


def with_header(change) -> bytes:
    """Changes the first header and mends its checksum."""
    data = bytearray(kit.valid())
    change(data)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def put(at: int, what: bytes):
    def change(data: bytearray) -> None:
        data[at : at + len(what)] = what

    return change


BLOB = "blobs/sha256/" + "a" * 64


def hidden_in_padding() -> bytes:
    data = bytearray(kit.valid())
    size = int(data[124:135], 8)
    assert size % 512
    data[512 + size] = 1
    return bytes(data)


def index() -> bytes:
    return dict(good())["index.json"]


def replaced(name: str, data: bytes) -> bytes:
    return raw(*sorted({**dict(good()), name: data}.items()))


def blob_of(kind: str) -> tuple[str, bytes]:
    content = {"card": kit.parts().card, "network": kit.parts().network}[kind]
    return "blobs/sha256/" + oci.digest_of(content).removeprefix("sha256:"), content


def flipped() -> bytes:
    name, data = blob_of("network")
    return replaced(name, data[:-1] + bytes([data[-1] ^ 1]))


def longer() -> bytes:
    name, data = blob_of("network")
    return replaced(name, data + b"x")


def swapped() -> bytes:
    """Two releases of the same length, one with the other's card under its own card's name."""
    name, data = blob_of("card")
    other = data.replace(b"2026-01-31", b"2026-01-30")
    assert other != data
    return replaced(name, other)


CASES = {
    "empty file": (lambda: b"", FormatError, "is empty"),
    "a few bytes": (lambda: b"hello", FormatError, "not a .hgan file"),
    "not a tar": (lambda: b"<html>" * 500, FormatError, "no USTAR tar"),
    "gzip": (lambda: gzip.compress(kit.valid(), mtime=0), FormatError, "compressed"),
    "short gzip": (lambda: gzip.compress(b"", mtime=0), FormatError, "compressed"),
    "zip": (lambda: b"PK\x03\x04" + bytes(600), FormatError, "compressed"),
    "traversal": (lambda: made_by_tarfile(member("../../etc/passwd")), FormatError, "does not belong"),
    "traversal inside": (lambda: made_by_tarfile(member("blobs/sha256/../../x")), FormatError, "does not belong"),
    "absolute name": (lambda: made_by_tarfile(member("/etc/passwd")), FormatError, "does not belong"),
    "home": (lambda: made_by_tarfile(member("~/.bashrc")), FormatError, "does not belong"),
    "longer name": (lambda: made_by_tarfile(member(BLOB + ".py")), FormatError, "does not belong"),
    "upper-case digest": (lambda: made_by_tarfile(member("blobs/sha256/" + "A" * 64)), FormatError, "does not belong"),
    "symbolic link": (lambda: made_by_tarfile(member(BLOB, tarfile.SYMTYPE, "/etc/passwd")), FormatError, "symbolic"),
    "hard link": (lambda: made_by_tarfile(member(BLOB, tarfile.LNKTYPE, "index.json")), FormatError, "hard link"),
    "character device": (lambda: made_by_tarfile(member(BLOB, tarfile.CHRTYPE)), FormatError, "character device"),
    "block device": (lambda: made_by_tarfile(member(BLOB, tarfile.BLKTYPE)), FormatError, "block device"),
    "named pipe": (lambda: made_by_tarfile(member(BLOB, tarfile.FIFOTYPE)), FormatError, "named pipe"),
    "folder": (lambda: made_by_tarfile(member("blobs", tarfile.DIRTYPE)), FormatError, "a folder"),
    "sparse file": (lambda: made_by_tarfile(member(BLOB, tarfile.GNUTYPE_SPARSE)), FormatError, "sparse"),
    "pax header": (lambda: made_by_tarfile(member(BLOB), pax={"path": "../x"}), FormatError, "pax header"),
    "GNU long name": (lambda: made_by_tarfile(member(BLOB, tarfile.GNUTYPE_LONGNAME)), FormatError, "GNU long name"),
    "unknown kind": (lambda: with_header(put(156, b"Z")), FormatError, "unknown kind"),
    "owner": (lambda: with_header(put(265, b"alice")), FormatError, "owner, time, mode"),
    "time": (lambda: with_header(put(136, b"14000000000\0")), FormatError, "owner, time, mode"),
    "setuid": (lambda: with_header(put(100, b"0004755\0")), FormatError, "owner, time, mode"),
    "prefix": (lambda: with_header(put(345, b"../..")), FormatError, "owner, time, mode"),
    "wrong checksum": (lambda: kit.valid()[:148] + b"000000\0 " + kit.valid()[156:], FormatError, "is damaged"),
    "base-256 size": (lambda: with_header(put(124, b"\x80" + bytes(10) + b"\xff")), FormatError, "malformed size"),
    "negative size": (lambda: with_header(put(124, b"-0000000010\0")), FormatError, "malformed size"),
    "huge size": (lambda: with_header(put(124, b"77777777777\0")), FormatError, "cut off"),
    "twice": (lambda: raw(good()[0], *good()), FormatError, "there twice"),
    "twice, apart": (lambda: raw(*good(), good()[0]), FormatError, "there twice"),
    "order": (lambda: raw(*reversed(good())), FormatError, "out of order"),
    "many members": (
        lambda: raw(*((f"blobs/sha256/{at:064x}", b"") for at in range(40))),
        FormatError,
        "more than 16 members",
    ),
    "cut off in a member": (lambda: kit.valid()[:1000], FormatError, "cut off"),
    "cut off at the end": (lambda: kit.valid()[:-1024], FormatError, "cut off"),
    "one empty block": (lambda: kit.valid()[:-512], FormatError, "cut off"),
    "bytes behind the end": (lambda: kit.valid() + b"secret", FormatError, "behind its end"),
    "second tar behind": (lambda: kit.valid() + kit.valid(), FormatError, "behind its end"),
    "bytes behind a member": (hidden_in_padding, FormatError, "hidden behind"),
    "no index": (lambda: raw(*(pair for pair in good() if pair[0] != "index.json")), FormatError, "no index.json"),
    "no layout": (lambda: raw(*(pair for pair in good() if pair[0] != "oci-layout")), FormatError, "no oci-layout"),
    "other layout": (
        lambda: replaced("oci-layout", b'{"imageLayoutVersion":"9.0.0"}'),
        FormatError,
        "not an OCI image layout",
    ),
    "large index": (lambda: replaced("index.json", b" " * 300_000), FormatError, "more than 262144"),
    "index with spaces": (lambda: replaced("index.json", index() + b" "), FormatError, "canonical form"),
    "name in the index": (
        lambda: replaced("index.json", index().replace(b'"model"', b'"patient Q"')),
        FormatError,
        "not that of a manifest",
    ),
    "missing blob": (lambda: raw(*good()[1:]), FormatError, "is missing"),
    "extra blob": (lambda: raw(*sorted([*good(), (BLOB, b"x")])), FormatError, "no manifest names"),
    "wrong digest": (flipped, DigestError, "do not match"),
    "swapped blobs": (swapped, DigestError, "do not match"),
    "longer blob": (longer, FormatError, "its descriptor says"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_hostile_wrapping_is_refused(name, tmp_path):
    make, error, phrase = CASES[name]
    path = kit.write(tmp_path, make())
    for read in (release.load, release.inspect):
        with pytest.raises(error, match=phrase) as found:
            read(path)
        assert type(found.value) is error
        assert "\n" not in str(found.value)
    assert [item.name for item in tmp_path.iterdir()] == ["model.hgan"]


def repacked(tmp_path, form):
    """A good file, unpacked and packed again by somebody with an ordinary tool."""
    path, folder = kit.write(tmp_path, kit.valid()), tmp_path / "unpacked"
    with tarfile.open(path) as archive:
        for one in archive:  # written by hand: `filter` came with Python 3.11.4, and 3.12 warns without one
            place = folder / one.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.extractfile(one).read())
    names = sorted(item.relative_to(folder) for item in folder.rglob("*") if item.is_file() or form == "folders")
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT if form == "pax" else tarfile.GNU_FORMAT) as archive:
        if form == "root":
            archive.add(folder, arcname=".")
        else:
            for name in names:
                archive.add(folder / name, arcname=str(name), recursive=False)
    return path


@pytest.mark.parametrize("form", ["root", "folders", "files", "pax"])
def test_a_file_that_was_packed_again_is_told_from_a_broken_one(tmp_path, form):
    with pytest.raises(FormatError, match=r"was it unpacked and packed again\? ask its publisher for the original"):
        release.load(repacked(tmp_path, form))


def test_the_plain_file_passes(tmp_path):
    assert raw(*good()) == kit.valid()
    assert release.load(kit.write(tmp_path, kit.valid())).family == "copula"


@pytest.mark.parametrize("kind", ["missing", "folder", "run", "pipe"])
def test_what_is_no_file_is_refused(kind, tmp_path):
    path = tmp_path / "model.hgan"
    if kind in ("folder", "run"):
        path.mkdir()
        (path / ("ledger.jsonl" if kind == "run" else "notes.txt")).touch()
    elif kind == "pipe":
        os.mkfifo(path)
    error, phrase = {
        "missing": (UsageError, "No such file"),
        "folder": (FormatError, r"is a folder, not a .hgan file.$"),
        "run": (FormatError, "is a folder, not a .hgan file. It is what a fit leaves behind: release it first"),
        "pipe": (FormatError, "no regular file"),
    }[kind]
    with pytest.raises(error, match=phrase):
        release.load(path)


def test_a_huge_file_is_refused_by_its_length(tmp_path):
    path = tmp_path / "model.hgan"
    with path.open("wb") as file:
        file.write(kit.valid())
        file.truncate(tar.MAX_FILE + 1)
    with pytest.raises(FormatError, match="more than 1073741824"):
        release.load(path)


def test_a_huge_part_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """A sparse file of 300 MB: the card may have 1 MiB, so its bytes are never asked for."""
    name, _ = blob_of("card")
    size = 300 << 20
    path = tmp_path / "model.hgan"
    large = "sha256:" + "0" * 64
    layers = oci.unpack(io.BytesIO(kit.valid()), len(kit.valid())).manifest.model_dump(by_alias=True, exclude_none=True)
    layers["config"] |= {"digest": large, "size": size}
    blobs = {k: v for k, v in good() if k.startswith("blobs") and k != name}
    blobs.pop(next(k for k, v in blobs.items() if b'"layers"' in v))
    manifest = canonical(layers)
    digest = oci.digest_of(manifest)
    entry = oci._entry({"mediaType": oci.MANIFEST_TYPE, "digest": digest, "size": len(manifest)}, oci.CARD_TYPE)
    blobs["blobs/sha256/" + digest.removeprefix("sha256:")] = manifest
    rest = {**blobs, "index.json": oci._index([entry]), "oci-layout": dict(good())["oci-layout"]}
    with path.open("wb") as file:
        file.write(tar.header("blobs/sha256/" + "0" * 64, size))
        file.seek(512 + size)
        file.write(tar.join(rest))
    asked = []
    plain = oci.Blobs.plain

    def watched(self, member_name, cap, **what):
        asked.append((self.members[member_name].size, cap))
        return plain(self, member_name, cap, **what)

    monkeypatch.setattr(oci.Blobs, "plain", watched)
    with pytest.raises(FormatError, match=r"card\.json: 314572800 bytes are more than 1048576"):
        release.load(path)
    assert asked[-1] == (size, 1 << 20)
