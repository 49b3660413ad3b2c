"""Rounding that keeps the currents of stepped networks: against covariances and currents of unrolled synapses."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import pooled_images, stepped_images, whole_images

from qif2hw.compiler import SteppedOptions, compile_network, load_target, passes_for, run_passes
from qif2hw.compiler.state import CompilerState, Currents
from qif2hw.compiler.stepped import adapt, layers
from qif2hw.compiler.stepped.adapt import AdaptSteppedRounding
from qif2hw.compiler.stepped.features import Features
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.scales import Scales, as_network, real_units
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.engine import stepped as engine
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, Dense, Projection
from qif2hw.ir.changes import spike_changes, together
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.reference import stepped as reference


def images(samples: int, seed: int) -> np.ndarray:
    """Neighbours and channels are alike, and much is black, as in images: what sources send is correlated."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.normal(0.3, 1, (samples, 1, 3, 3)), np.ones((1, 2, 3, 3)))[..., :8, :8]
    return np.maximum(coarse + rng.normal(0, 0.3, coarse.shape), 0)


X, TEST = images(200, 1), images(400, 2)
HELD = np.arange(len(X)) % adapt.HELD_EVERY == adapt.HELD_EVERY - 1


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

    def covariance(sent: np.ndarray) -> np.ndarray:
        mean, square = features.moments(sent, 1)
        return square - np.outer(mean, mean)

    np.testing.assert_allclose(covariance(sent), expected, rtol=0, atol=1e-12)
    monkeypatch.setattr("qif2hw.compiler.stepped.features.ENTRIES", 1)
    np.testing.assert_allclose(covariance(sent.astype(bool)), expected, rtol=0, atol=1e-12)


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
    layers._descend(found, exact, (found - exact) @ covariance, covariance, most)

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
def test_reported_deviations_are_those_of_the_spikes_held_out(make: Any) -> None:
    network = make()
    exact = reference.run(network, X[HELD])
    runs, found = {}, {}
    for rounding in ("nearest", "adapt"):
        made = compile_network(network, SteppedOptions(weight_bits=4, rounding=rounding), X)
        runs[rounding], found = engine.run(made.program, X[HELD]), made.report.get("adapt-rounding", {})
    assert (found["samples"], found["held"]) == (150, 50)
    first = found["populations"]["first"]
    changed = np.mean(runs["nearest"].spikes["first"] != exact.spikes["first"])
    assert first["plain"] == pytest.approx(changed, rel=1e-12)
    for name, fired in exact.spikes.items():
        changed = np.mean(runs["adapt"].spikes[name] != fired)
        assert found["populations"][name]["adapted"] == pytest.approx(changed, rel=1e-12)
    for rounding, name in (("nearest", "plain"), ("adapt", "adapted")):
        off = np.sqrt(np.mean((runs[rounding].y - exact.y) ** 2))
        assert found["results"][name] == pytest.approx(off, rel=1e-12)
    assert found["results"]["adapted"] < found["results"]["plain"]
    assert set(found["adapted"]) == {n for n, d in found["populations"].items() if d["adapted"] < d["plain"]} != set()


@pytest.mark.parametrize("make", [stepped_images, pooled_images])
def test_biases_keep_the_mean_current(make: Any) -> None:
    """Where they are to do so: the second choice of each population, given what the machine sends it."""
    network = make()
    x = network.check_inputs(X)
    state = adapted(network, weight_bits=4)
    start = run_passes(
        CompilerState.start(network, load_target("loihi2"), x), passes_for(SteppedOptions(weight_bits=4))[:2]
    )
    made = layers.Layers(network, state[InputUnits], start[0][Scales], start[0][Currents], x, HELD)
    exact = reference.run(network, X[~HELD])
    ideal = {e.name: x[~HELD][:, :, network.columns[e.name]] for e in network.encoders} | exact.spikes
    for population in network.order:
        places = [k for k, p in enumerate(network.projections) if p.post == population.name]
        layer = made._adapted(population, places, population.bias)[1]
        total = population.current.copy()
        other = replace(population, bias=layer.bias).current.copy()
        for k, q in zip(places, layer.incoming, strict=True):
            p = network.projections[k]
            total = total + p.synapses.apply(p.weight, ideal[p.pre].astype(float)).mean(axis=(0, 1))
            weight = q.weight * real_units(population, q, layer.unit)
            other = other + p.synapses.apply(weight, made.sent[p.pre][~HELD].astype(float)).mean(axis=(0, 1))
        means = [current.reshape(population.shape[0], -1).mean(axis=1) for current in (total, other)]
        np.testing.assert_allclose(means[1], means[0], rtol=0, atol=1e-9 * np.abs(means[0]).max())
        made.advance(population)


