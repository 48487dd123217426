"""Makes what is published: source distribution, wheel, list of libraries (SBOM), checksums. The same bytes each time.

    python scripts/make_dist.py                  # into dist/, from a clean checkout
    python scripts/make_dist.py --dirty --quick  # with changes that are not committed, and without a long check
    python scripts/make_dist.py --twice          # builds all again, and compares the bytes

Both are built from a copy of the files that git tracks, with the setuptools of this environment: nothing that lies
about gets in. The wheel is built from the source distribution, so that this is known to be enough.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import check_version
from check_version import ROOT, package_version
from make_sbom import sbom, valid

# What setuptools writes into a source distribution.
WRITTEN = ("PKG-INFO", "setup.cfg", "src/wardgan.egg-info/")
# Python 3.11 learned it with 3.11.4.
_SAFE = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def tracked(root: Path = ROOT) -> list[str]:
    """Gives the names of the files that git tracks and that are there."""
    done = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return sorted(name for name in done.stdout.split("\0") if name and (root / name).is_file())


def epoch() -> int:
    """Gives the moment that all files get: `SOURCE_DATE_EPOCH`, or that of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    return int(given or subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def build(names: list[str], out: Path, moment: int) -> tuple[Path, Path]:
    """Builds the source distribution from some files, and the wheel from that.

    Args:
        names: Files below the root of the project.
        out: A folder.
        moment: Date of all files, in seconds since 1970.

    Returns:
        Source distribution and wheel.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "made"
        for name in names:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
            (source / name).chmod(0o755 if os.access(ROOT / name, os.X_OK) else 0o644)
        _run_build("--sdist", source, made, moment)
        sdist = out / next(made.glob("*.tar.gz")).name
        sdist.write_bytes(normalised(next(made.glob("*.tar.gz")).read_bytes(), moment))
        with tarfile.open(sdist) as packed:
            packed.extractall(Path(folder) / "unpacked", **_SAFE)
        _run_build("--wheel", next((Path(folder) / "unpacked").iterdir()), out, moment)
    return sdist, next(out.glob("*.whl"))


def _run_build(kind: str, source: Path, out: Path, moment: int) -> None:
    words = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(out), str(source)]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, env={**clean, "SOURCE_DATE_EPOCH": str(moment)}, umask=0o022, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def normalised(packed: bytes, moment: int) -> bytes:
    """Gives an archive with the same files in order, of nobody, of one date.

    Args:
        packed: A `.tar.gz`.
        moment: In seconds since 1970.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(packed)) as old, tarfile.open(fileobj=plain, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.pax_headers = moment, {}
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member))
    return gzip.compress(plain.getvalue(), mtime=0)


def differences(sdist: Path, wheel: Path, names: list[str]) -> list[str]:
    """Gives where the two hold something else than the project does.

    Args:
        sdist: A source distribution.
        wheel: A wheel.
        names: Files of the project.
    """
    project = {name: (ROOT / name).read_bytes() for name in names}
    with tarfile.open(sdist) as packed:
        files = {one.name.partition("/")[2]: packed.extractfile(one) for one in packed if one.isfile()}
        source = {name: file.read() for name, file in files.items() if file and not name.startswith(WRITTEN)}
    with zipfile.ZipFile(wheel) as zipped:
        package = {name: zipped.read(name) for name in zipped.namelist() if ".dist-info/" not in name}
    inside = {name.removeprefix("src/"): data for name, data in project.items() if name.startswith("src/wardgan/")}
    return _differing(sdist.name, source, project) + _differing(wheel.name, package, inside)


def _differing(where: str, found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    return [f"{where}: {name} is not what the project has" for name in names]


def sums(folder: Path) -> str:
    """Gives what `sha256sum --check` reads."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def make(out: Path, names: list[str], *, quick: bool) -> None:
    """Makes everything that is published.

    Args:
        out: An empty folder.
        names: Files of the project.
        quick: Do not judge the list of libraries by its schema, which takes long.
    """
    sdist, wheel = build(names, out, epoch())
    if wrong := differences(sdist, wheel, names):
        sys.exit("\n".join(wrong))
    made = sbom()
    if not quick:
        valid(made)
    (out / f"wardgan-{package_version()}.cdx.json").write_text(made, encoding="utf-8")
    (out / "SHA256SUMS").write_text(sums(out), encoding="utf-8")


def main() -> None:
    """Reads the arguments, and makes it."""
    parser = argparse.ArgumentParser(description="Makes what is published.")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist", help="A folder; its wardgan-* files go.")
    parser.add_argument("--dirty", action="store_true", help="Take changes that are not committed, too.")
    parser.add_argument("--quick", action="store_true", help="Do not judge the list of libraries by its schema.")
    parser.add_argument("--twice", action="store_true", help="Build again, and compare the bytes.")
    given = parser.parse_args()
    changed = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    if changed.stdout and not given.dirty:
        sys.exit(f"There are changes that are not committed:\n{changed.stdout}Commit them, or say --dirty.")
    if wrong := check_version.faults(
        package_version(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), check_version.tags()
    ):
        sys.exit("\n".join(wrong))
    given.output.mkdir(parents=True, exist_ok=True)
    for old in [*given.output.glob("wardgan-*"), *given.output.glob("SHA256SUMS")]:
        old.unlink()
    if strange := [path.name for path in given.output.iterdir()]:
        sys.exit(f"{given.output} holds something else: {', '.join(strange)}. Take it away, or choose another folder.")
    make(given.output, tracked(), quick=given.quick)
    if given.twice:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), tracked(), quick=True)
            if sums(Path(folder)) != sums(given.output):
                sys.exit(f"Built twice, and not the same:\n{sums(given.output)}{sums(Path(folder))}")
    print(sums(given.output), end="")


if __name__ == "__main__":
    main()
