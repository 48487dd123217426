"""Writes docs/cli.md from the command line itself; `--check` only compares."""

# ruff: noqa: ANN401 - the classes behind typer's commands have moved between its versions

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from wardgan.cli.main import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HEAD = """\
# Command line

This page is made by `python scripts/make_cli_docs.py` from the command line itself. A test holds the two equal.

{help}

    wardgan VERB [OPTIONS] ...

Common to all verbs:

* `--json` prints one JSON object on standard output, and nothing else there. A refusal is
  `{{"error": {{"kind": ..., "message": ...}}}}`, with `reasons` if the gate gave several.
* Progress bars go to standard error. So do refusals, unless `--json` was asked for.
* Nothing is overwritten unless you say `--force`. A symbolic link then stays, and the file that it leads to is
  replaced; devices, pipes and sockets never are, and `-` is no name of a file. `fit` and `keys new` have no
  `--force`: a ledger and a private key are never overwritten.
* No refusal repeats a patient's value. (The first line of a CSV file is taken for the names of its columns.)
* `wardgan --version` prints the versions of wardgan, of Python and of each library, and the platform: what belongs into
  a report of a fault ([installing.md](installing.md)).
* `--install-completion` and `--show-completion` are for your shell.

| exit code | meaning |
|---|---|
| 0 | done |
| 2 | an argument, a file, a schema or a `.hgan` file is wrong; the message says what, and the way out |
| 3 | not trusted, refused at the gate, or a mistake is proved by an audit |
| 4 | the privacy budget does not allow it |
| 130 | stopped with Ctrl-C; the message says how to go on |

The kinds of errors are in [errors.md](errors.md).

| environment variable | meaning |
|---|---|
| `WARDGAN_TRUST` | the trust file, if `--trust` is not given |
| `WARDGAN_HUB` | the hub where none is named; `./hub` if it is not set |
| `REGISTRY_AUTH_FILE`, `DOCKER_CONFIG` | where `skopeo login` and `docker login` noted who signs in at registries |
| `SSL_CERT_FILE` | certificates of authorities, if those of the system are not enough for a hospital's own registry |
| `WARDGAN_LEDGER` | the institution's ledger, if `--ledger` is not given |
| `WARDGAN_PASSPHRASE` | the passphrase of a private key, so that nobody is asked |
| `SOURCE_DATE_EPOCH` | the date of a release, in seconds since 1970, for builds that repeat |
"""


def page() -> str:
    """Gives the text of docs/cli.md."""
    root: Any = typer.main.get_command(app)
    parts = [HEAD.format(help=root.help)]
    verbs = dict(_verbs("wardgan", root))
    parts.append("| verb | what it does |\n|---|---|")
    parts[-1] += "".join(f"\n| [`{name}`](#{name.replace(' ', '-')}) | {verb.help} |" for name, verb in verbs.items())
    parts += [_section(name, verb) for name, verb in verbs.items()]
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def _verbs(prefix: str, group: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found += [(f"{prefix} {name}", command)] if inner is None else _verbs(f"{prefix} {name}", command)
    return found


def _section(name: str, verb: Any) -> str:
    arguments = [part for part in verb.params if part.param_type_name == "argument"]
    options = [part for part in verb.params if part.param_type_name == "option" and "--help" not in part.opts]
    needed = [f"{option.opts[-1]} {_value(option)}" for option in options if option.required]
    given = [_value(part) if part.required else f"[{_value(part)}]" for part in arguments]
    usage = " ".join([name, *given, *needed, "[OPTIONS]"])
    rows = [f"| `{_value(part)}` | {_cell(part.help)} | |" for part in arguments]
    rows += [f"| {_names(option)} | {_cell(option.help)} | {_default(option)} |" for option in options]
    head = "| argument or option | what it is | default |\n|---|---|---|"
    return f"## {name}\n\n{verb.help}\n\n    {usage}\n\n" + "\n".join([head, *rows]) + "\n"


def _value(part: Any) -> str:
    return part.metavar or part.name.upper()


def _names(option: Any) -> str:
    value = "" if option.is_flag else f" {_value(option)}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def _default(option: Any) -> str:
    if option.required:
        return "needed"
    if isinstance(option.show_default, str):
        return option.show_default
    nothing = option.is_flag or option.default is None or option.show_default is False
    return "" if nothing else f"`{option.default}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/cli.md is out of date: run python scripts/make_cli_docs.py")
