"""What is published: versions that agree, libraries whose licences may go along, the container, and what is said of both."""

import gzip
import importlib.util
import io
import re
import sys
import tarfile
import tomllib
from importlib import metadata

import pytest
from docs_kit import ROOT, page

sys.path.insert(0, str(ROOT / "scripts"))
import check_version
import make_dist
import make_sbom
import smoke_jobs

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CHANGELOG = "# Changelog\n\n## 1.2.0 (2026-01-31)\n\n## 1.1.0 (2025-12-01)\n"


def test_the_versions_of_the_project_agree():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert check_version.faults(check_version.package_version(), text, []) == []
    assert check_version.package_version() == importlib.import_module("wardgan").__version__


@pytest.mark.parametrize(
    ("version", "changelog", "tags", "said"),
    [
        ("1.2.0", CHANGELOG, ["v1.2.0"], []),
        ("1.2.0", CHANGELOG.replace("2026-01-31", "not released yet"), [], []),
        ("1.3.0", CHANGELOG, [], ["newest version of CHANGELOG.md is 1.2.0"]),
        ("1.2.0", CHANGELOG, ["v1.2"], ["tag v1.2 is on version 1.2.0"]),
        ("1.2.0", CHANGELOG.replace("2026-01-31", "not released yet"), ["v1.2.0"], ["write the day"]),
        ("1.2.0", CHANGELOG.replace("2026-01-31", "2026-02-30"), [], ["neither a day"]),
        ("1.2.0", "# Changelog\n\n## Unreleased\n", [], ["no version with a day"]),
    ],
)
def test_versions_that_contradict_each_other_are_told(version, changelog, tags, said):
    found = check_version.faults(version, changelog, tags)
    assert len(found) == len(said)
    assert all(words in fault for words, fault in zip(said, found, strict=True))


