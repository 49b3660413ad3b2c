"""Passes of the stepped clock on the one driver: as text, until one of them, and what is refused."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ordinary, stepped_images

from qif2hw.compiler import (
    CompileOptions,
    SteppedOptions,
    SteppedState,
    clock_of,
    compile_network,
    estimate,
    load_target,
    parse_passes,
    passes_for,
    print_passes,
    run_passes,
)
from qif2hw.compiler.clocks import STEPPED, TRIAL
from qif2hw.compiler.state import CompilerState, Section
from qif2hw.compiler.stepped import ranges
from qif2hw.compiler.stepped.arithmetic import arithmetic_of
from qif2hw.compiler.stepped.inputs import unit_of
from qif2hw.compiler.stepped.scales import Scales
from qif2hw.compiler.stepped.thresholds import rest
from qif2hw.discrete import SteppedQIF
from qif2hw.discrete.cuba import DECAY_UNITY
from qif2hw.errors import InputError
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.stepped_program import FACTOR_BITS, CubaStep

X = np.random.default_rng(1).normal(0.3, 1, (20, 2, 8, 8))
NETWORK = stepped_images()


def listed(**options: object) -> str:
    return print_passes(passes_for(SteppedOptions(**options)))  # type: ignore[arg-type]


def test_a_list_as_text_compiles_to_the_same() -> None:
    text = listed(weight_bits=(8, 6, 6, 4), thresholds="layer", input_bits=8)
    assert parse_passes(text, STEPPED.passes) == passes_for(SteppedOptions(passes=text))
    one = compile_network(NETWORK, SteppedOptions(passes=text), X)
    two = compile_network(NETWORK, SteppedOptions(weight_bits=(8, 6, 6, 4), thresholds="layer", input_bits=8), X)
    assert one.program == two.program
    assert one.report == two.report
    assert one.report["weights"]["bits"] == "8/6/6/4"
    assert set(one.report["weights"]["projections"]) == {
        "image->first", "first->second", "first->second (2)", "second->scores",
    }  # fmt: skip


def test_every_projection_has_its_own_bits() -> None:
    program = compile_network(NETWORK, SteppedOptions(weight_bits=(8, 6, 5, 4)), X).program
    for p, step in zip(program.projections, (2, 8, 16, 32), strict=True):
        assert np.gcd.reduce(p.weight.ravel()) == step
        assert np.abs(p.weight).max() <= 256 - step


def test_until() -> None:
    report, seconds = estimate(NETWORK, "weights", SteppedOptions(), X)
    assert list(report) == list(seconds) == ["inputs", "weights"]
    whole = compile_network(NETWORK, None, X).report
    assert {name: whole[name] for name in report} == report
    with pytest.raises(InputError, match="no pass 'time-grid' to stop after: the passes are inputs, weights"):
        estimate(NETWORK, "time-grid", SteppedOptions(), X)


def test_passes_of_the_other_clock_are_refused() -> None:
    with pytest.raises(InputError, match="no pass 'time-grid': known are inputs"):
        compile_network(NETWORK, SteppedOptions(passes="time-grid"), X)
    with pytest.raises(InputError, match="no pass 'arithmetic': known are time-grid"):
        compile_network(ordinary((1, 4, 2)), CompileOptions(passes="arithmetic"))
    assert clock_of(NETWORK) is clock_of(SteppedOptions()) is STEPPED
    assert clock_of(ordinary((1, 4, 2))) is clock_of(CompileOptions()) is TRIAL


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InputError, match="'arithmetic' needs 'weights' before it"):
        compile_network(NETWORK, SteppedOptions(passes="inputs,arithmetic"), X)
    with pytest.raises(InputError, match="makes no program: it needs 'lower'"):
        compile_network(NETWORK, SteppedOptions(passes="inputs,weights"), X)
    with pytest.raises(InputError, match="needs calibration inputs"):
        compile_network(NETWORK)
    with pytest.raises(InputError, match="2 numbers for 4 projections"):
        compile_network(NETWORK, SteppedOptions(weight_bits=(8, 6)), X)


@dataclass(frozen=True)
class Spoil:
    """A pass from elsewhere that returns units which are no numbers."""

    name: ClassVar[str] = "spoil"
    reads: ClassVar[tuple[type, ...]] = (Scales,)
    writes: ClassVar[tuple[type, ...]] = (Scales,)

    def run(self, state: SteppedState) -> SteppedState:
        scales = state[Scales]
        return state.having(replace(scales, units={name: unit * np.nan for name, unit in scales.units.items()}))

    def report(self, state: SteppedState) -> Section:
        return {}


def test_what_a_pass_found_is_checked() -> None:
    start = CompilerState.start(NETWORK, load_target("loihi2"), NETWORK.check_inputs(X))
    with pytest.raises(InputError, match="every value must be finite"):
        run_passes(start, (*passes_for(SteppedOptions())[:2], Spoil()))


def test_every_pass_is_its_name_and_options() -> None:
    for name, one in STEPPED.passes.items():
        assert one.name == name
        assert one() == one()
    for options in (SteppedOptions(), SteppedOptions(thresholds="layer")):
        assert type(options)(**options.as_json()) == options


@given(counts=st.lists(st.integers(1, 255), min_size=1, max_size=100), unit=st.floats(1e-3, 1e3))
def test_inputs_that_are_multiples_of_a_unit_are_held_exactly(counts: list[int], unit: float) -> None:
    largest = max(counts)
    coarsest = largest // int(np.gcd.reduce(counts))
    found = unit_of(unit * np.array(counts, float), 255)
    assert unit * largest / found == pytest.approx(255 // coarsest * coarsest)


def test_inputs_that_are_all_zero_count_as_if_the_largest_were_one() -> None:
    assert unit_of(np.zeros(3), 255) == 1 / 255


def test_the_report_has_the_units_of_the_inputs() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2, 8, 8))
    compiled = compile_network(stepped_images(), SteppedOptions(rounding="nearest"), x)
    (frames,) = compiled.program.encoders
    assert compiled.report["inputs"] == {
        "bits": 9,
        "groups": {frames.name: {"unit": frames.unit, "largest": pytest.approx(np.abs(x).max())}},
    }


@pytest.mark.parametrize("threshold", [(1 << (FACTOR_BITS - 1)) - 1, 1 << (FACTOR_BITS - 1)])
def test_euler_squares_thresholds_below_half_of_its_factors_alone(threshold: int) -> None:
    neuron = SteppedQIF(0.25, 0.0, 1.0, kind="euler")
    unit = np.full(3, (neuron.threshold - rest(neuron)) / (threshold * neuron.gain))
    if threshold == 1 << (FACTOR_BITS - 1):
        with pytest.raises(InputError, match="the threshold is too large for Euler's square"):
            arithmetic_of(neuron, unit)
    else:
        assert arithmetic_of(neuron, unit).threshold.tolist() == [threshold] * 3


@settings(max_examples=100, deadline=None)
@given(decay=st.integers(0, DECAY_UNITY), steps=st.integers(1, 300), largest=st.integers(1, 5000))
def test_the_bound_of_a_current_is_what_the_largest_input_in_every_step_makes(
    decay: int, steps: int, largest: int
) -> None:
    # A voltage that keeps nothing is the current of its step.
    own = CubaStep(np.array([decay], np.int32), np.array([DECAY_UNITY], np.int32))
    current = 0.0
    for _ in range(steps):
        current = current * (1 - decay / DECAY_UNITY) + largest
    # One more than a register holds stands for all that is more.
    assert abs(ranges._cuba_register(own, steps, largest, 0) - min(current, STATE_MAX + 1)) <= 1 + 1e-9 * current
