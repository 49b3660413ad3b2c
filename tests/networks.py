"""Networks for tests: random ones that nobody trained."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from qif2hw.discrete import SteppedCUBA, SteppedQIF
from qif2hw.ir import (
    Conv2d,
    Encoder,
    Network,
    Population,
    Product,
    Program,
    ProgramProjection,
    Projection,
    Readout,
    Sparse,
    layered,
)
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps
from qif2hw.neuron import QIF


def ordinary(sizes: tuple[int, ...], seed: int = 0, gain: float = 0.9) -> Network:
    """Weights U(+-gain / sqrt(fan_in)), hidden phi0 ~ U(2, 5), outputs 1.0 and 0.5, T = 6.5: outputs fire."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-gain, gain, (post, pre)) / np.sqrt(pre) for pre, post in pairwise(sizes)]
    phi0 = [rng.uniform(2, 5, n) for n in sizes[1:-1]] + [np.tile([1.0, 0.5], sizes[-1] // 2)]
    return layered(weights, phi0, trial=6.5, encode=(0.05, 1.95))


def published(sizes: tuple[int, ...], seed: int = 0) -> Network:
    """The published setting: phi0 = Theta / 2 and T = 2, so that outputs are pseudospikes."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(post, pre)) / np.sqrt(pre) for pre, post in pairwise(sizes)]
    return layered(weights, [np.full(n, 3.0) for n in sizes[1:]], trial=2.0, encode=(0.05, 1.95))


def branched(seed: int = 0) -> Network:
    """Two input groups, two branches of which one mixes both inputs, a readout and an inner product."""
    rng = np.random.default_rng(seed)
    neuron = QIF()

    def population(name: str, size: int) -> Population:
        return Population(name, neuron, rng.uniform(0.5, 5, size))

    def projection(pre: str, post: str, shape: tuple[int, int], size: float) -> Projection:
        return Projection(pre, post, rng.uniform(-size, size, shape))

    pairs = np.arange(2)
    ones, zeros = np.ones(2), np.zeros(2)
    left = Readout("branch", 2 * pairs, 2 * pairs + 1, ones, zeros)
    right = Readout("trunk", 2 * pairs + 1, 2 * pairs, 2 * ones, zeros + 0.5)
    return Network(
        trial=6.5,
        encoders=(Encoder("f", 3, 0.1, 1.5), Encoder("x", 2, 0.2, 1.9)),
        populations=(population("trunk", 4), population("mixed", 6), population("plain", 5), population("branch", 4)),
        projections=(
            projection("f", "mixed", (6, 3), 0.5),
            projection("x", "mixed", (6, 2), 4.0),
            projection("f", "plain", (5, 3), 0.4),
            projection("mixed", "branch", (4, 6), 0.3),
            projection("plain", "branch", (4, 5), 0.6),
            projection("mixed", "trunk", (4, 6), 0.4),
        ),
        outputs=(left, Product(left, right, 1.5, 0.25)),
    )


def apart(seed: int = 0) -> Network:
    """Two networks side by side that have nothing in common but the host: an inner product of their results."""
    rng = np.random.default_rng(seed)
    populations = tuple(Population(name, QIF(), rng.uniform(0.5, 5, 4)) for name in ("left", "right"))
    sides = [Readout(p.name, np.array([0, 1]), np.array([2, 3]), np.ones(2), np.zeros(2)) for p in populations]
    return Network(
        trial=6.5,
        encoders=(Encoder("f", 3, 0.1, 1.5), Encoder("x", 2, 0.2, 1.9)),
        populations=populations,
        projections=(
            Projection("f", "left", rng.uniform(-1, 1, (4, 3))),
            Projection("x", "right", rng.uniform(-1, 1, (4, 2))),
        ),
        outputs=(Product(sides[0], sides[1], 1.0, 0.0),),
    )


def thinned(network: Network, density: float = 0.3, seed: int = 0) -> Network:
    """The network with most weights at zero, all to all."""
    rng = np.random.default_rng(seed)
    return replace(
        network,
        projections=tuple(
            Projection(p.pre, p.post, p.weight * (rng.random(p.weight.shape) < density)) for p in network.projections
        ),
    )


def listed(network: Network, which: slice = slice(None)) -> Network:
    """The network with some projections as sparse synapses: those that are not zero."""
    chosen = network.projections[which]
    return replace(
        network,
        projections=tuple(
            Projection(p.pre, p.post, *Sparse.of(p.weight)[::-1]) if p in chosen else p for p in network.projections
        ),
    )


def without_zeros(program: Program) -> Program:
    """The same program with sparse synapses: weights that are zero are not stored."""

    def thin(p: ProgramProjection) -> ProgramProjection:
        synapses, weight = Sparse.of(p.weight)
        return ProgramProjection(p.pre, p.post, weight, p.exponent, synapses)

    return replace(program, projections=tuple(thin(p) for p in program.projections))


REST = SteppedQIF(0.25, 0.0, 0.5)


def stepped_images(neuron: Any = REST, steps: int = 4, spread: float = 1.0) -> SteppedNetwork:
    """Convolutions with a shortcut; channels whose weights differ by ``spread`` in size."""
    rng = np.random.default_rng(0)
    first = Conv2d((2, 8, 8), 6, (3, 3), padding=(1, 1))
    second = Conv2d((6, 8, 8), 6, (4, 4), (2, 2), (1, 1))
    shortcut = Conv2d((6, 8, 8), 6, (2, 2), (2, 2), groups=6)
    gain = 1 / getattr(neuron, "gain", 1.0)
    sizes = spread ** np.linspace(-1, 0, 6)[:, None, None, None]
    return SteppedNetwork(
        Steps(steps),
        (Frames("image", (2, 8, 8)),),
        (
            SteppedPopulation("first", neuron, (6, 8, 8), gain * rng.normal(0.3, 0.2, 6)),
            SteppedPopulation("second", neuron, (6, 4, 4), gain * rng.normal(0.3, 0.1, (6, 4, 4))),
            SteppedPopulation("scores", Accumulator(), (5,), rng.normal(size=5)),
        ),
        (
            Projection("image", "first", gain * rng.normal(0, 0.2, first.weight_shape) * sizes, first),
            Projection("first", "second", gain * rng.normal(0, 0.15, second.weight_shape), second),
            Projection("first", "second", gain * np.full(shortcut.weight_shape, 0.1), shortcut),
            Projection("second", "scores", rng.normal(size=(5, 96))),
        ),
        (Accumulated("scores", 1 / steps),),
    )


def pooled_images() -> SteppedNetwork:
    """A convolution after an average pooling of 2 x 2, and all to all after another, as `export` folds them."""
    rng = np.random.default_rng(3)
    neuron = REST
    first = Conv2d((2, 8, 8), 6, (3, 3), padding=(1, 1))
    second = Conv2d((6, 8, 8), 10, (6, 6), (2, 2), (2, 2))
    weight = rng.normal(0, 0.1, (10, 6, 3, 3)).repeat(2, axis=2).repeat(2, axis=3)
    dense = rng.normal(size=(7, 10, 2, 2)).repeat(2, axis=2).repeat(2, axis=3).reshape(7, 160)
    return SteppedNetwork(
        Steps(4),
        (Frames("image", (2, 8, 8)),),
        (
            SteppedPopulation("first", neuron, (6, 8, 8), rng.normal(0.3, 0.2, 6)),
            SteppedPopulation("second", neuron, (10, 4, 4), rng.normal(0.3, 0.1, 10)),
            SteppedPopulation("scores", Accumulator(), (7,), rng.normal(size=7)),
        ),
        (
            Projection("image", "first", rng.normal(0, 0.2, first.weight_shape), first),
            Projection("first", "second", weight, second),
            Projection("second", "scores", dense),
        ),
        (Accumulated("scores", 0.25),),
    )


def whole_images(steps: int = 12, seed: int = 0) -> SteppedNetwork:
    """Integers as SLAYER leaves them: CUBA neurons, delays, biases; voltages and counts of spikes are read out."""
    rng = np.random.default_rng(seed)
    one, unit = SteppedCUBA.UNIT, 1.0
    single = Conv2d((2, 6, 6), 2, (1, 1), groups=2)
    conv = Conv2d((2, 6, 6), 4, (3, 3), (2, 2), (1, 1))

    def even(low: int, high: int, shape: Any) -> Any:
        return 2.0 * rng.integers(low // 2, high // 2 + 1, shape)

    return SteppedNetwork(
        Steps(steps),
        (Frames("image", (2, 6, 6), 1 / 32), Frames("events", (5,), 1.0, 4)),
        (
            SteppedPopulation("input", SteppedCUBA((4096,), (1024,), (80,)), (2, 6, 6), np.array([30.0, -8.0]), one),
            SteppedPopulation("conv", SteppedCUBA((1024, 300, 4096, 0), (128,), (60,)), (4, 3, 3), even(-8, 8, 4), one),
            SteppedPopulation("dense", SteppedCUBA((800,), (300,), (70,)), (7,), even(-10, 10, 7), one),
            SteppedPopulation("voltage", SteppedCUBA((512,), (100,)), (3,), np.zeros(3), one),
            SteppedPopulation("count", Accumulator(), (7,), np.zeros(7), unit),
        ),
        (
            Projection("image", "input", np.full(single.weight_shape, 90.0), single),
            Projection("input", "conv", even(-40, 60, conv.weight_shape), conv, rng.integers(0, 5, 72)),
            Projection("conv", "dense", even(-50, 50, (7, 36))),
            Projection("events", "dense", rng.integers(-30, 30, (7, 5)) * 1.0, delay=np.array([0, 3, 1, 0, 99])),
            Projection("dense", "voltage", even(-254, 254, (3, 7))),
            Projection("dense", "count", *Sparse.of(np.eye(7))[::-1], rng.integers(0, 9, 7)),
        ),
        (Accumulated("count", 1 / steps), Accumulated("voltage")),
    )


def whole_inputs(samples: int, steps: int | None = None, seed: int = 1) -> Any:
    """Inputs of `whole_images`: pixels in [-1, 1] and numbers of events, the same in every step or frames."""
    rng = np.random.default_rng(seed)
    lead = (samples,) if steps is None else (samples, steps)
    return np.concatenate([rng.uniform(-1, 1, (*lead, 72)), rng.integers(-2, 8, (*lead, 5))], axis=-1)
