"""Stepped networks on integers: spikes and results near those of the float network, and nothing overflows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import stepped_images

from qif2hw.compiler import SteppedOptions, compile_network
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.engine import stepped as engine
from qif2hw.errors import InputError
from qif2hw.ir import Projection
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps
from qif2hw.reference import stepped as reference

NEURONS = {
    "exact": SteppedQIF(0.25, 0.0, 0.5),
    "shifted": SteppedQIF(0.5, -0.1, 0.8, 1.0, -0.2, 0.5),
    "euler": SteppedQIF(0.25, 0.0, 0.5, kind="euler"),
    "lif": SteppedLIF(0.5, 0.1, 1.0, 0.05),
    "double root": SteppedQIF(0.25, 0.0, 0.0),
}


def inputs(samples: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0.3, 1, (samples, 2, 8, 8))


@pytest.mark.parametrize("name", NEURONS)
def test_eight_bits_keep_spikes_and_classes(name: str) -> None:
    made, x = stepped_images(NEURONS[name]), inputs(300)
    program = compile_network(made, None, x).program
    run, exact = engine.run(program, x), reference.run(made, x)
    for population, fired in exact.spikes.items():
        assert 0.03 < fired.mean() < 0.9
        changed = (run.spikes[population] != fired).mean()
        assert changed < 0.03, population
    assert (run.label == exact.label).mean() > 0.9
    assert np.abs(run.y - exact.y).mean() < 0.1 * exact.y.std()


def test_more_bits_and_units_per_channel_are_closer() -> None:
    made, x = stepped_images(NEURONS["exact"], spread=8.0), inputs(300)
    exact = reference.run(made, x)

    def off(**options: Any) -> float:
        run = engine.run(compile_network(made, SteppedOptions(**options), x).program, x)
        return float(np.mean([(run.spikes[n] != s).mean() for n, s in exact.spikes.items()]))

    errors = {bits: off(weight_bits=bits) for bits in (8, 6, 4)}
    assert errors[8] < 0.5 * errors[6] < 0.5 * errors[4]
    assert off(weight_bits=4) < 0.8 * off(weight_bits=4, thresholds="layer")


@pytest.mark.parametrize("name", NEURONS)
def test_thresholds_and_weights_use_their_range(name: str) -> None:
    compiled = compile_network(stepped_images(NEURONS[name]), None, inputs(20))
    program = compiled.program
    for population in program.populations[:-1]:
        threshold = population.arithmetic.threshold  # type: ignore[union-attr]
        assert 1 << 12 <= threshold.min() < 1 << 13
        assert threshold.max() <= 16 * threshold.min()
    for p in program.projections:
        assert np.abs(p.weight).max() >= 127
    assert set(compiled.report["ranges"]["populations"]) == {p.name for p in program.populations}


@pytest.mark.parametrize("name", NEURONS)
def test_no_sum_or_register_leaves_its_proven_range(name: str) -> None:
    """Inputs at the ends of their range, in frames of either sign: the checked machine raises if a bound is wrong."""
    compiled = compile_network(stepped_images(NEURONS[name]), None, inputs(20))
    program, ranges = compiled.program, compiled.report["ranges"]["populations"]
    rng = np.random.default_rng(2)
    x = rng.choice([-1e9, 1e9, 0.0], (64, 4, 2, 8, 8)) * rng.choice([0, 1], (64, 1, 1, 1, 1))
    engine.run(program, x, machine="checked")
    from qif2hw.engine.stepped import spec

    seen: dict[str, list[int]] = {p.name: [0, 0, 0] for p in program.populations}
    real = spec.step

    def watched(population: Any, state: Any, total: Any) -> Any:
        made = real(population, state, total)
        low, high, register = seen[population.name]
        seen[population.name] = [
            min(low, int(total.min())), max(high, int(total.max())), max(register, int(np.abs(made[0]).max())),
        ]  # fmt: skip
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spec, "step", watched)
        engine.run(program, x, machine="spec")
    for population_name, (low, high, register) in seen.items():
        bound = ranges[population_name]
        assert bound["low"] <= low
        assert high <= bound["high"]
        assert register <= max(bound["register"], 1 << 13)


def test_scores_that_add_up_for_long_have_larger_units() -> None:
    """200 synapses of 254 counts and 400 steps are too much for 24 bits: the proof holds, and results stay."""
    rng = np.random.default_rng(0)
    made = SteppedNetwork(
        Steps(400), (Frames("x", (5,)),),
        (
            SteppedPopulation("n", NEURONS["exact"], (200,), rng.normal(0.2, 0.1, 200)),
            SteppedPopulation("scores", Accumulator(), (3,), rng.normal(size=3)),
        ),
        (
            Projection("x", "n", rng.normal(0, 0.3, (200, 5))),
            Projection("n", "scores", rng.choice([-1.0, 1.0], (3, 200))),
        ),
        (Accumulated("scores"),),
    )  # fmt: skip
    x = rng.normal(size=(4, 5))
    program = compile_network(made, SteppedOptions(rounding="nearest"), x).program
    assert program.projections[1].exponent == -2
    run, exact = engine.run(program, x, machine="checked"), reference.run(made, x)
    np.testing.assert_allclose(run.y, exact.y, atol=0.02 * np.abs(exact.y).max())
    short = compile_network(replace(made, clock=Steps(100)), SteppedOptions(rounding="nearest"), x).program
    assert short.projections[1].exponent == 0


def test_what_does_not_fit_is_refused() -> None:
    made = stepped_images(NEURONS["exact"])
    loud = replace(
        made,
        projections=tuple(Projection(p.pre, p.post, p.weight * 1e5, p.synapses) for p in made.projections),
    )
    with pytest.raises(InputError, match="weights are too large for it"):
        compile_network(loud, None, inputs(4))
    turning = stepped_images(SteppedQIF(0.25, 0.2 + 0.3j, 0.2 - 0.3j))
    with pytest.raises(InputError, match="complex roots has no rest"):
        compile_network(turning, None, inputs(4))
    with pytest.raises(InputError, match="thresholds = neuron"):
        SteppedOptions(thresholds="neuron")
    with pytest.raises(InputError, match="weight bits = 9: 2 to 8 are possible"):
        compile_network(made, SteppedOptions(weight_bits=9), inputs(4))
    with pytest.raises(InputError, match="inputs have shape"):
        compile_network(made, None, np.zeros((4, 3)))


def test_same_bytes() -> None:
    one = compile_network(stepped_images(NEURONS["exact"]), None, inputs(20))
    two = compile_network(stepped_images(NEURONS["exact"]), None, inputs(20))
    assert one.program == two.program
    assert one.report == two.report
