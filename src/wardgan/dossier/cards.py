"""Cards for other people's shelves, all from one file: Hugging Face, CHAI, a datasheet, and the dossier's page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, cast
from xml.etree import ElementTree

from wardgan.dossier.document import Document
from wardgan.dossier.gates import Judgement
from wardgan.dossier.page import page
from wardgan.dossier.public import UNATTACKED, Word
from wardgan.dossier.receiver import public_gates, read_dossier, rebuilt
from wardgan.dossier.subject import bet
from wardgan.errors import UsageError
from wardgan.metadata.dcat import Described, dataset, document
from wardgan.schema.schema import Schema
from wardgan.seal.card import page_of, plain, statement
from wardgan.seal.reading import Model, read_file, signature_of

Form = Literal["hf", "chai", "datasheet", "html", "dcat"]
_CHAI: Final = "https://mc.chai.org/v0.2/schema.xsd"
_NOT_SAID: Final = "Not said by the hospital."
_RISKS: Final = (
    "It shows what is true of the whole group, whoever is in it. Rare findings may be missing or wrong, the more so "
    "the smaller epsilon is. Nobody of a synthetic patient's kind need exist: never decide about a person with one."
)
_FORBIDDEN: Final = (
    "Decisions about persons; attempts to recognise a person; use as if synthetic patients were real ones; claims "
    "about effects that real patients have not confirmed."
)


def card(path: str | Path, form: str, *, trust: str | Path | None = None) -> str:
    """Gives a card of a `.hgan` file; the file is checked as by `load`, its public dossier as by `verify`.

    Args:
        path: The file.
        form: `hf` (Hugging Face, Markdown), `chai` (Applied Model Card 0.2, XML), `datasheet` (Markdown, after Gebru
            et al. 2021), `html` (the public dossier as one page) or `dcat` (HealthDCAT-AP, JSON-LD).
        trust: Trust file that gives the signer a name; an unsigned file and an unknown key are facts here.

    Raises:
        UsageError: There is no such form, or no such file; or a page is asked for and the file has no dossier.
        FormatError: The file or its dossier is malformed; and whatever `load` raises.
    """
    if form not in _FORMS:
        raise UsageError(f"format={form!r} is not one of {', '.join(_FORMS)}.")
    model = read_file(path, lambda layout: signature_of(layout, trust, required=False))
    document = None if model.dossier is None else read_dossier(model)
    gates = [] if document is None else public_gates(model, document)
    return _FORMS[cast("Form", form)](model, document, gates)


def _hf(model: Model, document: Document | None, gates: Sequence[Judgement]) -> str:
    page = page_of(model.card, model.generator.schema, model.ledger)
    return f"{page}\n## Dossier\n\n{_gates_table(document, gates)}\n"


def _datasheet(model: Model, document: Document | None, gates: Sequence[Judgement]) -> str:
    schema, facts = model.generator.schema, model.card
    people = "a number that was not declared" if schema.population is None else f"about {schema.population:,}"
    row = "row" if schema.images is None else "image"
    missing = [plain(column.name) for column in schema.columns if column.nullable]
    parts = [
        f"# Datasheet of {plain(facts.name)}",
        "A generator of synthetic patients: these answers are about the patients it draws, and about those it was made "
        "from as far as they are public.",
        "## Motivation",
        f"**For what was it made?** {_said(schema, 'purpose')} **By whom?** {_said(schema, 'controller')}",
        "## Composition",
        f"**What is one item?** {_item(schema)}. **How many are there?** As many as are drawn. "
        f"**From how many real ones?** From {people}. **Is anything missing?** "
        f"{'Cells of ' + ', '.join(missing) if missing else 'Nothing'} by declaration. **Does it hold data of "
        f"persons?** {f'No {row} of the patients' if facts.privacy.mode == 'private' else 'It may reproduce them'}.",
        "## Privacy",
        *([f"**Released by override:** {plain(facts.override)}"] if facts.override else []),
        statement(facts.privacy),
        "## Collection",
        f"**How were the real data obtained?** {_said(schema, 'collection')} **On which ground?** "
        f"{_said(schema, 'legal_basis')}",
        "## Processing",
        f"The family `{facts.family}` of wardgan {plain(facts.package)} was released on {facts.created}, under the "
        "schema that is part of the file. Bounds and levels are declared, or were learned at a price; values outside "
        "were refused, clipped or dropped before.",
        "## Uses",
        f"**What may it be used for?** {_said(schema, 'purpose')} **What not?** {_FORBIDDEN} **What can go "
        f"wrong?** {_RISKS}",
        "## Distribution",
        f"**On which terms?** {_said(schema, 'licence')} **Digest:** `{model.digest}`. **Signature:** "
        f"{model.signature.status}.",
        "## Maintenance",
        f"**Who answers?** {_said(schema, 'contact')} **Until when is it good?** {_said(schema, 'expires')}",
        "## Dossier",
        _gates_table(document, gates),
    ]
    return "\n\n".join(parts) + "\n"


def _html(model: Model, document: Document | None, _gates: Sequence[Judgement]) -> str:
    if document is None:
        raise UsageError("format='html': the file has no dossier; the other forms say what it says itself.")
    return page(rebuilt(model, document))


def _dcat(model: Model, _document: Document | None, _gates: Sequence[Judgement]) -> str:
    facts = model.card
    found = Described(
        digest=model.digest, title=facts.name, created=facts.created, privacy=facts.privacy,
        schema=model.generator.schema, family=facts.family, licence=facts.licence,
    )  # fmt: skip
    return json.dumps(document(dataset(found)), indent=2, ensure_ascii=False) + "\n"


def _chai(model: Model, document: Document | None, gates: Sequence[Judgement]) -> str:
    schema, facts = model.generator.schema, model.card
    kind, draw = ("patients", "sample") if schema.images is None else ("images of patients", "images")
    told = ", ".join(f"{one.gate}: {one.verdict}" for one in gates) or "no public dossier"
    safety = [(f"{one.gate} {one.about}".strip(), _value(one)) for one in gates if one.gate != "public utility"]
    useful = [(f"{one.gate} {one.about}".strip(), _value(one)) for one in gates if one.gate == "public utility"]
    claim = facts.privacy
    guarantee = bet(claim.epsilon, claim.delta) if claim.epsilon and claim.delta else statement(claim)
    tree: Mapping[str, object] = {
        "BasicInfo": {
            "ModelName": facts.name, "ModelDeveloper": _told(schema, "controller"),
            "DeveloperContact": _told(schema, "contact"),
        },
        "ReleaseInfo": {
            "ReleaseStage": "released" if facts.override is None else f"released by override: {facts.override}",
            "ReleaseDate": facts.created, "ReleaseVersion": model.digest,
            "GlobalAvailability": _told(schema, "recipients"),
        },
        "ModelSummary": {
            "Summary": f"A generator of synthetic {kind} ({facts.family}). {guarantee}",
            "Keywords": [("Keyword", word) for word in ("synthetic data", "differential privacy", facts.family)],
        },
        "UsesAndDirections": {
            "IntendedUseAndWorkflow": _told(schema, "purpose"),
            "PrimaryIntendedUsers": _told(schema, "recipients"),
            "HowToUse": f"wardgan verify FILE, then wardgan sample FILE; or wardgan.load(FILE).{draw}(1000) in Python.",
            "TargetedPatientPopulation": _told(schema, "population_described"),
            "CautionedOutOfScopeSettings": _FORBIDDEN,
        },
        "Warnings": {
            "KnownRisksAndLimitations": _RISKS,
            "KnownBiasesOrEthicalConsiderations": "Small groups may be drawn less often or less truly than large ones.",
            "ClinicalRiskLevel": "Not for decisions about persons.",
        },
        "TrustIngredients": {
            "AISystemFacts": {
                "OutcomesAndOutputs": f"{_item(schema)}.",
                "ModelType": facts.family,
                "InputDataSource": _told(schema, "source"),
                "OutputAndInputDataTypes": ", ".join(_kinds(schema)),
                "DevelopmentDataCharacterization": f"Declared patients: {schema.population or 'no number'}.",
                "BiasMitigationApproaches": "Balanced samples by class on demand; groups are compared in the dossier.",
                "OngoingMaintenance": _told(schema, "expires"),
                "Security": f"Signature: {model.signature.status}. {guarantee}",
                "Transparency": f"Public gates, judged again here: {told}.",
            },
            "TransparencyInformation": {
                "FundingSource": _told(schema, "funding"), "StakeholdersConsulted": _told(schema, "stakeholders"),
            },
        },
        "KeyMetrics": {
            "UsefulnessUsabilityEfficacy": _metric("What classifiers learn beyond guessing", useful, document),
            "FairnessEquity": _metric("Groups keep their share", [("groups", "in the internal dossier")], document),
            "SafetyReliability": _metric("What is given away is within the limits", safety, document),
        },
        "Resources": {
            "PeerReviewedPublications": _told(schema, "publications"),
            "PatientConsentOrDisclosure": _told(schema, "legal_basis"),
        },
        "Bibliography": "",
    }  # fmt: skip
    ElementTree.register_namespace("", _CHAI)
    root = ElementTree.Element(f"{{{_CHAI}}}AppliedModelCard")
    _grow(root, tree)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _item(schema: Schema) -> str:
    """Says what is drawn: a patient with columns, or an image with labels."""
    columns = ", ".join(plain(column.name) for column in schema.columns)
    if schema.images is None:
        return f"One synthetic patient, with {columns}"
    look = schema.images
    mask = " with a mask" if look.mask else ""
    return f"One synthetic image of {look.height} x {look.width} pixels{mask}" + (
        f", with {columns}" if columns else ""
    )


def _kinds(schema: Schema) -> list[str]:
    kinds = sorted({column.kind for column in schema.columns})
    return kinds if schema.images is None else ["grey image", *kinds]


def _metric(goal: str, results: Sequence[tuple[str, object]], document: Document | None) -> dict[str, object]:
    rows = list(results) or [("not measured", None)]
    found = [("MetricResult", {"Label": label, "ValueJson": json.dumps(value)}) for label, value in rows]
    by = "no policy" if document is None else f"the policy {document.policy.get('name')}"
    return {
        "MetricGoal": goal, "Results": found,
        "Interpretation": f"Judged by {by}; numbers about real patients that were not paid for stay in the hospital.",
        "TestType": "by the hospital, on patients who were set aside" if _paid(document) else "on synthetic patients",
        "TestingDataDescription": _tested_on(document),
        "ValidationProcessAndJustification": "wardgan dossier; see its documentation for methods and sources.",
    }  # fmt: skip


def _paid(document: Document | None) -> bool:
    return document is not None and document.facts.get("paid") is not None


def _tested_on(document: Document | None) -> str:
    if document is None:
        return "Nothing was tested."
    if not _paid(document):
        return "Synthetic patients; no number about real patients was paid for."
    return "Hold-out patients of the same hospital, in counts with noise; synthetic patients."


def _grow(parent: ElementTree.Element, branch: object) -> None:
    """Puts a tree of names and texts under an element."""
    if not isinstance(branch, (Mapping, list)):
        parent.text = str(branch)
        return
    pairs = branch.items() if isinstance(branch, Mapping) else cast("list[tuple[str, object]]", branch)
    for name, value in cast("Sequence[tuple[str, object]]", list(pairs)):
        _grow(ElementTree.SubElement(parent, f"{{{_CHAI}}}{name}"), value)


def _gates_table(document: Document | None, gates: Sequence[Judgement]) -> str:
    if document is None:
        return "The file has no dossier: nobody says what attacks found."
    rows = [f"| {one.gate} {plain(one.about)} | {one.verdict} | {plain(one.reason)} |" for one in gates]
    word = Word.of_dict(document.facts.get("word"), "dossier.json")
    warned = [] if word.attacked else [f"**{UNATTACKED}**\n"]
    head = "| public gate | verdict | found, and asked for |\n|---|---|---|"
    return "\n".join([f"Judged by the policy {plain(str(document.policy.get('name')))}.", "", *warned, head, *rows])


def _value(one: Judgement) -> object:
    return None if one.estimate is None else one.estimate.to_dict()


def _said(schema: Schema, name: str) -> str:
    return plain(_told(schema, name))


def _told(schema: Schema, name: str) -> str:
    """Gives what the hospital says in its terms, as one sentence on one line."""
    found = " ".join(str(schema.terms.get(name) or "").split()).rstrip(".")
    return f"{found}." if found else _NOT_SAID


_FORMS: Final[Mapping[Form, Callable[[Model, Document | None, Sequence[Judgement]], str]]] = {
    "hf": _hf, "chai": _chai, "datasheet": _datasheet, "html": _html, "dcat": _dcat,
}  # fmt: skip
