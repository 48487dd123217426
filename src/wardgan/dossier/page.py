"""A dossier as one HTML page that needs no script, no network and no colour."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

from wardgan.dossier import draw
from wardgan.dossier.document import Bars, Block, Curves, Document, Facts, Forest, Number, Numbers, Section, Table, Text
from wardgan.dossier.gates import Judgement, Verdict
from wardgan.dossier.style import STYLE
from wardgan.estimate import Estimate

_WORDS: Final[dict[Verdict, str]] = {
    "pass": "PASS", "warn": "PASS, WITH WARNINGS", "unjudged": "NOT JUDGED", "fail": "FAIL",
}  # fmt: skip
_MARKS: Final[dict[Verdict, str]] = {"pass": "✓", "warn": "!", "unjudged": "?", "fail": "✗"}
_SHORT: Final[dict[Verdict, str]] = {"pass": "pass", "warn": "warning", "unjudged": "not judged", "fail": "fail"}
_EDITIONS: Final = {
    "internal": "Internal edition: it shows numbers of real patients and stays in the hospital.",
    "public": "Public edition: every number was paid for with noise, or is of synthetic patients alone.",
}


def page(document: Document) -> str:
    """Gives the whole page."""
    title = escape(f"Dossier of {document.name}")
    body = [_verdict(document), _contents(document), *[_section(section) for section in document.sections]]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>"
        f'<header><h1>{title}</h1><p class="edition {document.edition}">{escape(_EDITIONS[document.edition])}</p>'
        f"</header>\n<main>{chr(10).join(body)}</main></body></html>\n"
    )


def _verdict(document: Document) -> str:
    word = _WORDS[document.overall]
    released = "".join(
        f'<p class="alarm">Released by override: {escape(override)}</p>' for override in document.released
    )
    rows = "".join(_gate(one) for one in document.judgements)
    return (
        f'<section class="verdict {document.overall}" id="s0"><h2>0 Verdict</h2>'
        f'<p class="word"><span aria-hidden="true">{_MARKS[document.overall]}</span> {word}</p>{released}'
        '<div class="wide"><table><caption>Gates</caption><thead><tr><th scope="col">verdict</th>'
        '<th scope="col">gate</th><th scope="col">what was found, and what is asked for</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _gate(one: Judgement) -> str:
    about = f" <span class='quiet'>{escape(one.about)}</span>" if one.about else ""
    return (
        f'<tr class="{one.verdict}"><td><span class="mark" aria-hidden="true">{_MARKS[one.verdict]}</span> '
        f"{_SHORT[one.verdict]}</td><th scope='row'>{escape(one.gate)}{about}</th><td>{escape(one.reason)}</td></tr>"
    )


def _contents(document: Document) -> str:
    links = "".join(
        f'<li><a href="#s{section.number}">{section.number} {escape(section.title)}</a></li>'
        for section in document.sections
    )
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'


def _section(section: Section) -> str:
    blocks = "".join(_block(block) for block in section.blocks)
    return f'<section id="s{section.number}"><h2>{section.number} {escape(section.title)}</h2>{blocks}</section>'


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
    controls = any(row.control is not None for row in block.rows)
    notes = any(row.note for row in block.rows)
    names = ["", "value", "95 % interval", block.baseline, *(["leaking generator"] if controls else []), "n", "method"]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in [*names, *(["remark"] if notes else [])])
    rows = "".join(_number(row, controls=controls, notes=notes) for row in block.rows)
    return (
        f'<div class="wide"><table class="numbers"><caption>{escape(block.caption)}</caption><thead><tr>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _number(row: Number, *, controls: bool, notes: bool) -> str:
    one = row.estimate
    if one is None:
        cells = ["not measured", "", "", *([_shown(row.control)] if controls else []), "", ""]
    else:
        baseline = "" if one.baseline is None else _digits(one.baseline)
        interval = f"{_digits(one.low)} to {_digits(one.high)}"
        control = [_shown(row.control)] if controls else []
        cells = [_digits(one.value), interval, baseline, *control, f"{one.n:,}", one.method]
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in [*cells, *([row.note] if notes else [])])
    return f'<tr><th scope="row">{escape(row.label)}</th>{shown}</tr>'


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{_digits(estimate.value)} ({_digits(estimate.low)} to {_digits(estimate.high)})"


def _digits(value: float) -> str:
    return f"{value:.3g}"


def _forest(block: Forest) -> str:
    return _framed(block.title, draw.forest(block.title, block.rows, block.axis, limit=block.limit))


def _curves(block: Curves) -> str:
    drawn = draw.curves(block.title, block.lines, block.across, block.up, diagonal=block.diagonal)
    return _framed(block.title, drawn)


def _bars(block: Bars) -> str:
    return _framed(block.title, draw.bars(block.title, block.labels, block.groups))


def _framed(title: str, drawn: str) -> str:
    return f"<figure>{drawn}<figcaption>{escape(title)}</figcaption></figure>"


_SHOWN: Final[dict[type[Block], Callable[..., str]]] = {
    Text: _text, Facts: _facts, Numbers: _numbers, Table: _table, Forest: _forest, Curves: _curves, Bars: _bars,
}  # fmt: skip
