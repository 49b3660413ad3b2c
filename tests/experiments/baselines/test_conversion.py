"""Converted networks against the network of clipped currents, which they are with infinitely many steps."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from qif2hw.errors import InputError
from qif2hw.experiments.baselines import Ann, Architecture, Converted, calibrate, convert
from qif2hw.experiments.baselines.architecture import Rows, take_apart
from qif2hw.experiments.baselines.fitting import descend, on_data
from qif2hw.train.task import Samples


@pytest.fixture(scope="module")
def trained() -> tuple[Ann, Rows, np.ndarray]:
    x = np.linspace(0, 1, 200)[:, None]
    ann = Ann(Architecture(((1, 12, 12, 1),)), 0)
    descend(ann, on_data(ann, Samples(x, np.sin(3 * x)), None, 0), 300, 1e-2)
    return ann, take_apart(ann.architecture, torch.from_numpy(x)), x


def clipped(network: Converted, x: np.ndarray) -> np.ndarray:
    """The network with its spiking layers' means as they are after infinitely many steps."""
    chain = network.spiking_chains[0]
    z = network.scaled(0, torch.from_numpy(x).float()).numpy()
    for layer in chain.layers:
        top = layer.threshold.numpy()
        z = np.clip(z @ layer.weight.numpy().T + layer.bias.numpy(), -top, top)
    result = z @ chain.weight.numpy().T + chain.bias.numpy()
    return network.offset.numpy() + network.scale.numpy() * result


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.square(difference).mean()))


def test_more_steps_come_closer_to_clipped_currents(trained: tuple[Ann, Rows, np.ndarray]) -> None:
    ann, rows, x = trained
    chains = convert(ann, rows, 64).spiking_chains
    away = []
    for steps in (16, 64, 256, 1024):
        network = Converted(ann, chains, steps)
        away.append(rms(network.predict(x) - clipped(network, x)))
    assert all(after < before / 2.5 for before, after in pairwise(away)), away
    assert away[-1] < 2e-3


def test_the_first_layer_rounds_to_a_spike(trained: tuple[Ann, Rows, np.ndarray]) -> None:
    ann, rows, _ = trained
    layer = convert(ann, rows, 32).spiking_chains[0].layers[0]
    z = ann.scaled(0, rows.parts[0]).float()
    current = layer.current(z).detach()
    mean = layer.spikes(z[None], 32).mean(dim=0)
    spike = 1.001 * layer.threshold / 32
    # Where more than one spike a step would be needed, an initial potential may cost one.
    assert ((mean - layer.rate(current, 32)).abs() <= spike).all()
    bound = torch.clamp(current, -layer.threshold, layer.threshold)
    assert ((mean - bound).abs() <= 1.5 * spike).all()


def test_a_linear_network_of_small_signals_converts_better_with_steps() -> None:
    # Small enough for tanh to be the identity, which the neurons can follow.
    x = np.linspace(0, 1, 300)[:, None]
    ann = Ann(Architecture(((1, 16, 1),)), 3)
    with torch.no_grad():
        ann.layers[0][0].weight.mul_(0.05)
    rows = take_apart(ann.architecture, torch.from_numpy(x))
    exact = ann.predict(x)
    errors = [rms(convert(ann, rows, steps).predict(x) - exact) for steps in (32, 64, 128)]
    assert errors[2] < 0.6 * errors[1] < 0.36 * 2 * errors[0], errors


@pytest.mark.parametrize("steps", [32, 128])
def test_calibration_brings_the_network_closer(trained: tuple[Ann, Rows, np.ndarray], steps: int) -> None:
    ann, rows, x = trained
    between = x[:-1] + 0.5 / 199
    converted = convert(ann, rows, steps)
    calibrated = calibrate(converted, ann, rows, iterations=150)
    exact = ann.predict(between)
    assert rms(calibrated.predict(between) - exact) < 0.5 * rms(converted.predict(between) - exact)
    again = calibrate(convert(ann, rows, steps), ann, rows, iterations=150)
    np.testing.assert_array_equal(again.predict(between), calibrated.predict(between))


def test_no_steps(trained: tuple[Ann, Rows, np.ndarray]) -> None:
    ann, rows, _ = trained
    with pytest.raises(InputError, match="at least one"):
        convert(ann, rows, 0)
