"""Rounding that keeps the currents of stepped networks: against covariances and currents of unrolled synapses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import pooled_images, stepped_images, whole_images

from qif2hw.compiler import SteppedOptions, compile_network, load_target, passes_for, run_passes
from qif2hw.compiler.state import CompilerState, Currents
from qif2hw.compiler.stepped import adapt
from qif2hw.compiler.stepped.adapt import AdaptSteppedRounding, SteppedAdaptation
from qif2hw.compiler.stepped.features import Features
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.scales import Scales, as_network
from qif2hw.engine import stepped as engine
from qif2hw.ir import Conv2d, Dense, Projection
from qif2hw.ir.changes import spike_changes, together
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.reference import stepped as reference

X = np.random.default_rng(1).normal(0.3, 1, (200, 2, 8, 8))
TEST = np.random.default_rng(2).normal(0.3, 1, (400, 2, 8, 8))


def adapted(network: Any, **options: Any) -> Any:
    passes = passes_for(SteppedOptions(**options))
    last = next(k for k, one in enumerate(passes) if isinstance(one, AdaptSteppedRounding))
    start = CompilerState.start(network, load_target("loihi2"), network.check_inputs(X))
    return run_passes(start, passes[: last + 1])[0]


def patches(projection: Projection, sent: np.ndarray) -> np.ndarray:
    """What the weights of the first channel meet, (samples and steps, places, weights), from unrolled synapses."""
    post, pre, place = projection.synapses.edges()
    size = projection.weight[0].size
    first = place < size
    places = int(post[first].max()) + 1
    found = np.zeros((sent[..., 0].size, places, size))
    found[:, post[first], place[first]] = sent.reshape(-1, sent.shape[-1])[:, pre[first]]
    return found.reshape(-1, size)


@pytest.mark.parametrize(
    ("synapses", "block"),
    [
        (Conv2d((3, 8, 8), 4, (3, 2), (1, 2), (1, 0), (2, 1)), (1, 1)),
        (Conv2d((3, 8, 8), 4, (6, 6), (2, 2), (2, 2)), (2, 2)),
        (Dense(5, 192), (1, 1)),
        (Dense(5, 192), (4, 2)),
    ],
)
def test_covariance_is_that_of_the_unrolled_synapses(
    synapses: Conv2d | Dense, block: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    shape = synapses.weight_shape if isinstance(synapses, Conv2d) else (5, 3, 8, 8)
    small = rng.normal(size=(*shape[:2], shape[2] // block[0], shape[3] // block[1]))
    weight = small.repeat(block[0], axis=2).repeat(block[1], axis=3).reshape(synapses.weight_shape)
    features = Features.of(Projection("a", "b", weight, synapses), (3, 8, 8))
    assert features is not None
    assert features.blocks.block == block
    assert np.array_equal(features.rows(weight), small.reshape(shape[0], -1))
    assert np.array_equal(features.weights(features.rows(weight)), weight)
    sent = rng.integers(0, 2, (20, 3, 192))
    whole = patches(features.projection, sent).reshape(-1, *shape[1:])
    joined = whole.reshape(
        len(whole), shape[1], *(n for s, b in zip(shape[2:], block, strict=True) for n in (s // b, b))
    )
    joined = joined.sum(axis=(3, 5)).reshape(len(whole), -1)
    expected = np.cov(joined.T, bias=True)
    np.testing.assert_allclose(features.covariance(sent, 1), expected, rtol=0, atol=1e-12)
    monkeypatch.setattr("qif2hw.compiler.stepped.features.ENTRIES", 1)
    np.testing.assert_allclose(features.covariance(sent.astype(bool), 1), expected, rtol=0, atol=1e-12)


def test_which_synapses_have_features() -> None:
    rng = np.random.default_rng(0)
    grouped = Conv2d((4, 3, 3), 4, (3, 3), groups=2)
    assert Features.of(Projection("a", "b", rng.normal(size=grouped.weight_shape), grouped), (4, 3, 3)) is None
    late = Projection("a", "b", rng.normal(size=(3, 4)), delay=np.arange(4, dtype=np.int32))
    assert Features.of(late, (4,)) is None
    assert Features.of(Projection("a", "b", rng.normal(size=(1, 5000))), (5000,)) is None


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_descent_ends_where_no_weight_can_move(bits: int) -> None:
    rng = np.random.default_rng(bits)
    most, n = largest_weight(bits) // weight_step(bits), 12
    root = rng.normal(size=(n, 40)) + rng.normal(size=40)
    covariance = root @ root.T / 40
    exact = rng.normal(0, most / 2, (6, n))
    exact[2, 3] = 0.0
    nearest = np.clip(np.rint(exact), -most, most)
    found = nearest.copy()
    adapt._descend(found, exact, covariance, most)

    def cost(whole: np.ndarray, row: int) -> float:
        change = whole - exact[row]
        return float(change @ covariance @ change)

    assert np.array_equal(found, np.rint(found))
    assert np.abs(found).max() <= most
    assert found[2, 3] == 0
    total = [sum(cost(w[row], row) for row in range(6)) for w in (found, nearest)]
    assert total[0] < 0.7 * total[1]
    for row in range(6):
        for j in range(n):
            for direction in (-1, 1):
                moved = found[row].copy()
                moved[j] += direction
                if exact[row, j] != 0 and abs(moved[j]) <= most:
                    assert cost(moved, row) >= cost(found[row], row) - 1e-6 * covariance[j, j]


@pytest.mark.parametrize("make", [stepped_images, pooled_images])
def test_reported_errors_and_means_are_those_of_the_currents(make: Any) -> None:
    network = make()
    state = adapted(network, weight_bits=4)
    x, units = network.check_inputs(X), state[InputUnits].units
    rounded = as_network(network, state[Scales], units, state[Currents])
    program = compile_network(network, SteppedOptions(weight_bits=4), X).program
    machine, exact = engine.run(program, X), reference.run(network, X)
    counts = engine.encode(program, X)
    sent = {e.name: counts[:, :, network.columns[e.name]] * units[e.name] for e in network.encoders} | machine.spikes
    ideal = {e.name: x[:, :, network.columns[e.name]] for e in network.encoders} | exact.spikes
    errors = list(state[SteppedAdaptation].projections.values())
    for k, (p, q) in enumerate(zip(network.projections, rounded.projections, strict=True)):
        if errors[k] is None:
            assert isinstance(p.synapses, Conv2d)
            assert p.synapses.groups > 1
            continue
        neuron = network.population(p.post).neuron
        # Centred by channel, over whole images: without padding that is what every place sees.
        change = p.synapses.apply(q.weight - p.weight, sent[p.pre].astype(float))
        channels = change.reshape(-1, network.population(p.post).shape[0], change.shape[-1] // q.weight.shape[0])
        deviation = np.sqrt(np.mean(np.var(channels.swapaxes(0, 1).reshape(channels.shape[1], -1), axis=1)))
        height = (neuron.threshold - neuron.rest) / neuron.gain if hasattr(neuron, "gain") else 1.0
        assert errors[k].adapted == pytest.approx(deviation / height, rel=1e-9)
        assert errors[k].adapted < errors[k].plain
    for population in rounded.populations:
        shape = (population.shape[0], -1)
        means = []
        for one, given in ((network, ideal), (rounded, sent)):
            total = one.population(population.name).current.copy()
            for p in one.incoming(population.name):
                total = total + p.synapses.apply(p.weight, given[p.pre].astype(float)).mean(axis=(0, 1))
            means.append(total.reshape(shape).mean(axis=1))
        scale = np.abs(means[0]).max()
        np.testing.assert_allclose(means[1], means[0], rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("thresholds", ["channel", "layer"])
def test_few_bits_keep_more(thresholds: str) -> None:
    """On inputs that the compiler has not seen."""
    for make in (stepped_images, pooled_images):
        network = make()
        exact = reference.run(network, TEST)

        def off(rounding: str, bits: int, network: Any = network, exact: Any = exact) -> tuple[float, float, float]:
            options = SteppedOptions(weight_bits=bits, rounding=rounding, thresholds=thresholds)
            program = compile_network(network, options, X).program
            run = engine.run(program, TEST)
            error = float(np.linalg.norm(run.y - exact.y) / np.linalg.norm(exact.y))
            return error, together(spike_changes(exact, run)).share, float(np.mean(run.label != exact.label))

        for bits in (3, 4):
            plain, found = off("nearest", bits), off("adapt", bits)
            assert found[0] < 0.8 * plain[0]
            assert found[1] < 0.95 * plain[1]
            assert found[2] < plain[2]
        assert off("adapt", 8)[0] < 1.02 * off("nearest", 8)[0]


def test_what_is_on_the_grid_stays() -> None:
    """Also zeros, and weights that are equal because a pooling was folded into them."""
    first = adapted(pooled_images(), weight_bits=4)
    units = first[InputUnits].units
    network = as_network(pooled_images(), first[Scales], units, first[Currents])
    again = adapted(network, weight_bits=4)
    kept = as_network(network, again[Scales], units, again[Currents])
    for p, q in zip(network.projections, kept.projections, strict=True):
        np.testing.assert_allclose(q.weight, p.weight, rtol=1e-12, atol=1e-15)
    second = first[Scales].projections[1].weight
    assert np.array_equal(second, second[..., ::2, ::2].repeat(2, axis=2).repeat(2, axis=3))
    thin = [replace(p, weight=p.weight * (np.abs(p.weight) > 0.05)) for p in pooled_images().projections]
    pruned = replace(pooled_images(), projections=tuple(thin))
    for p, q in zip(pruned.projections, adapted(pruned, weight_bits=4)[Scales].projections, strict=True):
        assert not q.weight[p.weight == 0].any()


def test_integers_of_their_own_are_left_alone() -> None:
    network = whole_images()
    one, two = (compile_network(network, SteppedOptions(rounding=r)) for r in ("adapt", "nearest"))
    assert one.program == two.program
    assert one.report["adapt-rounding"] == {"samples": 0, "projections": {}}


def test_a_layer_has_one_unit() -> None:
    state = adapted(stepped_images(spread=4.0), weight_bits=3, thresholds="layer")
    for unit in state[Scales].units.values():
        assert len(np.unique(unit)) == 1
