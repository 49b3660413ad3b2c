"""What changed between two programs: counts of weights and initial phases, by name."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from networks import ordinary

from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.parity.drift import _phases, _weights


def program(*, unit: float = 0.5, weight: Any = ((2, 4), (6, 8)), synapses: str = "all", post: str = "b") -> Any:
    projection = SimpleNamespace(pre="a", post=post, weight=np.array(weight), synapses=synapses, exponent=1)
    return SimpleNamespace(projections=[projection], population=lambda name: SimpleNamespace(unit=unit))


def test_weights_are_compared_in_their_real_size() -> None:
    one = program()
    assert _weights(one, one) == {}
    assert _weights(one, program(weight=((2, 4), (7, 9)))) == {"a->b": 2}
    assert _weights(one, program(unit=0.25, weight=((4, 8), (12, 16)))) == {}
    # Nothing to compare one by one.
    assert _weights(one, program(synapses="some")) == {"a->b": -1}
    assert _weights(one, program(weight=((2, 4, 6, 8),))) == {"a->b": -1}
    assert _weights(one, program(post="c")) == {"a->b": -1, "a->c": -1}


def test_initial_phases_are_counted() -> None:
    one = compile_network(ordinary((2, 5, 2)), CompileOptions(rounding="nearest")).program
    population, *others = one.populations
    phase0 = population.phase0.copy()
    phase0[[1, 3]] += 7
    assert _phases(one, one) == {}
    other = replace(one, populations=(replace(population, phase0=phase0), *others))
    assert _phases(one, other) == {population.name: 2}
    without: Any = SimpleNamespace(populations=others, grid=one.grid)
    assert _phases(one, without) == {population.name: -1}
