"""The page: complete without script, network or colour, and honest about what is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from wardgan.dossier.document import Bars, Curves, Document, Facts, Forest, Number, Numbers, Section, Table, Text
from wardgan.dossier.draw import Axis, Line, Row
from wardgan.dossier.gates import Measured, judged, overall
from wardgan.dossier.page import page
from wardgan.dossier.policy import Policy
from wardgan.estimate import Estimate

EVIL = '<script>alert("x")</script> & "quoted"'
VOID = {"meta", "br", "rect", "line", "circle", "path", "polygon"}


def estimate(value, half=0.02, baseline=0.01):
    return Estimate(value, value - half, value + half, 1234, "made up", baseline)


def document(edition="internal", attribute=0.02, name="heart", *, private=True):
    policy = Policy.load("default")
    measured = [
        Measured("attribute", "died", estimate(attribute)),
        Measured("survival", EVIL, None, because=EVIL, asked=False),
    ]
    judgements = judged(measured, policy)
    rows = [Row("died", estimate(0.02), estimate(0.3), 0.09), Row(EVIL, None)]
    numbers = [Number("died", estimate(0.02), estimate(0.3)), Number("sex", None, note="One level only.")]
    lines = [
        Line("real", "real", [0, 1, 2], [1, 0.8, 0.6], [1, 0.7, 0.5], [1, 0.9, 0.7], step=True),
        Line("synthetic", "synthetic", [0, 1, 2], [1, 0.82, 0.63]),
    ]
    blocks = [
        Text(EVIL), Text("Nothing protects the patients.", "alarm"), Facts([("epsilon", "3"), (EVIL, EVIL)]),
        Numbers("Excess risk", numbers), Table("Rules", ["rule", "broken"], [["dbp < sbp", "0"], [EVIL, "1"]]),
        Forest("What attacks gain", rows, Axis("excess risk", -0.05, 0.4), "others"),
        Curves("Survival", lines, Axis("years", 0, 2), Axis("share alive", 0, 1)),
        Bars("Sex", ["f", EVIL], [("real", "real", [0.4, 0.6]), ("synthetic", "synthetic", [0.5, 0.5])]),
    ]  # fmt: skip
    sections = [Section(1, "Identity", blocks), Section(2, "Purpose", [Text("For teaching.")])]
    return Document(
        name, edition, private, {"network": "sha256:0"}, policy.to_dict(), measured, overall(judgements), judgements,
        ("A. Person: because", EVIL), {"seed": 3}, sections,
    )  # fmt: skip


class Checked(HTMLParser):
    """Checks that every element ends where it should, and collects what a page may not have."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(text):
    parser = Checked()
    parser.feed(text)
    assert parser.open == []
    return parser


def test_it_needs_no_script_and_no_network():
    text = page(document())
    parser = checked(text)
    assert not {"script", "iframe", "img", "link", "object", "embed", "form"} & set(parser.seen)
    assert not [attribute for attribute in parser.attributes if attribute[1].startswith("on")]
    assert not re.search(r"(src|href)=['\"](?!#)", text.replace("xmlns=", ""))
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text


def test_what_patients_or_people_wrote_stays_text():
    text = page(document(name=EVIL))
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 8


def test_what_a_foreign_dossier_calls_gates_and_sections_stays_text():
    made = document()
    judgements = [replace(one, gate=EVIL, about=EVIL, reason=EVIL) for one in made.judgements]
    sections = [replace(one, title=EVIL) for one in made.sections]
    text = page(replace(made, judgements=judgements, sections=sections))
    checked(text)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 3 * len(judgements)


def test_every_figure_has_a_text_and_every_table_a_caption():
    text = page(document())
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(figures) == 3
    for figure in figures:
        assert 'role="img"' in figure
        assert re.search(r"<title>[^<]+</title><desc>[^<]+</desc>", figure)
    assert text.count("<table") == text.count("<caption>")
    assert "died: 0.020 [0.000, 0.040] against 0.010" in figures[0]


def test_verdicts_are_words_before_they_are_colours():
    text = page(document(attribute=0.5))
    assert "FAIL" in text
    assert "0.5 [0.48, 0.52]; its interval must lie below 0.09." in text
    assert "Released by override: A. Person: because" in text
    assert "NOT ALL COULD BE JUDGED" in page(document())  # of most gates nothing was measured
    assert "○</span> not asked" in page(document())


def test_what_is_not_private_says_so_first():
    banner = '<p class="banner">NOT PRIVATE: nothing protects the patients.</p>'
    assert banner not in page(document())
    text = page(document(private=False))
    assert text.index(banner) < text.index("<table")


def test_the_verdict_comes_first_and_links_lead_to_sections():
    parser = checked(page(document()))
    assert parser.ids[0] == "s0"
    targets = [value[1:] for _, name, value in parser.attributes if name == "href"]
    assert targets == parser.ids[1:]


def test_a_number_without_a_value_says_so_and_why():
    text = page(document())
    assert "not measured" in text
    assert "One level only." in text


@pytest.mark.parametrize("edition", ["internal", "public"])
def test_the_edition_is_said(edition):
    words = {"internal": "stays in the hospital", "public": "paid for with noise"}
    assert words[edition] in page(document(edition))


def test_the_json_has_every_number():
    found = document().to_dict()
    numbers = found["sections"][0]["blocks"][3]["rows"]
    assert numbers[0]["estimate"]["baseline"] == 0.01
    assert numbers[0]["control"]["value"] == 0.3
    assert numbers[1] == {"label": "sex", "estimate": None, "control": None, "note": "One level only."}
    assert found["judgements"][0]["gate"] == "attribute"
    assert found["measured"][0]["estimate"]["n"] == 1234
    assert found["overrides"] == ["A. Person: because", EVIL]
    assert (found["format"], found["version"], found["private"]) == ("wardgan-dossier", 1, True)
    assert found["policy"]["limits"]["epsilon"]["fail"] == 10.0


def test_warnings_stand_in_the_verdict():
    found = page(replace(document(), facts={"warnings": [EVIL]}))
    verdict = found[found.index('id="s0"') : found.index("<nav")]
    assert "&lt;script&gt;alert(&quot;x&quot;)" in verdict.split("<table>")[0].rsplit('<p class="alarm">', 1)[1]
    assert page(replace(document(), facts={"warnings": "none"})) == page(replace(document(), facts={}))


def test_numbers_that_passed_the_same_gate_are_one_line_of_the_verdict():
    made = document()
    measured = [
        *made.measured,
        *(Measured("subgroups", name, estimate(value)) for name, value in (("a", 1.0), ("b", 0.9), ("c", 1.1))),
        Measured("subgroups", "d", estimate(0.2)),
        *(Measured("utility", f"died, {name}, beyond guessing", estimate(0.9), limit=0.0) for name in "xy"),
    ]
    judgements = judged(measured, Policy.load("default"))
    verdict, _, rest = page(replace(made, judgements=judgements)).partition("<nav")
    assert verdict.index("subgroups <span class='quiet'>d</span>") < verdict.index("3 numbers (see All gates)")
    assert "0.900 to 1.10; it must be at least 0.5." in verdict
    assert "2 numbers, beyond guessing (see All gates)" in verdict
    whole = rest[rest.index('<section id="gates">') :]
    assert whole.count("<tr class=") == len(judgements)
    assert 'href="#gates"' in rest
    assert 'href="#gates"' not in page(made)
