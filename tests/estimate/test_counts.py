"""Counters against a recount of the spike raster, spike by spike and synapse by synapse."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from estimate.recount import recount
from networks import branched, listed, ordinary, stepped_images, whole_images, whole_inputs

import qif2hw
from qif2hw import api, estimate, zoo
from qif2hw.compiler import clock_of
from qif2hw.compiler.mapping import map_cores
from qif2hw.compiler.targets import Limit, load_target
from qif2hw.errors import InputError
from qif2hw.estimate import COUNTERS, Core, Counts

RNG = np.random.default_rng(0)
TOTALS = ("inputs", "input_spikes", "flush_spikes", "flush_syn_ops", "accumulates", "multiplies")


def bundle_of(name: str) -> tuple[Any, np.ndarray]:
    if name == "images":
        x = RNG.normal(size=(3, 2, 8, 8)) * (RNG.random((3, 2, 8, 8)) < 0.7)
        return qif2hw.compile(stepped_images(), calibration=x), x
    if name == "whole":
        x = whole_inputs(2, 12)
        return qif2hw.compile(whole_images()), x
    network, options = {
        "chain": (ordinary((3, 7, 5, 2)), {"steps": 64, "lateness_moments": 1}),
        "square": (ordinary((3, 7, 5, 2)), {"steps": 64, "lateness_moments": 2}),
        "packed": (ordinary((1, 6, 2)), {"steps": 64, "payload_bits": 3, "weight_bits": 4}),
        "branched": (branched(), {"steps": 96, "payload_bits": 2}),
        "listed": (listed(branched(), slice(0, 3)), {"steps": 64}),
    }[name]
    return qif2hw.compile(network, rounding="nearest", **options), RNG.random((4, network.inputs))


def cores_of(program: Any, neurons: int) -> list[Core]:
    target = load_target("loihi2")
    small = replace(target, limits={**target.limits, "neurons_per_core": Limit(neurons, "here")})
    shares = map_cores(clock_of(program).needs(program), small).shares
    return [Core(s.population, s.first, s.stop, bytes=s.bytes) for s in shares]


@pytest.mark.parametrize("neurons", [3, 8192])
@pytest.mark.parametrize("name", ["chain", "square", "packed", "branched", "listed", "images", "whole"])
def test_counters_are_those_of_a_recount(name: str, neurons: int) -> None:
    bundle, x = bundle_of(name)
    program, run = bundle.program, bundle.run(x)
    assert name != "packed" or program.populations[0].packed_bits > 0
    cores = cores_of(program, neurons)
    found = estimate.count(program, run, bundle.network.check_inputs(x), cores)
    expected = recount(program, run, bundle.network.check_inputs(x), cores)
    for counter in COUNTERS:
        np.testing.assert_array_equal(getattr(found, counter), expected[counter], counter)
        assert found.by_core(counter).sum() == pytest.approx(expected[counter].sum() / len(x))
    for total in TOTALS:
        assert getattr(found, total) == expected.get(total, 0), total
    assert sum(found.spikes.values()) == expected["spikes"]
    # What is sent arrives.
    assert found.axon_out.sum() + found.inputs == found.spikes_in.sum()
    assert found.accumulates + found.multiplies > 0
    assert found.fullest_core <= neurons


def test_totals_of_the_parabola() -> None:
    found = api.estimate(zoo.bundle("parabola")).counts.per_sample()
    bundle = zoo.bundle("parabola")
    synapses = 32 + 32 * 32 + 32 * 2
    assert found["neuron_updates"] == 66 * bundle.program.steps
    assert found["synaptic_operations"] == synapses
    assert found["flush_synaptic_operations"] == synapses - 32
    assert (found["spikes"], found["input_spikes"], found["flush_spikes"]) == (66, 1, 66)
    # One core each: the input's spike, those of two layers and their flush.
    assert found["axon_messages"] == found["spikes_in"] == 1 + 2 * (32 + 32)


@pytest.mark.parametrize("name", ["square", "whole"])
def test_blocks_of_samples_add_up(name: str) -> None:
    bundle, x = bundle_of(name)
    cores = cores_of(bundle.program, 5)

    def counted(part: slice) -> Counts:
        return estimate.count(bundle.program, bundle.run(x[part]), bundle.network.check_inputs(x[part]), cores)

    whole = counted(slice(None))
    parts = estimate.joined(counted(slice(k, k + 1)) for k in range(len(x)))
    assert parts == whole
    assert parts.samples == len(x)


def test_other_runs_are_refused() -> None:
    bundle, x = bundle_of("chain")
    cores = cores_of(bundle.program, 100)
    with pytest.raises(InputError, match="the run on reference has no spikes in machine steps"):
        estimate.count(bundle.program, bundle.run(x, "reference"), x, cores)
    images, frames = bundle_of("images")
    with pytest.raises(InputError, match="has no spikes in machine steps"):
        estimate.count(images.program, images.run(frames, keep="counts"), frames, cores_of(images.program, 100))
    split = [replace(core, parts=2) for core in cores]
    with pytest.raises(InputError, match="'hidden1': the synapses of one neuron lie on 2 cores"):
        estimate.count(bundle.program, bundle.run(x), x, split)
