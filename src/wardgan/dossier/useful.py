"""Sections 7 to 10 of the internal dossier: how like the real patients, what use, what course, and which groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from wardgan.dossier.document import Block, Curves, Forest, Number, Numbers, Section, Text, Who
from wardgan.dossier.draw import Axis, Line, Row
from wardgan.dossier.measure import Findings, Patients
from wardgan.dossier.policy import Policy
from wardgan.dossier.shapes import AXES, Tables, shapes
from wardgan.errors import counted
from wardgan.estimate import Estimate
from wardgan.evaluate import Beside, Calibration, CoefficientAgreement, Course, Slot, Subgroup, Survival
from wardgan.evaluate.curves import Curve

_COLUMNS: Final = 40
_FIGURES: Final = 30
_COEFFICIENTS: Final = 40
_GROUPS: Final = 6
_POINTS: Final = 80
_WHO: Final[tuple[tuple[Who, str], ...]] = (("real", "real"), ("holdout", "hold-out"), ("synthetic", "synthetic"))


def fidelity(found: Findings, patients: Patients) -> Section:
    """Gives section 7: how like the real patients the synthetic ones are."""
    like = found.likeness
    detector, propensity = found.detector
    whole = [
        _beside("distance of single columns, mean (total variation)", like.mean),
        _beside("distance of pairs of columns, mean (total variation)", like.pairs),
        _beside("difference of correlations, mean", like.associations),
        _beside("told apart by gradient boosting (area; .5 is not at all)", detector),
        _beside("unevenness of propensity scores (1 is by chance)", propensity),
        _beside("synthetic patients where real ones are (precision)", found.neighbours.precision),
        _beside("real patients near a synthetic one (coverage)", found.neighbours.coverage),
        _beside("cells missing together", like.missing_together),
    ]
    columns = sorted(like.columns.items(), key=lambda item: -_value(item[1]))[:_COLUMNS]
    each = [_beside(name, one) for name, one in columns]
    gone = [_beside(name, one) for name, one in sorted(like.missing.items(), key=lambda item: -abs(_value(item[1])))]
    pairs = [_beside(f"{left} and {right}", one) for (left, right), one in like.worst.items()]
    text = (
        "Every distance of two samples is above 0, even of the same population. So each stands beside that of the "
        "hold-out: nothing can be expected to be nearer than that. What is nearer may have been copied."
    )
    blocks: list[Block] = [Text(text), Numbers("All columns together", whole)]
    blocks.append(Numbers(f"Single columns, farthest first ({_most(columns, like.columns)})", each))
    if pairs:
        blocks.append(Numbers("The ten pairs of columns that are farthest", pairs))
    if gone:
        blocks.append(Numbers("Share of missing cells, less that of real patients", gone[:_COLUMNS]))
    names = [name for name, _ in columns][:_FIGURES]
    blocks.append(Text(AXES, "quiet"))
    return Section(7, "Likeness", [*blocks, *shapes(patients.schema, _tables(patients), names)])


def utility(found: Findings) -> Section:
    """Gives section 8: what classifiers and regressions learn."""
    blocks: list[Block] = []
    use = found.utility
    if found.target is None:
        blocks.append(Text("The schema has no label, so nothing is predicted; name a column with --target."))
    elif use is None:
        blocks.append(Text("Without a hold-out nobody can tell what synthetic patients teach.", "alarm"))
    elif use.refusal is not None:
        blocks.append(Text(f"Nothing can be judged: {use.refusal}", "alarm"))
    else:
        taught = f"{use.taught[0]:,} real and {use.taught[1]:,} synthetic patients taught; the target is {use.target}."
        blocks.append(Text(taught))
        for model, one in use.models.items():
            rows = [
                Number("taught by synthetic, tested on real (TSTR)", one.tstr),
                Number("taught by real, tested on real (TRTR)", one.trtr),
                Number("taught by real, tested on synthetic (TRTS)", one.trts),
                Number("TSTR as a share of TRTR", one.share),
                Number("of what can be learned, share that is", one.kept),
                Number("share of right classes", one.accuracy),
                Number("error of the risks (Brier)", one.calibration["synthetic"].brier),
                Number("calibration error", one.calibration["synthetic"].error),
            ]
            blocks.append(Numbers(f"{model[0].upper()}{model[1:]} (areas under the ROC curve)", rows, "taught by real"))
        model, first = next(iter(use.models.items()))
        blocks += _calibration(model, first.calibration)
    if found.coefficients is not None:
        blocks += _coefficients(found.coefficients, "Odds ratios of a logistic regression", "log odds ratio")
    return Section(8, "Use", blocks)


def clinical(found: Findings) -> Section:
    """Gives section 9: rules, survival, courses."""
    blocks: list[Block] = []
    if found.rules.rules:
        rows = [
            Number(rule.rule, rule.synthetic, note="no real patient breaks it" if rule.impossible else "")
            for rule in found.rules.rules
        ]
        blocks.append(Numbers("Rules: share of the synthetic patients who break them", rows, "real patients"))
    else:
        blocks.append(Text("The schema declares no rules, such as dbp < sbp. Clinicians know some: add them."))
    if found.unseen.watched:
        rows = [Number("patients with at least one such pair", found.unseen.patients.synthetic)]
        rows += [
            Number(
                " and ".join(f"{name} {level}" for name, level in zip(one.columns, one.levels, strict=True)),
                one.synthetic,
            )
            for one in found.unseen.pairs
        ]
        title = "Pairs of levels that no real patient has, though one would expect them"
        blocks.append(Numbers(f"{title} ({found.unseen.watched:,} watched)", rows))
    if found.survival is not None:
        blocks += _survival(found.survival)
    if found.hazards is not None:
        blocks += _coefficients(found.hazards, "Hazard ratios of Cox's regression", "log hazard ratio")
    for one in found.courses:
        blocks += _course(one)
    return Section(9, "Clinical validity", blocks)


def groups(found: Sequence[Subgroup], policy: Policy) -> Section:
    """Gives section 10: what became of groups of patients.

    Args:
        found: The groups.
        policy: Its limit is drawn.
    """
    if not found:
        return Section(10, "Groups of patients", [Text("The schema has no flags, small categories or ages.")])
    limit = policy.limits["subgroups"].fail
    gone = [f"{one.column}: {one.group}" for one in found if one.verdict == "vanished"]
    blocks: list[Block] = []
    if gone:
        blocks.append(Text(f"Groups that vanished (less than half of their real share): {', '.join(gone)}.", "alarm"))
    unsure = [
        f"{one.column}: {one.group} ({one.n})"
        for one in found
        if one.verdict == "too few to judge" and one.n and not one.synthetic.value
    ]
    if unsure:
        blocks.append(
            Text(f"Groups of few real patients that no synthetic patient belongs to: {', '.join(unsure)}.", "alarm")
        )
    judged = [one for one in found if one.ratio is not None and one.verdict in ("kept", "vanished")]
    if judged:
        rows = [Row(f"{one.column}: {one.group}", one.ratio, limit=limit) for one in judged]
        ends = [one.ratio.high for one in judged if one.ratio is not None and math.isfinite(one.ratio.high)]
        axis = Axis("share among synthetic by share among real patients", 0.0, min(3.0, max([1.5, *ends]) * 1.05))
        blocks.append(
            Forest("Is each group still there? (1 is as many as among real patients)", rows, axis, "hold-out")
        )
    shares = [
        Number(f"{one.column}: {one.group}", one.synthetic, note=_group_note(one.verdict, one.n)) for one in found
    ]
    blocks.append(Numbers("Share of each group among the synthetic patients", shares, "real patients"))
    taught = [Number(f"{one.column}: {one.group}", one.tstr) for one in found if one.tstr is not None]
    if taught:
        blocks.append(
            Numbers("What classifiers find in each group (area under the ROC curve)", taught, "taught by real")
        )
    return Section(10, "Groups of patients", blocks)


def _group_note(verdict: str, n: int) -> str:
    return f"{verdict}; {counted(n, 'real patient')}"


def _calibration(model: str, found: Mapping[str, Calibration]) -> list[Block]:
    lines: list[Line] = []
    classes = list(found["synthetic"].curves)
    if not classes:
        return []
    name = classes[-1]
    taught: tuple[tuple[Who, str], ...] = (("real", "taught by real"), ("synthetic", "taught by synthetic"))
    for kind, label in taught:
        points = [point for point in found[kind].curves.get(name, ()) if math.isfinite(point.observed.value)]
        if points:
            lines.append(
                Line(label, kind, [point.predicted for point in points], [point.observed.value for point in points])
            )
    axes = Axis(f"risk of {name} that was told", 0.0, 1.0), Axis("share who have it", 0.0, 1.0)
    return [Curves(f"Are the risks right that {model} tells? (on the diagonal they are)", lines, *axes, diagonal=True)]


def _coefficients(found: CoefficientAgreement, title: str, unit: str) -> list[Block]:
    if found.refusal is not None:
        return [Text(f"{title}: {found.refusal}")]
    events = [
        f"{count:,} {who}" for count, who in zip(found.events, ("real", "synthetic", "hold-out"), strict=True) if count
    ]
    rows = [
        _beside("share of the clear coefficients with the right sign", found.signs),
        _beside("overlap of the intervals, mean", found.overlap),
        _beside("distance in real standard errors, mean", found.distance),
    ]
    each = sorted(found.coefficients, key=lambda one: one.overlap)[:_COEFFICIENTS]
    lines = [
        Number(one.name, one.synthetic, note=f"real {_interval(one.real)}; overlap {one.overlap:.2f}") for one in each
    ]
    caption = f"{title}: {unit} in synthetic patients"
    return [
        Text(f"{title} for {found.outcome}; events: {', '.join(events)}."),
        Numbers(f"{title}: agreement", rows),
        Numbers(f"{caption}, least agreement first ({_most(each, found.coefficients)})", lines, "real patients"),
    ]


def _survival(found: Survival) -> list[Block]:
    blocks: list[Block] = []
    for name, curves in list(found.curves.items())[:_GROUPS]:
        lines = [_step(label, who, curves[who]) for who, label in _WHO if who in curves and len(curves[who].time) > 1]
        if lines:
            last = max(line.x[-1] for line in lines)
            title = f"Share without {found.endpoint.event} ({name}), with 95 % bands"
            blocks.append(
                Curves(title, lines, Axis(found.endpoint.time, 0.0, last), Axis("share without the event", 0.0, 1.0))
            )
    rows: list[Number] = []
    for name, gap in found.gaps.items():
        rows += [
            _beside(f"{name}: mean gap of the curves", gap.mean, gap.refusal or ""),
            _beside(f"{name}: largest gap", gap.largest, gap.refusal or ""),
            _beside(f"{name}: rate of events, synthetic by real", gap.ratio, gap.refusal or ""),
        ]
    rows += [Number(f"patients with the event, {who}", one) for who, one in found.events.items()]
    return [*blocks, Numbers(f"Time to {found.endpoint.event}", rows)]


def _step(label: str, who: Who, curve: Curve) -> Line:
    step = max(1, len(curve.time) // _POINTS)
    kept = sorted({*range(0, len(curve.time), step), len(curve.time) - 1})

    def each(values: Sequence[float]) -> list[float]:
        return [round(float(values[at]), 5) for at in kept]

    return Line(label, who, each(curve.time), each(curve.survival), each(curve.low), each(curve.high), step=True)


def _course(found: Course) -> list[Block]:
    blocks: list[Block] = []
    for name, groups_ in list(found.trajectories.items())[:_GROUPS]:
        lines = [
            line for who, label in _WHO if who in groups_ for line in [_trajectory(label, who, groups_[who])] if line.x
        ]
        if not lines:
            continue
        ends = [value for line in lines for value in (*line.low, *line.high, *line.y)]
        room = 0.05 * (max(ends) - min(ends)) or 1.0
        across = Axis(f"visit ({found.visits[0]} to {found.visits[-1]})", 1.0, float(max(len(found.visits), 2)))
        up = Axis(f"mean {found.variable}", min(ends) - room, max(ends) + room)
        blocks.append(Curves(f"Course of {found.variable} ({name}), with 95 % bands", lines, across, up))
    return [*blocks, Numbers(f"{found.variable} over the visits", list(_course_rows(found)), "real")]


def _trajectory(label: str, who: Who, slots: Sequence[Slot]) -> Line:
    known = [
        (at + 1.0, slot.mean)
        for at, slot in enumerate(slots)
        if slot.mean is not None and math.isfinite(slot.mean.value)
    ]
    x, y = [at for at, _ in known], [mean.value for _, mean in known]
    low = [mean.low if math.isfinite(mean.low) else mean.value for _, mean in known]
    high = [mean.high if math.isfinite(mean.high) else mean.value for _, mean in known]
    return Line(label, who, x, y, low, high)


def _course_rows(found: Course) -> Iterator[Number]:
    for lag, tables in found.lags.items():
        for who, one in _made(tables):
            yield Number(f"correlation of values {counted(lag, 'visit')} apart, {who}", _finite(one))
    for what, tables in (("variance within patients", found.within), ("variance between patients", found.between),
                         ("share of the variance between patients", found.intraclass)):  # fmt: skip
        for who, one in _made(tables):
            yield Number(f"{what}, {who}", _finite(one))
    yield _beside("distance of the patients' slopes", found.slope_distance)


def _made(tables: Mapping[str, Estimate | None]) -> Iterator[tuple[str, Estimate | None]]:
    """Gives what stands beside the real patients, whose number is the baseline."""
    for who, label in (("synthetic", "synthetic"), ("holdout", "hold-out")):
        if who in tables:
            yield label, tables[who]


def _tables(patients: Patients) -> Tables:
    real, made, held = patients.tables()
    return {"real": real, "synthetic": made} if held is None else {"real": real, "holdout": held, "synthetic": made}


def _beside(label: str, found: Beside | None, note: str = "") -> Number:
    if found is None or not math.isfinite(found.synthetic.value):
        return Number(label, None, note=note)
    return Number(label, found.synthetic, note=note)


def _finite(found: Estimate | None) -> Estimate | None:
    return None if found is None or not math.isfinite(found.value) else found


def _value(found: Beside) -> float:
    return found.synthetic.value if math.isfinite(found.synthetic.value) else 0.0


def _interval(found: Estimate) -> str:
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"


def _most(shown: Sequence[object], whole: Iterable[object]) -> str:
    count = len(list(whole))
    return f"all {count}" if len(shown) == count else f"{len(shown)} of {count}"
