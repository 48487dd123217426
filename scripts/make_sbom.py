"""Writes what wardgan is made of: a CycloneDX list of each library that it needs, with version, licence and extra.

    python scripts/make_sbom.py -o wardgan.cdx.json

A library whose licence would reach those who use wardgan is refused (GPL or AGPL; the LGPL does not, for a library that
is only imported), and so is one under none that is known. The versions are those of the environment in which this runs:
those that the tests of this commit ran with. What only those need who develop the package is left out. The same
environment gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from check_version import ROOT, package_version
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Only for those who develop the package.
HIDDEN = {"dev", "docs"}
# Whose metadata tells the licence in words of their own only.
KNOWN = {"dp-accounting": "Apache-2.0", "partd": "BSD-3-Clause", "protobuf": "BSD-3-Clause"}
COPYLEFT = re.compile(r"(?<!L)GPL|GNU (?:Affero )?General Public", re.IGNORECASE)
PROPERTY = "wardgan:needed-by"


def needed() -> dict[str, set[str]]:
    """Gives every library that wardgan needs at run time, directly or not, with the extras that need it (or `core`)."""
    found: dict[str, set[str]] = {}
    for group in (
        "core",
        *sorted(set(metadata.metadata("wardgan").get_all("Provides-Extra") or []) - HIDDEN - {"all"}),
    ):
        for name in _closure("wardgan", set() if group == "core" else {group}) - {"wardgan"}:
            found.setdefault(name, set()).add(group)
    return {name: {"core"} if "core" in groups else groups for name, groups in found.items()}


def direct() -> set[str]:
    """Gives the libraries that wardgan names itself."""
    extras = set(metadata.metadata("wardgan").get_all("Provides-Extra") or []) - HIDDEN
    return {name for name, _ in _requirements("wardgan", extras)} - {"wardgan"}


def _closure(name: str, extras: set[str]) -> set[str]:
    seen: set[tuple[str, str]] = set()
    todo = [(name, extras)]
    while todo:
        name, extras = todo.pop()
        fresh = {(name, extra) for extra in extras | {""}} - seen
        if fresh:
            seen |= fresh
            todo += _requirements(name, extras)
    return {name for name, _ in seen}


def _requirements(name: str, extras: set[str]) -> list[tuple[str, set[str]]]:
    found: list[tuple[str, set[str]]] = []
    for text in metadata.requires(name) or []:
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            found.append((canonicalize_name(one.name), set(one.extras)))
    return found


def everything() -> dict[str, Any]:
    """Gives the list of all that is installed here, as CycloneDX's own program makes it."""
    program = Path(sys.executable).with_name("cyclonedx-py")
    words = [
        program,
        "environment",
        "--pyproject",
        ROOT / "pyproject.toml",
        "--output-reproducible",
        "--mc-type",
        "library",
    ]
    # The whole is judged when it is made; see `valid`.
    words.append("--no-validate")
    done = subprocess.run([*map(str, words), sys.executable], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def reduced(bom: dict[str, Any], wanted: dict[str, set[str]], own: set[str], version: str) -> dict[str, Any]:
    """Gives a list of what is installed without what wardgan does not need at run time.

    Args:
        bom: As CycloneDX's program made it.
        wanted: The libraries to keep, with the groups that need them.
        own: Those among them that wardgan names itself.
        version: Of wardgan.
    """
    root = bom["metadata"]["component"]
    root.update(version=version, purl=f"pkg:pypi/wardgan@{version}")
    kept = [_component(one, wanted) for one in bom["components"] if _name(one) in wanted]
    missing = set(wanted) - {_name(one) for one in kept}
    if missing:
        sys.exit(f"not installed here, so nothing can be said about them: {', '.join(sorted(missing))}")
    refs = {one["bom-ref"] for one in kept}
    first = sorted(one["bom-ref"] for one in kept if _name(one) in own)
    chains = [_links(one, refs) for one in bom["dependencies"] if one["ref"] in refs]
    return {**bom, "components": kept, "dependencies": [{"ref": root["bom-ref"], "dependsOn": first}, *chains]}


def _component(one: dict[str, Any], wanted: dict[str, set[str]]) -> dict[str, Any]:
    groups = wanted[_name(one)]
    licences = one.get("licenses") or _known(_name(one))
    scope = "required" if "core" in groups else "optional"
    properties = [*one.get("properties", []), {"name": PROPERTY, "value": " ".join(sorted(groups))}]
    return {**one, "licenses": licences, "scope": scope, "properties": properties}


def _known(name: str) -> list[dict[str, Any]]:
    return [{"license": {"acknowledgement": "concluded", "id": KNOWN[name]}}] if name in KNOWN else []


def _links(one: dict[str, Any], refs: set[str]) -> dict[str, Any]:
    onward = [ref for ref in one.get("dependsOn", []) if ref in refs]
    return {"ref": one["ref"], **({"dependsOn": onward} if onward else {})}


def _name(component: dict[str, Any]) -> str:
    return canonicalize_name(component["name"])


def refused(bom: dict[str, Any]) -> list[str]:
    """Gives the libraries whose licence is not known, or would reach those who use wardgan."""
    found: list[str] = []
    for one in bom["components"]:
        licences = [_licence(entry) for entry in one.get("licenses", [])]
        if not licences:
            found.append(f"{one['name']}: no licence is known")
        found += [f"{one['name']}: {licence}" for licence in licences if COPYLEFT.search(licence)]
    return found


def _licence(entry: dict[str, Any]) -> str:
    return entry.get("expression") or entry["license"].get("id") or entry["license"].get("name", "")


def valid(text: str) -> None:
    """Stops if the text is not CycloneDX. It takes some twenty seconds."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        sys.exit(f"this is no CycloneDX: {fault}")


def sbom() -> str:
    """Gives the whole list as text; stops at a licence that is refused."""
    found = reduced(everything(), needed(), direct(), package_version())
    if wrong := refused(found):
        sys.exit("\n".join(wrong))
    return json.dumps(found, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes what wardgan is made of, as CycloneDX.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    made = sbom()
    valid(made)
    given.output.write_text(made, encoding="utf-8")
