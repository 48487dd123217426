"""A dossier as one HTML page that needs no script, no network and no colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from typing import Final

from pydantic import JsonValue

from wardgan.dossier import draw
from wardgan.dossier.document import (
    Bars,
    Block,
    Curves,
    Document,
    Facts,
    Forest,
    Gallery,
    Numbers,
    Section,
    Table,
    Text,
)
from wardgan.dossier.gates import Judgement, Verdict, meaning
from wardgan.dossier.policy import Policy
from wardgan.dossier.style import STYLE
from wardgan.estimate import Estimate

_WORDS: Final[dict[Verdict, str]] = {
    "pass": "PASS", "warn": "PASS, WITH WARNINGS", "unjudged": "NOT ALL COULD BE JUDGED", "fail": "FAIL",
    "not asked": "NOT ASKED",
}  # fmt: skip
_MARKS: Final[dict[Verdict, str]] = {"pass": "✓", "warn": "!", "unjudged": "?", "fail": "✗", "not asked": "○"}
_SHORT: Final[dict[Verdict, str]] = {
    "pass": "pass", "warn": "warning", "unjudged": "not judged", "fail": "fail",
    "not asked": "not asked",
}  # fmt: skip
_ORDER: Final[tuple[Verdict, ...]] = ("fail", "unjudged", "warn", "pass", "not asked")
_LEDGER: Final = 12
_EDITIONS: Final = {
    "internal": "Internal edition: it shows numbers of real patients and stays in the hospital.",
    "public": "Public edition: every number was paid for with noise, or is of synthetic patients alone.",
}


def page(document: Document) -> str:
    """Gives the whole page."""
    title = escape(f"Dossier of {document.name}")
    every = _all_gates(document)
    body = [_verdict(document), _contents(document, every)]
    body += [
        _section(section, document.overrides if section.number == _LEDGER else ()) for section in document.sections
    ]
    body.append(every)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>"
        f'<header><h1>{title}</h1><p class="edition edition-{document.edition}">'
        f"{escape(_EDITIONS[document.edition])}</p></header>\n<main>{chr(10).join(body)}</main></body></html>\n"
    )


def _verdict(document: Document) -> str:
    word = f"{'PUBLIC GATES: ' if document.edition == 'public' else ''}{_WORDS[document.overall]}"
    banner = "" if document.private else '<p class="banner">NOT PRIVATE: nothing protects the patients.</p>'
    released = "".join(map(_override, document.overrides))
    warned = "".join(f'<p class="alarm">{escape(str(warning))}</p>' for warning in _warnings(document))
    means = meaning(document.judgements, Policy.of_dict(document.policy, "dossier"))
    return (
        f'<section class="verdict {document.overall}" id="s0"><h2>0 Verdict</h2>'
        f'<p class="word"><span aria-hidden="true">{_MARKS[document.overall]}</span> {word}</p>'
        f"<p>{escape(means)}</p>{banner}{released}{warned}"
        f"{_gates('Gates', _in_short(document.judgements))}</section>"
    )


def _all_gates(document: Document) -> str:
    if _in_short(document.judgements) == _in_order(document.judgements):
        return ""
    return (
        f'<section id="gates"><h2>All gates</h2>{_gates("Each number that was judged", document.judgements)}</section>'
    )


def _gates(caption: str, judgements: Sequence[Judgement]) -> str:
    return (
        f'<div class="wide"><table><caption>{caption}</caption><thead><tr><th scope="col">verdict</th>'
        '<th scope="col">gate</th><th scope="col">what was found, and what is asked for</th></tr></thead>'
        f"<tbody>{''.join(map(_gate, _in_order(judgements)))}</tbody></table></div>"
    )


def _in_order(judgements: Sequence[Judgement]) -> list[Judgement]:
    return sorted(judgements, key=lambda one: _ORDER.index(one.verdict))


def _in_short(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Gives the judgements with several that passed the same gate as one."""
    passed = [one for one in judgements if one.verdict == "pass"]
    groups: dict[tuple[str, str], list[Judgement]] = {}
    for one in passed:
        groups.setdefault((one.gate, one.reason.rpartition("; ")[2]), []).append(one)
    short = [same[0] if len(same) == 1 else _as_one(same, asked) for (_, asked), same in groups.items()]
    return _in_order([*(one for one in judgements if one.verdict != "pass"), *short])


def _as_one(same: Sequence[Judgement], asked: str) -> Judgement:
    values = [one.estimate.value for one in same if one.estimate is not None]
    ends = {one.about.rpartition(", ")[2] for one in same}
    about = f"{len(same)} numbers{f', {ends.pop()}' if len(ends) == 1 else ''} (see All gates)"
    found = f"{_digits(min(values))} to {_digits(max(values))}; " if values else ""
    return Judgement(same[0].gate, about, "pass", f"{found}{asked}", None)


def _override(override: str) -> str:
    return f'<p class="alarm">Released by override: {escape(override)}</p>'


def _warnings(document: Document) -> list[JsonValue]:
    found = document.facts.get("warnings")
    return found if isinstance(found, list) else []