def test_the_classifiers_are_the_versions_of_python_that_were_tested():
    named = {one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d", one)}
    tested = set(re.findall(r"^\| (3\.\d+) \|", page("docs/installing.md").section("Tested"), re.MULTILINE))
    assert named == tested
    assert PROJECT["requires-python"] == f">={min(tested, key=lambda text: int(text[2:]))}"


def test_every_extra_is_on_the_page_and_has_a_smoke_test():
    assert set(page("docs/installing.md").first_cells("Extras")) == set(EXTRAS)
    assert set(smoke_jobs.JOBS) - {"core", "prepare"} == set(EXTRAS) - {"dev", "docs"}


def test_the_list_of_libraries_has_each_that_the_package_names():
    needed = make_sbom.needed()
    names = {make_sbom.canonicalize_name(re.match(r"[\w.-]+", one)[0]) for one in PROJECT["dependencies"]}
    assert {name for name in names if needed.get(name) != {"core"}} == set()
    for extra in set(EXTRAS) - {"all", "dev", "docs"}:
        names = {make_sbom.canonicalize_name(re.match(r"[\w.-]+", one)[0]) for one in EXTRAS[extra]} - {"wardgan"}
        assert {name for name in names if not {extra, "core"} & needed[name]} == set(), extra
    assert needed["sqlalchemy"] >= {"hub", "postgresql", "oidc"}
    assert needed["psycopg-binary"] == {"postgresql"}
    assert {"pytest", "ruff", "hypothesis", "opacus", "wardgan"} & set(needed) == set()


def test_no_library_that_is_needed_has_a_licence_that_reaches_users():
    found = []
    for name in make_sbom.needed():
        told = metadata.metadata(name)
        words = [told.get("License-Expression", ""), *(told.get_all("Classifier") or [])]
        found += [f"{name}: {text}" for text in words if make_sbom.COPYLEFT.search(text)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("GPL-3.0-only", True), ("AGPL-3.0-or-later", True), ("MIT OR GPL-2.0-only", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("License :: OSI Approved :: GNU Affero General Public License v3", True), ("LGPL-3.0-only", False),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", False), ("Apache-2.0", False),
    ],
)  # fmt: skip
def test_licences_that_reach_users_are_known(text, refused):
    assert bool(make_sbom.COPYLEFT.search(text)) == refused


def component(name, **more):
    return {"bom-ref": f"{name}==1", "name": name, "version": "1", "licenses": [{"license": {"id": "MIT"}}], **more}


def test_the_list_is_reduced_to_what_is_needed():
    links = [{"ref": "root", "dependsOn": ["Aa==1", "test==1"]}, {"ref": "Aa==1", "dependsOn": ["b==1", "test==1"]}]
    bom = {
        "metadata": {"component": {"bom-ref": "root", "name": "wardgan"}}, "dependencies": [*links, {"ref": "b==1"}, {"ref": "test==1"}],
        "components": [component("Aa"), component("b", licenses=[]), component("protobuf", licenses=[]), component("test")],
    }  # fmt: skip
    wanted = {"aa": {"core"}, "b": {"hub", "train"}, "protobuf": {"core"}}
    found = make_sbom.reduced(bom, wanted, {"aa"}, "7.8.9")
    assert found["metadata"]["component"]["purl"] == "pkg:pypi/wardgan@7.8.9"
    assert [(one["name"], one["scope"]) for one in found["components"]] == [
        ("Aa", "required"), ("b", "optional"), ("protobuf", "required"),
    ]  # fmt: skip
    assert found["components"][1]["properties"] == [{"name": make_sbom.PROPERTY, "value": "hub train"}]
    assert found["dependencies"] == [
        {"ref": "root", "dependsOn": ["Aa==1"]},
        {"ref": "Aa==1", "dependsOn": ["b==1"]},
        {"ref": "b==1"},
    ]
    assert make_sbom.refused(found) == ["b: no licence is known"]
    with pytest.raises(SystemExit, match=r"not installed here.*gone"):
        make_sbom.reduced(bom, {**wanted, "gone": {"core"}}, {"aa"}, "7.8.9")


def test_a_refused_licence_names_its_library():
    text = {"license": {"name": "GNU General Public License v2"}}
    assert make_sbom.refused({"components": [component("a"), component("b", licenses=[text])]}) == [
        f"b: {text['license']['name']}"
    ]
    assert make_sbom.refused({"components": [component("c", licenses=[{"expression": "MIT AND AGPL-3.0-only"}])]}) != []


def packed(names, **facts):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            for fact, value in facts.items():
                setattr(member, fact, value)
            archive.addfile(member, io.BytesIO(b"abc"))
    return plain.getvalue()


def test_who_packed_when_and_in_which_order_leaves_no_trace():
    one = packed(["x/b", "x/a"], uname="ana", uid=1000, mtime=5, mode=0o664)
    other = packed(["x/a", "x/b"], uname="root", uid=0, mtime=99, mode=0o600)
    assert one != other
    found = make_dist.normalised(one, 1_000_000)
    assert found == make_dist.normalised(other, 1_000_000)
    assert found != make_dist.normalised(packed(["x/a", "x/b"], mode=0o755), 1_000_000)
    with tarfile.open(fileobj=io.BytesIO(found)) as archive:
        assert [(one.name, one.mtime, one.mode, one.uname) for one in archive] == [
            ("x/a", 1_000_000, 0o644, ""), ("x/b", 1_000_000, 0o644, ""),
        ]  # fmt: skip
    assert gzip.decompress(found).count(b"abc") == 2


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_the_manifest_takes_all_that_git_tracks():
    rules = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines() if not line.startswith("#")]
    grafted = tuple(f"{rule[1]}/" for rule in rules if rule[0] == "graft")
    folders = {name.split("/")[0] for name in make_dist.tracked() if "/" in name} - {"src"}
    assert {f"{name}/" for name in folders} | {"src/wardgan/"} == set(grafted)


def instructions():
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def test_the_container_is_of_a_tested_python_and_runs_without_rights():
    tested = re.findall(r"^\| (3\.\d+) \|", page("docs/installing.md").section("Tested"), re.MULTILINE)
    bases = [words.split()[0] for name, words in instructions() if name == "FROM"]
    assert {base.partition("-")[0] for base in bases} <= {f"python:{version}" for version in tested}
    names = [name for name, _ in instructions()]
    user = next(words for name, words in reversed(instructions()) if name == "USER")
    assert user == "10001:10001"
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "ADD" not in names
    assert {"HEALTHCHECK", "ENTRYPOINT", "CMD"} <= set(names)


def test_the_container_holds_no_secret_and_gets_only_what_it_is_built_from():
    given = " ".join(words for name, words in instructions() if name in ("ENV", "ARG"))
    assert not re.search(r"(?i)passphrase|secret|token|password", given)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in ignored if not line.startswith("#")) == "*"
    copied = [words.split()[:-1] for name, words in instructions() if name == "COPY" and not words.startswith("--from")]
    allowed = {line.removeprefix("!").split("/")[0] for line in ignored if line.startswith("!")}
    assert {name for words in copied for name in words} == allowed


def test_the_container_asks_for_extras_and_options_that_there_are():
    installing = next(words for name, words in instructions() if name == "RUN" and "pip install" in words)
    assert set(re.search(r"\.\[([\w,]+)\]", installing)[1].split(",")) <= set(EXTRAS)
    options = re.findall(r"--[a-z-]+", next(words for name, words in instructions() if name == "CMD"))
    section = page("docs/cli.md").section("wardgan serve")
    assert [option for option in options if f"`{option} " not in section] == []
