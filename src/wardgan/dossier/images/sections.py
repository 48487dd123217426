"""Sections of the internal dossier that are about images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from wardgan.dossier.document import Block, Facts, Number, Numbers, Section, Table, Text
from wardgan.dossier.images.gallery import gallery, synthetic_gallery
from wardgan.dossier.images.measure import ImageFindings, ImagePatients, Seen
from wardgan.dossier.subject import Subject, declared
from wardgan.estimate import Estimate
from wardgan.evaluate import Beside
from wardgan.evaluate.images import Distances, ImageReport, Manifold

_SHOWN: Final = 40
_RATIO: Final = "as near as the hold-out (ratio of the distances; 1 is as near, 0 is far)"


def image_source(subject: Subject, patients: ImagePatients) -> Section:
    """Gives section 3: who was read, and what the schema declares."""
    sides = [("training", patients.train), ("hold-out", patients.holdout)]
    rows = [(name, "none" if one is None else _counts(one)) for name, one in sides]
    tables = [
        Table(
            f"Images by {name}", ["level", *(side for side, one in sides if one is not None)],
            [
                [level, *(f"{int((one.labels[name] == at).sum()):,}" for _, one in sides if one is not None)]
                for at, level in enumerate(_levels(patients, name))
            ],
        )
        for name in patients.train.labels
    ]  # fmt: skip
    return Section(3, "Source data", [Facts(rows), *declared(subject), *tables])


def image_fidelity(subject: Subject, found: ImageFindings, patients: ImagePatients) -> Section:
    """Gives section 7: how like the real images the synthetic ones are, with galleries."""
    pictures = synthetic_gallery(subject.generator, patients.target, seed=subject.seed)
    if found.report is None:
        text = Text("Without a hold-out nothing can be said: every distance needs one beside it.", "alarm")
        return Section(7, "Likeness", [text, *pictures])
    text = (
        "A distance of two sets of images is never 0, and it hangs on the features and on the number of images. So "
        f"each number stands beside that of the hold-out, at the same {found.report.compared:,} images of each. None "
        "of these is the number that is usually called FID: no network was downloaded."
    )
    blocks: list[Block] = [Text(text), *(Text(reason, "alarm") for reason in _refused(found.report))]
    for name, one in found.report.distances.items():
        blocks.append(Numbers(f"In {name} ({one.features} features)", list(_distances(one))))
    blocks.append(Numbers("Images as a whole", list(_whole(found, found.report))))
    blocks += _classes(found.report, patients.levels())
    blocks += pictures
    blocks += _closest(found)
    return Section(7, "Likeness", blocks)


def image_utility(found: ImageFindings) -> Section:
    """Gives section 8: what networks learn."""
    report = found.report
    if report is None:
        return Section(8, "Use", [Text("Without a hold-out nobody can tell what synthetic images teach.", "alarm")])
    blocks: list[Block] = []
    if found.target is None:
        blocks.append(Text("The schema has no label, so nothing is predicted."))
    elif report.taught is not None:
        one = report.taught
        rows = [
            Number("taught by synthetic, tested on real (TSTR)", one.tstr),
            Number("taught by real, tested on real (TRTR)", one.trtr),
            Number("taught by real, tested on synthetic (TRTS)", one.trts, note="" if one.trts else "too few images"),
            Number("TSTR as a share of TRTR", one.share),
            Number("share of right classes, mean over the classes", one.accuracy),
        ]
        blocks.append(Text(f"{one.taught:,} images of either kind taught a small network; it learned {found.target}."))
        blocks.append(Numbers("Small convolutional network (areas under the ROC curve)", rows, "taught by real"))
    if report.drawn is not None:
        rows = [
            Number("taught by synthetic, tested on real pairs", report.drawn.tstr),
            Number("taught by real pairs", report.drawn.trtr),
            Number("the first by the second", report.drawn.share),
        ]
        blocks.append(Numbers("Small U-Net that draws masks (Dice)", rows, "taught by real"))
    blocks += [Text(reason) for reason in report.refusals if reason.startswith(("taught:", "drawn:"))]
    return Section(8, "Use", blocks)


def image_clinical(found: ImageFindings) -> Section:
    """Gives section 9: what numbers do not see."""
    blocks: list[Block] = [
        Text(
            "No rule says whether an image is possible. Somebody who reads such images should look at the galleries of "
            "section 7: for anatomy that does not exist, findings that do not belong to their label, swapped sides."
        )
    ]
    if found.masks:
        rows = [Number(side, one) for side, one in found.masks.items()]
        blocks.append(Numbers("Share of an image that is mask, mean over the patients", rows, ""))
    return Section(9, "Clinical validity", blocks)


def memory_blocks(found: ImageFindings) -> list[Block]:
    """Gives the measures of nearness that are for information."""
    if found.report is None or found.report.memory.refusal is not None:
        return []
    rows: list[Number] = []
    for space, one in found.report.memory.spaces.items():
        rows += [
            Number(f"nearest patient is a training patient ({space})", one.nearer),
            Number(f"training patients score higher ({space})", one.membership),
            Number(f"training patients among the most exposed twentieth ({space})", one.exposed),
            Number(f"images within the distance of the nearest patients ({space})", one.copies.synthetic),
        ]
    if found.report.memory.identical is not None:
        same = "images that are a training image up to one grey level"
        rows.append(Number(same, found.report.memory.identical.synthetic))
    note = "For information: blurred images are nearer to everybody's than real ones are, so look at both columns."
    return [Numbers("Nearness to the training images", rows, "nothing, or hold-out"), Text(note, "quiet")]


def _counts(one: Seen) -> str:
    return f"{one.images.people():,} patients, {len(one.images):,} images"


def _levels(patients: ImagePatients, name: str) -> list[str]:
    return [str(level) for level in patients.schema.column(name).levels][:_SHOWN]


def _distances(one: Distances) -> Iterator[Number]:
    yield Number("Fréchet distance in these features", one.frechet.synthetic)
    yield Number(_RATIO, one.ratio)
    yield Number("kernel distance in these features", one.kernel.synthetic)
    yield from _manifold(one.manifold)


def _manifold(one: Manifold) -> Iterator[Number]:
    yield Number("synthetic images where real ones are (precision)", one.precision.synthetic)
    yield Number("real images where synthetic ones are (recall)", one.recall.synthetic)
    yield Number("how densely (density)", one.density.synthetic)
    yield Number("real images with a synthetic one near (coverage)", one.coverage.synthetic)


def _whole(found: ImageFindings, report: ImageReport) -> Iterable[Number]:
    yield _beside("distance of the grey levels", report.intensity)
    yield _beside("distance of the power spectra (blur, noise)", report.spectrum)
    if report.diversity is not None:
        yield _beside("similarity of pairs of images (above the hold-out: too much alike)", report.diversity.similarity)
        yield _beside("distance of pairs of images (below the hold-out: too much alike)", report.diversity.spread)
    if found.detector is not None:
        yield _beside("told apart by gradient boosting of features (area; .5 is not at all)", found.detector)
    yield Number("hold-out images that are training images, pixel for pixel", report.shared)


def _classes(report: ImageReport, levels: Sequence[str]) -> list[Block]:
    rows: list[Number] = []
    for one in report.classes:
        name = levels[one.label]
        if one.refusal is not None:
            rows.append(Number(name, None, note=one.refusal))
            continue
        for what, value in one.manifolds.items():
            rows.append(Number(f"{name}: precision, {what}", value.precision.synthetic))
            rows.append(Number(f"{name}: coverage, {what}", value.coverage.synthetic))
    return [Numbers("Within each level of the label", rows)] if rows else []


def _closest(found: ImageFindings) -> list[Block]:
    if found.closest is None:
        return []
    rows = [(name, np.asarray(images)) for name, images in
            zip(("synthetic", "nearest training", "nearest hold-out"), found.closest, strict=True)]  # fmt: skip
    title = "The synthetic images nearest to a training image, with that one, and the nearest of the hold-out"
    return gallery(title, rows)


def _refused(report: ImageReport) -> list[str]:
    """Gives what could not be judged, but for what section 8 says."""
    return [reason for reason in report.refusals if not reason.startswith(("taught:", "drawn:"))]


def _beside(label: str, one: Beside) -> Number:
    found: Estimate = one.synthetic
    return Number(label, found)
