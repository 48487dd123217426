"""Draws docs/picture.svg, the picture of the README: a trial, what leaves the hospital, and what is drawn from it.

All of it is made anew by the public interface: invented patients, a private fit, its dossier, a signed file that is
verified and sampled. The privacy noise has no seed, so the synthetic half differs a little each time.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import wardgan as wg
from wardgan.demo.journey import public_schema
from wardgan.rng import Seed
from wardgan.simulate.sprint import sprint_like

ROOT = Path(__file__).resolve().parents[1]
PATIENTS, EPSILON = 6_000, 1.0
# As far from white as from black: contrast 4.5 : 1 with both.
GREY = "#767676"
ARMS = {"standard": "#2b83c6", "intensive": "#d1620a"}


@dataclass(frozen=True)
class Made:
    """What is drawn.

    Attributes:
        real: Visits of the invented patients, one a row.
        synthetic: Visits of as many synthetic patients.
        size: Size of the released file in bytes.
        epsilon: What was spent.
    """

    real: pd.DataFrame
    synthetic: pd.DataFrame
    size: int
    epsilon: float


def main() -> None:
    """Writes the figure."""
    with tempfile.TemporaryDirectory() as folder:
        made = journey(Path(folder))
    with rc_context({"svg.hashsalt": "wardgan"}):
        draw(made).savefig(ROOT / "docs" / "picture.svg", transparent=True, metadata={"Date": None})


def journey(folder: Path, patients: int = PATIENTS) -> Made:
    """Gives what a hospital has, what leaves it, and what a receiver draws.

    Args:
        folder: Where files go.
        patients: How many the trial has, and how many are drawn.
    """
    schema = public_schema(patients)
    train, others = (
        wg.read(sprint_like(patients, seed=Seed(seed)).assign(**_named(seed)), schema) for seed in (2017, 2019)
    )
    trained = wg.fit(train, wg.Budget(epsilon=EPSILON), run=folder / "run")
    wg.new_key(folder / "a.key", name="A hospital", trust=folder / "trust.json")
    dossier = wg.assess(folder / "run", train, others)
    dossier.write(folder / "dossier")
    override = "its patients are invented" if dossier.refusals else None
    wg.release(trained, folder / "a.hgan", folder / "a.key", override, dossier=folder / "dossier")
    generator = wg.load(folder / "a.hgan", trust=folder / "trust.json")
    drawn = generator.sample(patients, seed=7)
    return Made(train.frame(), drawn, (folder / "a.hgan").stat().st_size, trained.ledger.epsilon())


def _named(seed: int) -> dict[str, object]:
    return {"patient_id": lambda frame: f"{seed}-" + frame["patient_id"]}


def draw(made: Made) -> Figure:
    """Gives the figure."""
    figure = Figure(figsize=(7.4, 2.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(5, 2.3, 5), sharey=False)
    _trial(left, made.real, f"{made.real['patient_id'].nunique():,} patients: they stay")
    _trial(right, made.synthetic, f"{made.synthetic['patient_id'].nunique():,} synthetic patients")
    _file(middle, made)
    left.set_ylabel("systolic pressure (mm Hg)", color=GREY, fontsize=9)
    left.legend(loc="upper right", frameon=False, labelcolor=GREY, fontsize=9, title_fontsize=9)
    return figure


def _trial(axes: Axes, visits: pd.DataFrame, title: str) -> None:
    order = list(dict.fromkeys(visits["visit"]))
    months = [0 if name == "RZ" else int(name.removesuffix("M")) for name in order]
    for arm, colour in ARMS.items():
        found = visits[visits["arm"] == arm].groupby("visit", observed=True)["sbp"].quantile([0.1, 0.5, 0.9]).unstack()
        low, middle, high = (found[share].reindex(order).astype(float) for share in (0.1, 0.5, 0.9))
        axes.fill_between(months, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(months, middle, color=colour, marker="o", markersize=3, linewidth=1.6, label=f"{arm} arm")
    axes.set_title(title, color=GREY, fontsize=10)
    axes.set_xlabel("months", color=GREY, fontsize=9)
    axes.set_xticks(range(0, 28, 6))
    axes.set_ylim(90, 185)
    axes.tick_params(colors=GREY, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(GREY)


def _file(axes: Axes, made: Made) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    words = f"one signed file\n{made.size / 1000:,.0f} kB\nepsilon {made.epsilon:.3g}\nno patient in it"
    axes.text(0.5, 0.72, words, ha="center", va="center", color=GREY, fontsize=9, linespacing=1.5)
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.6, "mutation_scale": 16}
    axes.annotate("", (1.0, 0.44), (0.0, 0.44), arrowprops=arrow)


if __name__ == "__main__":
    main()
