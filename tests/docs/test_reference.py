"""The reference says what is there: verbs, errors, families, names, layers, and the numbers of the file format."""

import importlib.util
import inspect
import re
import tomllib
from dataclasses import fields, is_dataclass

import pytest
import typer
from docs_kit import PAGES, ROOT, page

import wardgan as wg
from wardgan import errors
from wardgan.cli.main import app
from wardgan.models import FAMILIES, family_config
from wardgan.privacy.events import MECHANISMS, Event
from wardgan.schema import schema as schema_module
from wardgan.schema.columns import KINDS, Column
from wardgan.seal import oci, onnx_check, onnx_rules, onnx_shapes, onnx_wire, records, sign, tar


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_page_is_what_the_command_line_says():
    assert page("docs/cli.md").text == script("make_cli_docs").page()


def test_every_verb_and_option_is_on_the_command_line_page():
    cli = page("docs/cli.md")
    groups, verbs = [("wardgan", typer.main.get_command(app))], []
    while groups:
        prefix, group = groups.pop()
        for name, command in group.commands.items():
            inner = hasattr(command, "commands")
            (groups if inner else verbs).append((f"{prefix} {name}", command))
    assert sorted(cli.headings(2)) == sorted(name for name, _ in verbs)
    for name, command in verbs:
        options = {option for part in command.params for option in part.opts if option.startswith("-")} - {"--help"}
        assert all(f"`{option}" in cli.section(name) for option in options), name


def test_every_exit_code_is_on_the_command_line_page():
    codes = {kind.exit_code for kind in vars(errors).values() if inspect.isclass(kind) and hasattr(kind, "exit_code")}
    assert all(f"\n| {code} | " in page("docs/cli.md").text for code in {0, 130, *codes})


KINDS_OF_ERRORS = [
    kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.WardganError)
]


@pytest.mark.parametrize("kind", KINDS_OF_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_cause_and_a_way_out(kind):
    section = page("docs/errors.md").section(kind.__name__)
    assert f"Exit code {kind.exit_code}." in section
    assert "**Cause:** " in section
    assert "**Way out:** " in section
    tree = page("docs/errors.md").blocks("")[0]
    assert re.search(rf"\b{kind.__name__} +exit {kind.exit_code}$", tree, re.MULTILINE)


def test_no_error_is_made_up():
    named = {name for name in page("docs/errors.md").headings(2) if name.endswith("Error")}
    assert named == {kind.__name__ for kind in KINDS_OF_ERRORS}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_page_with_its_settings(family):
    name = f"docs/models/{family}.md"
    assert page(name).text == script("make_settings_docs").filled(page(name).text, family)
    assert page(name).first_cells("Settings") == [field.name for field in fields(family_config(family))]
    assert f"models/{family}.md" in page("docs/index.md").text


def test_no_family_is_made_up():
    assert {path.stem for path in PAGES if path.parent.name == "models"} == set(FAMILIES)


@pytest.mark.parametrize("name", wg.__all__)
def test_every_public_name_is_explained(name):
    section = page("docs/python.md").section(f"`{name}`")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", section))))
    found = getattr(wg, name)
    wanted = set()
    if inspect.isfunction(found):
        wanted = set(inspect.signature(found).parameters)
    elif inspect.isclass(found) and not name.endswith(("Config", "Error")):
        wanted = {member for member in vars(found) if not member.startswith("_")}
        wanted |= {field.name for field in fields(found)} if is_dataclass(found) else set()
    assert wanted - words == set()


def test_no_public_name_is_made_up():
    assert sorted(name.strip("`") for name in page("docs/python.md").headings(3)) == sorted(wg.__all__)


def test_every_key_of_a_schema_is_explained():
    text = page("docs/schema.md")
    assert text.first_cells("Keys of the file") == list(schema_module._KEYS)
    assert set(text.first_cells("Keys of a column")) == {field.name for field in fields(Column)} - {"name"} | {
        "decimals"
    }
    assert text.first_cells("Visits") == ["key", "grid", "max_visits", "complete", "columns"]
    assert all(f"`{kind}`" in text.section("Keys of a column") for kind in KINDS)


def test_the_layers_are_those_that_are_held():
    held = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in held if contract["type"] == "layers")
    assert page("ARCHITECTURE.md").section("The layers").split("```")[1].split("\n")[1:-1] == layers


def number(text):
    return re.search(rf"(?<![\d,]){re.escape(text)}(?![\d,])", page("docs/format.md").text)


def test_the_format_page_has_every_name_of_the_format():
    text = page("docs/format.md").text
    assert f"# The .hgan file, version {records.VERSION}\n" in text
    types = [records.MANIFEST_TYPE, records.INDEX_TYPE, oci.SIGNATURE_TYPE, oci.ENVELOPE_TYPE, oci.EMPTY_TYPE]
    types += [sign.PAYLOAD_TYPE, sign.STATEMENT_TYPE, sign.PREDICATE_TYPE]
    assert [kind for kind in types if kind not in text] == []
    for kind in (oci.CARD, *oci.LAYERS):
        assert f"| `{kind.name}` | `{kind.media_type}` | {kind.cap >> 20} MiB |" in text
    assert sign.encoding(b"").startswith(b"DSSEv1 ")


def test_the_format_page_has_every_field():
    text = page("docs/format.md")
    assert text.first_cells("5. `card.json`")[:1] == ["format"]
    for heading, kind in (("5. `card.json`", records.Card), ("7. `privacy.json`", records.LedgerRecord)):
        rows = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", text.section(heading), re.MULTILINE))))
        assert set(kind.model_fields) <= rows, heading
    events = set(text.first_cells("7. `privacy.json`"))
    assert {field.name for field in fields(Event)} <= events
    assert events <= set(records.LedgerRecord.model_fields) | {field.name for field in fields(Event)}
    assert set(text.first_cells("5. `card.json`")) == set(records.Card.model_fields)
    assert all(f"`{mechanism}`" in text.section("7. `privacy.json`") for mechanism in MECHANISMS)


def test_the_format_page_has_every_operator():
    listed = page("docs/format.md").text.split("<!-- operators -->")[1].split("<!-- end -->")[0]
    assert re.findall(r"`(\w+)`", listed) == sorted(onnx_rules.RULES)


def test_the_format_page_has_every_limit():
    assert (tar.MAX_FILE, onnx_check.MAX_BYTES, onnx_wire.MAX_STRUCTURE) == (1 << 30, 512 << 20, 4 << 20)
    shapes = (onnx_shapes.MAX_ROW, onnx_shapes.MAX_ROW_TOTAL, onnx_shapes.MAX_WORK)
    for limit in (onnx_check.MAX_NODES, onnx_check.MAX_PARAMETERS, *shapes):
        assert number(f"{limit:,}"), limit
    assert number(f"{tar.MAX_MEMBERS} members")
    assert number(f"at most {onnx_shapes.MAX_AXES} axes")
    assert (onnx_check.MAX_ATTRIBUTE, onnx_shapes.MAX_CONSTANT) == (1 << 20, 1 << 29)
    assert number(f"IR version {onnx_check.IR_VERSIONS[0]} to {onnx_check.IR_VERSIONS[-1]}")
    assert number(f"version {onnx_check.OPSETS[0]} to {onnx_check.OPSETS[-1]}")