def test_weights_that_meet_nothing_are_rounded_to_the_nearest() -> None:
    """Inputs whose second channel is black say nothing of its weights."""
    network = stepped_images()
    x = network.check_inputs(X[:40] * np.array([1.0, 0.0])[:, None, None])
    options = passes_for(SteppedOptions(weight_bits=4))[:2]
    state = run_passes(CompilerState.start(network, load_target("loihi2"), x), options)[0]
    made = layers.Layers(network, state[InputUnits], state[Scales], state[Currents], x, np.arange(40) % 4 == 3)
    first = network.order[0]
    for layer in made._adapted(first, [0], first.bias):
        (projection,) = layer.incoming
        exact = made._weight(0) / real_units(first, projection, layer.unit)
        nearest = 32 * np.clip(np.rint(exact / 32), -7, 7)
        assert np.array_equal(projection.weight[:, 1], nearest[:, 1])
        assert not np.array_equal(projection.weight[:, 0], nearest[:, 0])


@pytest.mark.parametrize("thresholds", ["channel", "layer"])
def test_few_bits_keep_more(thresholds: str) -> None:
    """On inputs that the compiler has not seen."""
    classes = {"nearest": 0.0, "adapt": 0.0}
    for network in (stepped_images(), pooled_images()):
        exact = reference.run(network, TEST)
        for bits, most_off, most_changed in ((3, 0.65, 0.75), (4, 0.9, 0.8), (5, 0.85, 0.8), (8, 0.97, 0.9)):
            found = {}
            for rounding in classes:
                options = SteppedOptions(weight_bits=bits, rounding=rounding, thresholds=thresholds)
                run = engine.run(compile_network(network, options, X).program, TEST)
                found[rounding] = np.linalg.norm(run.y - exact.y), together(spike_changes(exact, run)).share
                classes[rounding] += float(np.mean(run.label != exact.label))
            assert found["adapt"][0] < most_off * found["nearest"][0]
            assert found["adapt"][1] < most_changed * found["nearest"][1]
    assert classes["adapt"] < 0.75 * classes["nearest"]


