"""Whatever is reserved, settled, killed and resumed in whatever order: all entries together never pass the cap."""

import math
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts_kit import claim, opened, patients, plan
from wardgan.errors import BudgetError
from wardgan.files import locked
from wardgan.privacy.accountant import gaussian_delta
from wardgan.privacy.accounts.slip import Slip
from wardgan.privacy.events import Budget
from wardgan.privacy.ledger import Ledger

CAP = Budget(2.0)
RUNS = 4
STEP = st.tuples(
    st.sampled_from(["fit", "settle", "crash", "resume", "figure", "revise"]), st.integers(0, RUNS - 1),
    st.sampled_from([0.1, 0.4, 0.9, 1.4, 2.0]), st.integers(0, 2),
)  # fmt: skip


class World:
    """The obvious twin: what each run has really spent or may spend, as a list of noise multipliers."""

    def __init__(self, folder):
        self.folder = folder
        self.accounts = opened(folder)
        self.accounts.cap(CAP)
        self.truth: dict[str, list[float]] = {}
        self.alive: dict[str, Ledger] = {}
        self.held: dict[str, ExitStack] = {}
        self.epsilon: dict[str, float] = {}
        self.refused = 0

    def fit(self, name, epsilon, _spent):
        if name not in self.truth:
            self._reserve(name, epsilon, Ledger(plan(epsilon)))

    def resume(self, name, _epsilon, _spent):
        file = self.folder / name / "ledger.jsonl"
        if name in self.truth and name not in self.alive and file.exists():
            self._reserve(name, self.epsilon[name], Ledger.resume(file))

    def settle(self, name, _epsilon, spent):
        if name in self.alive:
            bill = self._spend(name, spent)
            self.accounts.settle(name, bill.events)
            self.truth[name] = noises(bill)

    def crash(self, name, _epsilon, spent):
        if name in self.alive:
            self.truth[name] = noises(self._spend(name, spent))

    def figure(self, name, epsilon, spent):
        if name in self.truth:
            bill, token = Ledger(plan(epsilon)), f"figure {len(self.truth)} {name}"
            try:
                self.accounts.reserve_figure(name, claim(token, epsilon), patients(f"held {name}"))
            except BudgetError:
                self.refused += 1
                return
            for at in range(spent):
                bill.spend(f"part {at}")
            self.accounts.settle(token, bill.events)
            self.truth[token] = noises(bill)

    def revise(self, name, epsilon, _spent):
        if name in self.alive and not self.alive[name].events:
            try:
                self.accounts.revise(name, plan(epsilon))
            except BudgetError:
                self.refused += 1
                return
            self._begin(name, epsilon, Ledger(plan(epsilon)), again=True)

    def check(self):
        mu = math.sqrt(sum(noise**-2 for each in self.truth.values() for noise in each))
        assert mu == 0 or gaussian_delta(mu, CAP.epsilon) <= CAP.delta * (1 + 1e-6)
        for found in self.accounts.show():
            total = found.total()
            assert total.epsilon <= CAP.epsilon * (1 + 1e-9)
            # Never less than the truth.
            assert mu == 0 or gaussian_delta(mu, total.epsilon) <= CAP.delta * (1 + 1e-6)

    def _reserve(self, name, epsilon, bill):
        run = self.folder / name
        try:
            self.accounts.reserve(patients(), claim(name, epsilon, run=run))
        except BudgetError:
            self.refused += 1
            return
        self._begin(name, epsilon, bill)

    def _begin(self, name, epsilon, bill, *, again=False):
        run = self.folder / name
        if again:
            self.held.pop(name).close()
            shutil.rmtree(run)
        if not run.exists():
            run.mkdir()
            Slip(str(self.accounts.path), name).write(run)
            bill.open_file(run / "ledger.jsonl")
        # As in a fit: the run's ledger is held while the process is alive.
        self.held[name] = ExitStack()
        self.held[name].enter_context(locked(run / "ledger.jsonl"))
        self.alive[name], self.epsilon[name] = bill, epsilon
        self.truth[name] = [event.noise_multiplier for event in bill.plan.events]

    def _spend(self, name, spent):
        bill = self.alive.pop(name)
        self.held.pop(name).close()
        for event in bill.plan.events[:spent]:
            if not bill.steps(event.name):
                bill.spend(event.name)
        return bill


def noises(bill):
    return [event.noise_multiplier for event in bill.events]


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=14))
def test_p14_no_order_of_events_passes_the_cap(steps):
    folder = Path(tempfile.mkdtemp())
    try:
        world = World(folder)
        with world.accounts:
            for what, run, epsilon, spent in steps:
                getattr(world, what)(f"run {run}", epsilon, spent)
                world.check()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("epsilons", [[1.4] * 4, [2.0, 0.1], [1.4, 1.4, 0.9, 0.1]])
def test_p14_the_twin_sees_refusals_and_room(tmp_path, epsilons):
    world = World(tmp_path)
    with world.accounts, ExitStack() as last:
        last.callback(lambda: [each.close() for each in world.held.values()])
        for at, epsilon in enumerate(epsilons):
            world.fit(f"run {at}", epsilon, 2)
            world.check()
        assert world.refused
        world.crash("run 0", None, 0)
        world.fit("run 9", epsilons[-1], 2)
        world.check()
        assert "run 9" in world.truth