def _gate(one: Judgement) -> str:
    about = f" <span class='quiet'>{escape(one.about)}</span>" if one.about else ""
    return (
        f'<tr class="{one.verdict}"><td><span class="mark" aria-hidden="true">{_MARKS[one.verdict]}</span> '
        f"{_SHORT[one.verdict]}</td><th scope='row'>{escape(one.gate)}{about}</th><td>{escape(one.reason)}</td></tr>"
    )


def _contents(document: Document, every: str) -> str:
    links = "".join(
        f'<li><a href="#s{section.number}">{section.number} {escape(section.title)}</a></li>'
        for section in document.sections
    )
    links += '<li><a href="#gates">All gates</a></li>' if every else ""
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'


def _section(section: Section, overrides: Sequence[str]) -> str:
    released = "".join(map(_override, overrides))
    blocks = "".join(
        f'<div class="figures">{"".join(map(_block, group))}</div>' if drawn else "".join(map(_block, group))
        for drawn, group in groupby(section.blocks, key=lambda block: isinstance(block, (Curves, Bars)))
    )
    return (
        f'<section id="s{section.number}"><h2>{section.number} {escape(section.title)}</h2>{released}{blocks}</section>'
    )


def _block(block: Block) -> str:
    for kind, shown in _SHOWN.items():
        if isinstance(block, kind):
            return shown(block)
    raise TypeError(f"{type(block).__name__} is no block of a dossier.")


def _text(block: Text) -> str:
    return f'<p class="{block.tone}">{escape(block.text)}</p>'


def _facts(block: Facts) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in block.rows)
    return f"<dl>{rows}</dl>"


def _table(block: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in block.head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in block.rows)
    return (
        f'<div class="wide"><table><caption>{escape(block.caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _numbers(block: Numbers) -> str:
    known = [row.estimate for row in block.rows if row.estimate is not None]
    methods, sizes = {one.method for one in known}, {one.n for one in known}
    cells = [
        ("value", lambda row: "not measured" if row.estimate is None else _digits(row.estimate.value)),
        ("95 % interval", lambda row: "" if row.estimate is None else _interval(row.estimate)),
    ]
    if any(one.baseline is not None for one in known):
        cells.append((block.baseline, lambda row: _baseline(row.estimate)))
    if any(row.control is not None for row in block.rows):
        cells.append(("leaking generator", lambda row: _shown(row.control)))
    if len(sizes) > 1:
        cells.append(("n", lambda row: "" if row.estimate is None else f"{row.estimate.n:,}"))
    if len(methods) > 1:
        cells.append(("method", lambda row: "" if row.estimate is None else row.estimate.method))
    if any(row.note for row in block.rows):
        cells.append(("remark", lambda row: row.note))
    # What is the same in all rows is said once.
    same = [f"n = {next(iter(sizes)):,}"] * (len(sizes) == 1) + sorted(methods) * (len(methods) == 1)
    note = f"<br><span class='quiet'>{escape('; '.join(same))}</span>" if same else ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ["", *(name for name, _ in cells)])
    rows = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th>{"".join(f"<td>{escape(of(row))}</td>" for _, of in cells)}</tr>'
        for row in block.rows
    )
    return (
        f'<div class="wide"><table class="numbers"><caption>{escape(block.caption)}{note}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _baseline(estimate: Estimate | None) -> str:
    return "" if estimate is None or estimate.baseline is None else _digits(estimate.baseline)


def _interval(estimate: Estimate) -> str:
    if math.isinf(estimate.low) and math.isinf(estimate.high):
        return "open"
    if math.isinf(estimate.high):
        return f"at least {_digits(estimate.low)}"
    if math.isinf(estimate.low):
        return f"at most {_digits(estimate.high)}"
    return f"{_digits(estimate.low)} to {_digits(estimate.high)}"


def _shown(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{_digits(estimate.value)} ({_interval(estimate)})"


def _digits(value: float) -> str:
    """Gives a number with three digits that count, at most four behind the point."""
    if not math.isfinite(value):
        return "undefined"
    if value == 0 or abs(value) >= 1_000:
        return f"{value:,.0f}"
    behind = max(0, min(4, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:.{behind}f}"


def _forest(block: Forest) -> str:
    return _framed(block.title, draw.forest(block.title, block.rows, block.axis, baseline=block.baseline))


def _curves(block: Curves) -> str:
    drawn = draw.curves(block.title, block.lines, block.across, block.up, diagonal=block.diagonal)
    return _framed(block.title, drawn)


def _bars(block: Bars) -> str:
    return _framed(block.title, draw.bars(block.title, block.labels, block.groups))


def _gallery(block: Gallery) -> str:
    rows = "".join(
        f'<p class="row"><span>{escape(row.label)}</span>'
        f'<img alt="{escape(f"{block.title}: {row.label}")}" src="data:image/png;base64,{escape(row.png)}"></p>'
        for row in block.rows
    )
    return f'<figure class="gallery"><figcaption>{escape(block.title)}</figcaption>{rows}</figure>'


def _framed(title: str, drawn: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawn}</figure>"


_SHOWN: Final[dict[type[Block], Callable[..., str]]] = {
    Text: _text, Facts: _facts, Numbers: _numbers, Table: _table, Forest: _forest, Curves: _curves, Bars: _bars,
    Gallery: _gallery,
}  # fmt: skip
