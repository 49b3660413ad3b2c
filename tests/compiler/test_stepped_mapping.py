"""Cores of stepped networks: kernels and equal lists stored once, against a count over unrolled synapses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import pooled_images, stepped_images

from qif2hw.compiler import SteppedOptions, compile_network
from qif2hw.compiler.stepped.needs import needs_of
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.ir import Conv2d, Projection
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps
from qif2hw.ir.stepped_program import AddUp, PlaneStep, SteppedProgram, SteppedProgramPopulation

X = np.random.default_rng(1).normal(0.3, 1, (20, 2, 8, 8))


def write(path: Path, **limits: int) -> str:
    text = '[target]\nname = "tiny"\ntitle = "a small chip"\n'
    text += "".join(f'[limits.{name}]\nvalue = {value}\nsource = "made up"\n' for name, value in limits.items())
    path.write_text(text)
    return str(path)


def memory(program: SteppedProgram, population: SteppedProgramPopulation, first: int, stop: int, bits: int) -> int:
    """Bytes of some neurons, counted over the unrolled synapses."""
    plane = population.size // population.channels
    channels = sorted({i // plane for i in range(first, stop)})
    total = 0
    incoming = program.incoming(population.name)
    for p in incoming:
        if isinstance(p.synapses, Conv2d):
            # Weights of each channel by place of the kernel, those of equal places once.
            group = p.synapses.out_channels // p.synapses.groups
            for c in channels:
                kin = p.weight[c // group * group : (c // group + 1) * group].reshape(group, -1)
                total += bits * len({tuple(column) for column in kin.T})
        else:
            total += bits * (stop - first) * len({tuple(column) for column in p.synapses.dense(p.weight).T})
    size = -(-total // 8) + len(incoming)
    arithmetic = population.arithmetic
    registers = 1 if isinstance(arithmetic, AddUp) else 3 if isinstance(arithmetic, PlaneStep) else 2
    size += 3 * (stop - first) * (registers + (population.bias.shape == population.shape and population.bias.ndim > 1))
    own = [v for k, v in vars(arithmetic).items() if isinstance(v, np.ndarray) and len(set(v.tolist())) > 1]
    own += [population.bias] if population.bias.ndim == 1 and len(set(population.bias.tolist())) > 1 else []
    return size + 3 * len(own) * len(channels)


@pytest.mark.parametrize("make", [stepped_images, pooled_images])
@pytest.mark.parametrize("limit", [400, 700, 1500, 4000, 100_000])
def test_cores_hold_what_is_counted_by_hand(make: Any, limit: int, tmp_path: Path) -> None:
    target = write(tmp_path / "tiny.toml", memory_per_core_bytes=limit, neurons_per_core=200)
    compiled = compile_network(make(), SteppedOptions(target=target), X)
    program, fit = compiled.program, compiled.report["fit"]
    for population in program.populations:
        shares = [s for s in fit["map"] if s["population"] == population.name]
        assert [s["first"] for s in shares] == [0] + [s["stop"] for s in shares[:-1]]
        assert shares[-1]["stop"] == population.size
        plane = population.size // population.channels
        problem = fit["populations"][population.name]["problem"]
        for s in shares:
            assert s["bytes"] == memory(program, population, s["first"], s["stop"], 8)
            assert problem or s["bytes"] <= limit
            assert s["stop"] - s["first"] <= 200
        if max(s["stop"] - s["first"] for s in shares) >= plane:
            assert all(s["first"] % plane == 0 for s in shares)
            fewer = len(shares) - 1
            if fewer and not problem:
                most = -(-population.channels // fewer) * plane
                assert most > 200 or memory(program, population, 0, most, 8) > limit


def test_pooling_is_stored_once() -> None:
    program = compile_network(pooled_images(), None, X).program
    kernel = {need.name: need.sources[0] for need in needs_of(program)}
    assert kernel["second"].kernel == 6 * 9
    assert kernel["scores"].lists == 40
    assert needs_of(program)[1].fan_in == 6 * 36


@pytest.mark.parametrize("neurons", [1, 2, 5, 8, 9, 30, 64, 70, 128])
@pytest.mark.parametrize("groups", [1, 2])
def test_axons_bound_the_sources_of_any_neurons(neurons: int, groups: int) -> None:
    conv = Conv2d((4, 9, 8), 6, (3, 2), (1, 1), (1, 0), (2, 1), groups)
    rng = np.random.default_rng(0)
    network = SteppedNetwork(
        Steps(1),
        (Frames("image", (4, 9, 8)),),
        (SteppedPopulation("sums", Accumulator(), conv.out_shape, np.zeros(6)),),
        (Projection("image", "sums", rng.normal(size=conv.weight_shape), conv),),
        (Accumulated("sums"),),
    )
    (need,) = needs_of(compile_network(network, None, rng.normal(size=(2, 4, 9, 8))).program)
    edges = conv.dense(np.ones(conv.weight_shape)) != 0
    plane = conv.out_shape[1] * conv.out_shape[2]
    # Whole channels begin with a channel.
    starts = range(0, need.neurons - neurons + 1, plane if neurons % plane == 0 else 1)
    most = max(int(edges[low : low + neurons].any(axis=0).sum()) for low in starts)
    assert most <= need.axons(neurons) <= 288
    if groups == 1:
        assert need.axons(neurons) <= 3 * most


def test_what_does_not_fit_names_what_helps(tmp_path: Path) -> None:
    def fit_of(target: str, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = compile_network(pooled_images(), SteppedOptions(target=target, **options), X).report[
            "fit"
        ]
        return found

    free = write(tmp_path / "free.toml", memory_per_core_bytes=400)
    wide, narrow_weights = fit_of(free)["cores"], fit_of(free, weight_bits=4)["cores"]
    assert narrow_weights < wide
    target = write(tmp_path / "tiny.toml", memory_per_core_bytes=400, cores=narrow_weights)
    fit = fit_of(target)
    assert fit["reasons"] == [f"{wide} cores are needed, {narrow_weights} there are"]
    assert fit["chips"] == -(-wide // narrow_weights) == 2
    bits = int(next(o for o in fit["options"] if o.startswith("weight bits")).split()[2])
    assert fit_of(target, weight_bits=bits)["fits"]
    assert not fit_of(target, weight_bits=bits + 1)["fits"]
    assert "2 chips in place of one" in fit["options"]
    narrow = write(tmp_path / "narrow.toml", payload_bits=8)
    fit = compile_network(pooled_images(), SteppedOptions(target=narrow), X).report["fit"]
    assert fit["reasons"] == ["values of input group 'image' have 9 bits, the target's spikes carry 8"]
    assert compile_network(pooled_images(), SteppedOptions(target=narrow, input_bits=8), X).report["fit"]["fits"]


def test_units_by_layer_need_no_parameters_by_channel() -> None:
    for neuron in (SteppedQIF(0.25, 0.0, 0.5), SteppedLIF(0.5)):
        for thresholds, least in (("layer", 0), ("channel", 6)):
            program = compile_network(stepped_images(neuron), SteppedOptions(thresholds=thresholds), X).program
            first = needs_of(program)[0]
            # The current differs from channel to channel either way.
            assert first.channel_bytes >= 3 + (least if isinstance(neuron, SteppedQIF) else least // 2)
            assert thresholds == "channel" or first.channel_bytes == 3