KINDS = {
    "exact": SteppedQIF(0.25, 0.0, 0.5),
    "euler": SteppedQIF(0.25, 0.0, 0.5, kind="euler"),
    "lif": SteppedLIF(0.5, 0.1, 1.0, 0.05),
}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    bits=st.integers(2, 8),
    thresholds=st.sampled_from(["channel", "layer"]),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 4), st.integers(1, 5)),
    samples=st.integers(16, 40),
    seed=st.integers(0, 1 << 16),
)
def test_never_worse_than_to_the_nearest_on_what_is_held_out(
    kind: str, bits: int, thresholds: str, shape: tuple[int, int, int, int], samples: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    inputs, hidden, classes, steps = shape
    network = SteppedNetwork(
        Steps(steps),
        (Frames("x", (inputs,)),),
        (
            SteppedPopulation("n", KINDS[kind], (hidden,), rng.normal(0.3, 0.3, hidden)),
            SteppedPopulation("y", Accumulator(), (classes,), rng.normal(size=classes)),
        ),
        (
            Projection("x", "n", rng.normal(0, 0.7, (hidden, inputs))),
            Projection("n", "y", rng.normal(size=(classes, hidden))),
        ),
        (Accumulated("y", 0.5),),
    )
    x = rng.normal(size=(samples, inputs))
    held = np.arange(samples) % adapt.HELD_EVERY == adapt.HELD_EVERY - 1
    exact, off = reference.run(network, x[held]), {}
    for rounding in ("nearest", "adapt"):
        options = SteppedOptions(weight_bits=bits, thresholds=thresholds, rounding=rounding)
        run = engine.run(compile_network(network, options, x).program, x[held])
        off[rounding] = float(np.sqrt(np.mean((run.y - exact.y) ** 2)))
    assert off["adapt"] <= off["nearest"]


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


def test_what_is_left_alone_says_why() -> None:
    network = whole_images()
    one, two = (compile_network(network, SteppedOptions(rounding=r)) for r in ("adapt", "nearest"))
    assert one.program == two.program
    assert one.report["adapt-rounding"] == {"skipped": "all weights are integers already"}
    few = [compile_network(stepped_images(), SteppedOptions(rounding=r), X[:15]) for r in ("adapt", "nearest")]
    assert few[0].program == few[1].program
    assert few[0].report["adapt-rounding"] == {"skipped": "fewer than 16 calibration inputs can be run"}
    adapt_all = SteppedOptions(rounding="adapt", weight_bits=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapt, "MOST_UPDATES", 20 * 4 * stepped_images().synapse_count)
        assert compile_network(stepped_images(), adapt_all, X).report["adapt-rounding"]["samples"] == 15
        patch.setattr(adapt, "MOST_SPIKES", 1)
        assert "skipped" in compile_network(stepped_images(), adapt_all, X).report["adapt-rounding"]


def test_results_that_do_not_gain_are_those_of_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every choice is bad: roundings that are as far off as they can be."""

    def worst(whole: np.ndarray, exact: np.ndarray, slopes: np.ndarray, square: np.ndarray, most: int) -> None:
        whole[exact != 0] *= -1

    monkeypatch.setattr(layers, "_descend", worst)
    made = [compile_network(pooled_images(), SteppedOptions(rounding=r), X) for r in ("adapt", "nearest")]
    assert made[0].program == made[1].program
    assert made[0].report["adapt-rounding"]["adapted"] == []


def test_what_would_not_be_proven_is_rounded_to_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finer units make sums larger: here, the proof of the adapted program fails."""

    def refuse(program: SteppedProgram) -> None:
        raise InputError("the input of population 'first' may reach 9000000")

    monkeypatch.setattr(adapt, "ranges_of", refuse)
    made = [compile_network(pooled_images(), SteppedOptions(rounding=r), X) for r in ("adapt", "nearest")]
    assert made[0].program == made[1].program
    assert "may reach 9000000" in made[0].report["adapt-rounding"]["skipped"]


def test_the_same_on_any_number_of_threads() -> None:
    """Two processes, with one and with two threads."""
    program = (
        "from test_stepped_adapt import X, compile_network, SteppedOptions, pooled_images\n"
        "import hashlib; made = compile_network(pooled_images(), SteppedOptions(weight_bits=4), X).program\n"
        "print(hashlib.sha256(b''.join(p.weight.tobytes() for p in made.projections)\n"
        "    + b''.join(p.bias.tobytes() + p.unit.tobytes() for p in made.populations)).hexdigest())"
    )
    here = Path(__file__).parent
    found = set()
    for threads in ("1", "2"):
        own = {f"{name}_NUM_THREADS": threads for name in ("NUMBA", "OMP", "OPENBLAS", "MKL")}
        path = {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | own | path, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


def test_dense_synapses_onto_an_image() -> None:
    """The neurons of a channel have weights of their own, and one unit."""
    rng = np.random.default_rng(5)
    network = pooled_images()
    first = replace(network.projections[0], weight=rng.normal(0, 0.1, (6 * 64, 128)), synapses=Dense(6 * 64, 128))
    made = compile_network(
        replace(network, projections=(first, *network.projections[1:])), SteppedOptions(weight_bits=4), X
    )
    assert "first" in made.report["adapt-rounding"]["adapted"]
    assert made.program.population("first").unit.shape == (6,)


def test_a_layer_has_one_unit() -> None:
    state = adapted(stepped_images(spread=4.0), weight_bits=3, thresholds="layer")
    for unit in state[Scales].units.values():
        assert len(np.unique(unit)) == 1
