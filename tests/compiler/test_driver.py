"""The driver: passes see what they declare, and nothing is run or made twice on equal inputs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from networks import ordinary

from qif2hw import engine, zoo
from qif2hw.compiler import (
    CompileOptions,
    Pass,
    State,
    compile_network,
    load_target,
    passes_for,
    ptc_tables,
    run_passes,
)
from qif2hw.compiler.default_inputs import spread
from qif2hw.compiler.driver import MOST_KEPT, Kept
from qif2hw.compiler.pass_spec import PASSES
from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.search import SearchProblem, Setting, evaluate
from qif2hw.compiler.state import Section
from qif2hw.errors import InputError
from qif2hw.ir import Program, TimeGrid

NETWORK = ordinary((1, 8, 8, 2), 1)


def start(network: Any = NETWORK) -> State:
    return State.start(network, load_target("loihi2"), spread(128, network.inputs))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each pass runs."""
    count: Counter[str] = Counter()

    def counted(run: Callable[[Any, State], State]) -> Callable[[Any, State], State]:
        def again(self: Pass, state: State) -> State:
            count[self.name] += 1
            return run(self, state)

        return again

    for one in PASSES.values():
        monkeypatch.setattr(one, "run", counted(one.run))
    return count


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tables that are made."""
    ptc_tables._cotangent_pair.cache_clear()
    made, tabulate = [], ptc_tables._tabulate

    def counted(*arguments: Any) -> Any:
        made.append(1)
        return tabulate(*arguments)

    monkeypatch.setattr(ptc_tables, "_tabulate", counted)
    return made


def test_equal_tables_are_made_once(tables: list[int]) -> None:
    """Two for each of six populations, and two finer ones for the error budget."""
    compile_network(zoo.network("burgers_pinn"), CompileOptions(steps=128, rounding="nearest"))
    assert len(tables) == 24


def test_an_error_target_rounds_the_weights_once(runs: Counter[str]) -> None:
    compiled = compile_network(NETWORK, CompileOptions(max_error=0.01, form="cotangent"))
    tried = len(compiled.report["max-error"]["tried"])
    assert tried > 2
    assert runs["weights"] == runs["adapt-rounding"] == runs["budget"] == 1
    # Once to choose the form, once for the setting that is taken.
    assert runs["tables"] == 2
    # Every setting, and the taken one with the options asked for.
    assert runs["ranges"] == tried + 1


def test_settings_of_a_search_share_weights_of_the_same_bits(runs: Counter[str]) -> None:
    x = np.linspace(0, 1, 100)[:, None]
    problem = SearchProblem(NETWORK, "loihi2", "adapt", x, engine.run(compile_network(NETWORK).program, x).y)
    runs.clear()
    arithmetic = ((8, "cotangent"), (4, "plane"))
    same = [Setting((8, 8, 8), 7, steps, bits, form) for steps in (64, 128) for bits, form in arithmetic]
    shared = [evaluate(problem, setting) for setting in same]
    assert runs["weights"] == runs["adapt-rounding"] == 1
    assert runs["time-grid"] == 4
    assert shared == [evaluate(replace(problem, kept=Kept()), setting) for setting in same]
    evaluate(problem, replace(same[0], weight_bits=(8, 8, 7)))
    assert runs["adapt-rounding"] == 1 + 4 + 1


def test_kept_results_are_those_of_a_new_run() -> None:
    kept, passes = Kept(), passes_for(CompileOptions(steps=64))
    first, _ = run_passes(start(), passes, kept)
    again, _ = run_passes(start(ordinary((1, 8, 8, 2), 1)), passes, kept)
    assert again[Program] is first[Program]
    assert again.report == first.report == run_passes(start(), passes)[0].report
    other, _ = run_passes(start(ordinary((1, 8, 8, 2), 2)), passes, kept)
    assert other[Program] == run_passes(start(ordinary((1, 8, 8, 2), 2)), passes)[0][Program]
    for steps in range(20, 20 + 2 * MOST_KEPT):
        run_passes(start(), passes_for(CompileOptions(steps=steps))[:1], kept)
    assert len(kept.results) == MOST_KEPT


@dataclass(frozen=True)
class Heaviest:
    """Largest sum of weights that any neuron can receive."""

    counts: int


@dataclass(frozen=True)
class FindHeaviest:
    """A pass from elsewhere."""

    name: ClassVar[str] = "heaviest"
    reads: ClassVar[tuple[type, ...]] = (Ranges,)
    writes: ClassVar[tuple[type, ...]] = (Heaviest,)

    def run(self, state: State) -> State:
        return state.having(Heaviest(max(p.load.largest for p in state[Ranges].populations.values())))

    def report(self, state: State) -> Section:
        return {"counts": state[Heaviest].counts}


@dataclass(frozen=True)
class Curious(FindHeaviest):
    """Reads what it does not declare."""

    name: ClassVar[str] = "curious"

    def run(self, state: State) -> State:
        return state.having(Heaviest(len(state[Weights].projections)))


def test_a_pass_from_elsewhere() -> None:
    passes = passes_for(CompileOptions(rounding="nearest"))[:3]
    state, seconds = run_passes(start(), (*passes, FindHeaviest()))
    assert list(state.report) == list(seconds) == ["time-grid", "weights", "ranges", "heaviest"]
    assert state.report["heaviest"] == {"counts": state[Heaviest].counts}
    assert state[TimeGrid].period_steps > 0
    with pytest.raises(InputError, match="'heaviest' needs 'ranges' before it"):
        run_passes(start(), (*passes[:2], FindHeaviest()))
    with pytest.raises(InputError, match="finds Weights, or it is not declared"):
        run_passes(start(), (*passes, Curious()))


def test_names_are_of_the_class_and_options_are_its_fields() -> None:
    for name, one in PASSES.items():
        assert one.name == name
        assert "name" not in {f.name for f in fields(one)}
        assert one() == one()
