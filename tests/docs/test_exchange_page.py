"""The page on FHIR and OMOP: its example runs and prints what the page says, and every key is explained."""

import json
import re
import shlex
from dataclasses import fields

import pytest
import yaml
from docs_kit import page

import exchange_kit as kit
import wardgan as wg
from wardgan.exchange import codes, concepts, entry, fhir
from wardgan.exchange.omop_tables import TABLES

PAGE = page("docs/exchange.md")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The trial of the page as a release, and its mapping file."""
    home = tmp_path_factory.mktemp("trial")
    schema, mapping = PAGE.blocks("yaml")
    kit.released(yaml.safe_load(schema), home / "trial.hgan")
    (home / "concepts.yaml").write_text(mapping, encoding="utf-8")
    return home


def test_the_commands_print_what_the_page_says(trial, monkeypatch):
    monkeypatch.chdir(trial)
    (commands,) = PAGE.blocks("console")
    draft, *samples = [shlex.split(line)[1:] for line in commands.splitlines()]
    assert "A draft of what trial means is in draft.yaml" in kit.run(*draft).stdout
    for words, printed in zip(samples, PAGE.blocks("text"), strict=True):
        assert kit.run(*words).stdout.partition("\n")[2] == printed  # behind what is said of the signature
    found = kit.read_bundles("patients.ndjson")
    kit.judge_bundle(found[0])
    text = json.dumps(kit.resources(found[0])[-1])
    masked = re.sub(r"[0-9a-f]{16}-", "0123456789abcdef-", re.sub(r"sha256:[0-9a-f]{64}", "sha256:...", text))
    (shown,) = PAGE.blocks("json")
    assert json.loads(masked) == json.loads(shown)
    kit.judge_omop("omop")


def test_every_key_is_explained():
    assert PAGE.first_cells("The mapping file")[:4] == list(concepts._KEYS)
    section = PAGE.section("What a column becomes")
    cells = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert cells[: len(entry.KINDS)] == list(entry.KINDS)
    assert set(cells[len(entry.KINDS) :]) == {key for keys in entry._KEYS.values() for key in keys}
    about = PAGE.section("The mapping file").partition("###")[0]
    assert all(f"`{key}`" in about for key in (*concepts._VISITS, *concepts._OMOP, *codes._DAYS))
    assert all(f"`{gender}`" in section for gender in entry.GENDERS)


def test_every_system_type_and_table_is_named():
    words = " ".join(PAGE.text.split())
    assert f"known by name: {', '.join(codes.SYSTEMS)}." in words
    assert f"R4. {', '.join(fhir.TYPES[:-1])} and {fhir.TYPES[-1]}." in words
    assert ", ".join(f"`{name}`" for name in TABLES) in words
    assert f"{entry.LARGEST_ID:,}" in words


def test_what_python_gives_is_on_its_page():
    section = page("docs/python.md").section("`Exported`")
    assert all(f"`{field.name}`" in section for field in fields(wg.Exported))
