"""Cards for other shelves: each in its form, and none that a name or a term could break."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
import yaml

import dossier_kit as kit
import release_kit
from wardgan.dossier.cards import card
from wardgan.errors import FormatError, UsageError
from wardgan.seal import artifact
from wardgan.seal.card import BANNER
from wardgan.seal.json_text import canonical

SPACE = "{https://mc.chai.org/v0.2/schema.xsd}"
METRIC = ("MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription",
          "ValidationProcessAndJustification")  # fmt: skip
# What Applied Model Card 0.2 asks for, in its order; names with a question mark may be left out.
CHAI = {
    "AppliedModelCard": ("BasicInfo", "ReleaseInfo", "ModelSummary", "UsesAndDirections", "Warnings",
                         "TrustIngredients", "KeyMetrics", "Resources", "Bibliography"),
    "BasicInfo": ("ModelName", "ModelDeveloper", "DeveloperContact"),
    "ReleaseInfo": ("ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability", "EHRCompatibility?",
                    "RegulatoryApproval?"),
    "ModelSummary": ("Summary", "Keywords"),
    "UsesAndDirections": ("IntendedUseAndWorkflow", "PrimaryIntendedUsers", "HowToUse", "TargetedPatientPopulation",
                          "CautionedOutOfScopeSettings"),
    "Warnings": ("KnownRisksAndLimitations", "KnownBiasesOrEthicalConsiderations", "ClinicalRiskLevel"),
    "TrustIngredients": ("AISystemFacts", "TransparencyInformation"),
    "AISystemFacts": ("OutcomesAndOutputs", "ModelType", "FoundationModels?", "InputDataSource",
                      "OutputAndInputDataTypes", "DevelopmentDataCharacterization", "BiasMitigationApproaches",
                      "OngoingMaintenance", "Security?", "Transparency?"),
    "TransparencyInformation": ("FundingSource", "ThirdPartyInformation?", "StakeholdersConsulted"),
    "KeyMetrics": ("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"),
    "UsefulnessUsabilityEfficacy": METRIC, "FairnessEquity": METRIC, "SafetyReliability": METRIC,
    "MetricResult": ("Label", "ValueJson"),
    "Resources": ("EvaluationReferences?", "ClinicalTrial?", "PeerReviewedPublications", "ReimbursementStatus?",
                  "PatientConsentOrDisclosure"),
}  # fmt: skip
MANY = {"Keywords": "Keyword", "Results": "MetricResult"}
SEVEN = ("Motivation", "Composition", "Collection", "Processing", "Uses", "Distribution", "Maintenance")
FORMS = ("hf", "chai", "datasheet")
EVIL = '<script>alert(1)</script> | `x` # [y](javascript:z) --> ]]> & "q" **b**'


def check_chai(text):
    """Walks through a card and finds each element where it belongs."""
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<AppliedModelCard xmlns="https://mc.chai.org/')
    root = ElementTree.fromstring(text.encode())
    assert root.tag == f"{SPACE}AppliedModelCard"
    for element in root.iter():
        name = element.tag.removeprefix(SPACE)
        assert element.tag.startswith(SPACE)
        assert not element.attrib
        inside = [child.tag.removeprefix(SPACE) for child in element]
        if name in MANY:
            assert inside
            assert set(inside) == {MANY[name]}
        elif name in CHAI:
            asked = [one for one in CHAI[name] if not one.endswith("?") or one[:-1] in inside]
            assert inside == [one.removesuffix("?") for one in asked], name
        else:
            assert not inside
            assert (element.text or "").strip() or name == "Bibliography", name
    return root


def texts(root, name):
    return [element.text for element in root.iter(f"{SPACE}{name}")]


def headings(text):
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def cards(clinic):
    return {
        (name, form): card(getattr(clinic, name), form, trust=clinic.trust)
        for name in ("good", "overridden", "open")
        for form in FORMS
    }


@pytest.mark.parametrize("name", ["good", "overridden", "open"])
def test_hf_begins_with_a_header_that_parses(name, cards, clinic):
    text = cards[name, "hf"]
    assert text.startswith("---\n")
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["library_name"] == "wardgan"
    assert header["license"] == "CC-BY-4.0"
    if name == "open":
        assert header["privacy"] == "none"
        assert f"\n# {BANNER}\n" in text
    else:
        assert (header["privacy"], header["epsilon"], header["delta"]) == ("private", 3.0, 1e-5)
    # What it says beyond the page in the file is what the gates say here.
    assert text.startswith(kit.parts(getattr(clinic, name)).readme.decode())
    assert headings(text)[-1] == "Dossier"


@pytest.mark.parametrize("name", ["good", "overridden", "open"])
def test_chai_has_each_element_in_its_place(name, cards, clinic):
    root = check_chai(cards[name, "chai"])
    assert texts(root, "ModelName") == ["clinic"]
    assert texts(root, "ReleaseDate") == [kit.DAY]
    assert texts(root, "ReleaseVersion") == [artifact.inspect(getattr(clinic, name))["digest"]]
    # What the hospital wrote is there as it was written.
    assert texts(root, "ModelDeveloper") == [f"{kit.EVIL}."]
    assert texts(root, "IntendedUseAndWorkflow") == ["Teaching. And learning."]
    (stage,) = texts(root, "ReleaseStage")
    assert stage == ("released" if name == "good" else f"released by override: {kit.OVERRIDE}")
    values = [json.loads(text) for text in texts(root, "ValueJson")]
    assert all(value is None or isinstance(value, (dict, str)) for value in values)
    if name == "good":
        labels = dict(zip(texts(root, "Label"), values, strict=True))
        assert labels["epsilon"]["value"] == 3.0
        assert labels["public utility died, logistic regression"]["baseline"] == 0.0
        assert texts(root, "Transparency")[0].endswith("epsilon: pass, impossible: pass, public utility: pass.")
    if name == "open":
        assert BANNER in texts(root, "Summary")[0]


@pytest.mark.parametrize("name", ["good", "overridden", "open"])
def test_the_datasheet_has_the_seven_sections(name, cards):
    text = cards[name, "datasheet"]
    assert text.startswith("# Datasheet of clinic\n")
    assert [heading for heading in headings(text) if heading in SEVEN] == list(SEVEN)
    assert "**For what was it made?** Teaching. And learning. **By whom?**" in text
    assert ".." not in text
    assert (f"**Released by override:** {kit.OVERRIDE}" in text) == (name != "good")
    assert (BANNER in text) == (name == "open")


def test_the_gates_are_judged_again(cards):
    for form in ("hf", "datasheet"):
        text = cards["good", form]
        assert "Judged by the policy default." in text
        assert "| epsilon  | pass | 3; it must not lie above 10. |" in text
        assert "Judged by the policy strict." in cards["overridden", form]
        assert "| epsilon  | fail |" in cards["open", form]
        assert "The hospital says that nobody attacked this generator" in cards["open", form]
        assert "nobody attacked" not in cards["good", form]


@pytest.mark.parametrize("form", FORMS)
def test_a_lying_dossier_gets_no_card(form, clinic, tmp_path):
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", lambda found: found["facts"]["paid"].update(epsilon=1))
    with pytest.raises(FormatError, match="paid counts"):
        card(path, form)


@pytest.mark.parametrize("form", ["HF", "", "HTML", "../hf", None])
def test_an_unknown_form(form, clinic):
    with pytest.raises(UsageError, match="is not one of hf, chai, datasheet, html"):
        card(clinic.good, form)


def made(tmp_path, **schema):
    """Gives a file without a dossier, whose names and terms were chosen by somebody else."""
    fit = release_kit.fit(schema={**release_kit.SCHEMA, **schema})
    return artifact.release(fit, tmp_path / "x.hgan", None, f"Ada: {EVIL.replace(':', ' ')}", created=kit.DAY)


WORDS = (EVIL, "---\n# Fake\n", "</Summary><Summary>x", "]]>", "&lt;b&gt;", "*" * 200, "é\U0001f600")


@pytest.mark.parametrize("word", WORDS)
def test_texts_of_other_people_do_no_harm(word, tmp_path):
    line = word.replace("\n", " ")
    names = ("purpose", "controller", "contact", "licence", "funding", "recipients", "legal_basis", "expires")
    table = {**release_kit.SCHEMA["table"], "age": {"kind": "integer", "low": 18, "high": 110, "unit": line}}
    path = made(tmp_path, name=line, terms=dict.fromkeys(names, word) | {"licence": line}, table=table)
    root = check_chai(card(path, "chai"))
    assert texts(root, "ModelName") == [line]
    assert texts(root, "FundingSource") == [f"{' '.join(word.split())}."]
    for form in ("hf", "datasheet"):
        text = card(path, form)
        body = text.split("\n---\n", 1)[1] if form == "hf" else text
        assert "<script" not in text
        assert "](javascript" not in body
        assert "\n# Fake" not in body
        assert "The file has no dossier" in text
        if form == "hf":
            header = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
            assert header["model_name"] == line
            assert header["epsilon"] == 1.0
    assert headings(card(path, "datasheet"))[0] == "Motivation"


def test_a_policy_with_a_strange_name_has_no_card(clinic, tmp_path):
    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", lambda found: found["policy"].update(name=EVIL))
    for form in FORMS:
        with pytest.raises(FormatError, match="the name of its policy is not 1 to 100 letters"):
            card(path, form)


def test_the_page_says_nothing_that_the_sender_wrote_into_the_dossier(clinic, tmp_path):
    def lie(found):
        found["sections"] = [
            {"number": 0, "title": "Lies", "blocks": [{"kind": "text", "text": "LIE", "tone": "plain"}]}
        ]
        for one in found["judgements"]:
            one["reason"] = "LIE"
        found["facts"]["warnings"] = ["LIE"]
        found["facts"]["word"]["why_unpaid"] = "LIE"

    path = kit.forged(clinic, clinic.good, tmp_path / "x.hgan", lie)
    assert card(path, "html") == card(clinic.good, "html")


@pytest.mark.parametrize("word", ["a\ufffe", "\uffff", "\x00", "\x1b[2J", "\u202e"])
def test_what_no_card_could_hold_does_not_leave(word, tmp_path):
    for schema in ({"name": f"x{word}"}, {"terms": {"purpose": f"x{word}"}}):
        with pytest.raises(FormatError, match="control character"):
            made(tmp_path, **schema)


def test_the_page_is_that_of_the_public_edition(clinic, tmp_path):
    text = card(clinic.good, "html")
    theirs = (clinic.dossier() / "public.html").read_text(encoding="utf-8")
    # The settings of the fit are no part of the file; all else is made anew, and comes out the same.
    assert text == re.sub(r"<div><dt>setting [^<]*</dt><dd>[^<]*</dd></div>", "", theirs)
    assert f"Released by override: {kit.OVERRIDE}" in card(clinic.overridden, "html")
    with pytest.raises(UsageError, match="the file has no dossier"):
        card(made(tmp_path), "html")


@pytest.mark.parametrize("form", FORMS)
def test_without_a_dossier_nothing_is_claimed(form, tmp_path):
    text = card(made(tmp_path), form)
    if form == "chai":
        root = check_chai(text)
        assert texts(root, "Transparency") == ["Public gates, judged again here: no public dossier."]
        assert "not measured" in texts(root, "Label")
        assert set(texts(root, "Interpretation")) == {
            "Judged by no policy; numbers about real patients that were not paid for stay in the hospital."
        }
    else:
        assert "The file has no dossier: nobody says what attacks found." in text
    assert canonical({"a": text})  # it can be written in JSON, as the command line does
