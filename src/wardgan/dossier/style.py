"""How a dossier looks: on white, on black, on paper, and four times as large."""

from __future__ import annotations

from typing import Final

# Text has a contrast of at least 4.5 : 1 in both schemes; verdicts are words and marks before they are colours.
STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c1c1e;--quiet:#5c5c62;--rule:#d9d9de;--grid:#e4e4e8;--card:#f6f6f8;
--real:#0068a5;--holdout:#6b6b70;--synthetic:#b34700;--bad:#b00020;--good:#0b6b3a;--warn:#8a5a00;--open:#5b3fa8}
@media(prefers-color-scheme:dark){:root{--paper:#141416;--ink:#ececf0;--quiet:#a9a9b2;--rule:#3a3a40;--grid:#2c2c31;
--card:#1e1e22;--real:#62b6ee;--holdout:#a0a0a8;--synthetic:#ff9c4a;--bad:#ff7b8a;--good:#5fd08f;--warn:#f0b64b;
--open:#b79cff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.7rem;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--rule);padding-bottom:.25rem}
p{max-width:46rem;margin:.5rem 0}
.quiet{color:var(--quiet)}
.alarm{border-left:.4rem solid var(--bad);padding:.4rem .8rem;font-weight:600;background:var(--card)}
.banner{background:#b00020;color:#fff;padding:.6rem .8rem;font-weight:700;max-width:none;border-radius:.3rem}
.edition{font-weight:600}
.edition-internal{color:var(--bad)}
.verdict{border:2px solid currentColor;border-radius:.5rem;padding:.2rem 1rem 1rem;margin-top:1rem;
background:var(--card)}
.verdict h2{border:0;margin:.6rem 0 0;color:var(--ink)}
.verdict.pass{border-color:var(--good)}.verdict.warn{border-color:var(--warn)}
.verdict.unjudged{border-color:var(--open)}.verdict.fail{border-color:var(--bad)}
.word{font-size:1.9rem;font-weight:700;margin:.2rem 0}
.pass .word,tr.pass .mark{color:var(--good)}.warn .word,tr.warn .mark{color:var(--warn)}
.unjudged .word,tr.unjudged .mark{color:var(--open)}.fail .word,tr.fail .mark{color:var(--bad)}
nav ol{list-style:none;padding:0;columns:16rem;column-gap:2rem}
nav a,a{color:var(--real)}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;margin:.8rem 0;font-size:.92rem;min-width:60%}
caption{text-align:left;font-weight:600;padding:.2rem 0}
caption .quiet{font-weight:400}
th,td{text-align:left;vertical-align:top;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--rule);
font-weight:400}
thead th{font-weight:600}
.numbers td{font-variant-numeric:tabular-nums}
dl{display:grid;gap:.25rem;margin:.8rem 0}
dl div{display:grid;grid-template-columns:minmax(9rem,16rem) 1fr;gap:.2rem 1rem}
dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:0 1.5rem}
figure{margin:1rem 0;break-inside:avoid}
figcaption{font-size:.92rem;font-weight:600;max-width:46rem;margin-bottom:.3rem}
svg{width:100%;max-width:46rem;height:auto;font:13px system-ui,-apple-system,"Segoe UI",sans-serif}
.figures svg{font-size:15px}
svg text{fill:var(--ink)}svg .quiet{fill:var(--quiet)}
.grid{stroke:var(--grid)}
.limit{stroke:var(--bad);stroke-dasharray:6 4;stroke-width:1.5;fill:none}
.same{fill:none;stroke:var(--quiet);stroke-dasharray:1 4;stroke-width:1.5}
.line{fill:none;stroke-width:2}
.line.real{stroke:var(--real);stroke-width:3}
.line.holdout{stroke:var(--holdout);stroke-dasharray:2 3}
.line.synthetic{stroke:var(--synthetic)}
.line.control{stroke:var(--bad);stroke-dasharray:8 3}
.band{stroke:none;opacity:.16}
.band.real{fill:var(--real)}.band.holdout{fill:var(--holdout)}.band.synthetic{fill:var(--synthetic)}
.bar.real{fill:var(--real)}.bar.holdout{fill:var(--holdout)}.bar.synthetic{fill:var(--synthetic)}
.dot.synthetic{fill:var(--synthetic)}
.mark{font-weight:700}
svg .mark{fill:none;stroke-width:1.6}
.holdout.mark{stroke:var(--holdout)}.control.mark{stroke:var(--bad)}
.gallery .row{max-width:none;margin:.2rem 0;display:grid;grid-template-columns:8rem 1fr;gap:.8rem;align-items:center}
.gallery .row span{overflow-wrap:anywhere}
.gallery img{width:100%;max-width:44rem;image-rendering:pixelated}
@media(max-width:34rem){.gallery .row{grid-template-columns:1fr;gap:.1rem}}
@media(max-width:34rem){dl div{grid-template-columns:1fr}.word{font-size:1.4rem}}
@media print{:root{--paper:#fff;--ink:#000;--card:#fff}body{font-size:10pt}nav{display:none}
section{break-inside:auto}figure,tr,.verdict p{break-inside:avoid}h2,caption,thead{break-after:avoid}
thead{display:table-header-group}.wide{overflow:visible}
a{color:inherit;text-decoration:none}}
"""
