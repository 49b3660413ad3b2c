r"""From a trained ANN to bipolar integrate-and-fire neurons, layer by layer.

A neuron with threshold :math:`\theta` takes the place of a tanh: with signed spikes of weight :math:`\theta`,
no leak and a soft reset it gives, over T steps of a current of mean I,

    :math:`a = (\theta / T) \, \mathrm{clip}(\mathrm{trunc}(I T / \theta + b), -T, T)`.

The bias shift of :math:`\theta / 2T` (here the initial potential, :math:`b = 1/2`) turns rounding towards zero into
rounding to nearest, on one side of zero.  Threshold and the shift's sign are found for each neuron by grid search on
its error: with one threshold for a whole layer, networks are several times as far off.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.experiments.baselines.ann import Ann
from qif2hw.experiments.baselines.architecture import Rows
from qif2hw.experiments.baselines.model import ChainModel
from qif2hw.experiments.baselines.neurons import bipolar

THRESHOLDS = 100
"""Candidates of the grid search, evenly up to one and a half times the largest activation of the layer."""

SHIFTS = (-0.5, 0.0, 0.5)


@dataclass(frozen=True)
class SpikingLayer:
    """Linear layer and its neurons.

    Parameters
    ----------
    weight, bias
        Of the current (neurons, inputs) and (neurons,).
    threshold
        Of each neuron's potential; also the weight of its spike in the next layer.
    shift
        Initial potential of each neuron in units of its threshold: -1/2, 0 or 1/2.
    """

    weight: Tensor
    bias: Tensor
    threshold: Tensor
    shift: Tensor

    def current(self, signal: Tensor) -> Tensor:
        """Currents of signals (.., inputs)."""
        return signal @ self.weight.T + self.bias

    def spikes(self, signal: Tensor, steps: int) -> Tensor:
        """Spikes times threshold (steps, samples, neurons) for signals (steps or 1, samples, inputs)."""
        return bipolar(self.current(signal) / self.threshold, steps, self.shift) * self.threshold

    def rate(self, current: Tensor, steps: int) -> Tensor:
        """Mean output of the neurons under constant currents (samples, neurons)."""
        count = (current * (steps / self.threshold) + self.shift).trunc_().clamp_(-steps, steps)
        return count * (self.threshold / steps)


@dataclass(frozen=True)
class SpikingChain:
    """Spiking layers, then a linear readout of the last one's mean."""

    layers: tuple[SpikingLayer, ...]
    weight: Tensor
    bias: Tensor

    def signal(self, z: Tensor, steps: int, depth: int | None = None) -> Tensor:
        """Output of the first ``depth`` layers (all of them): (steps or 1, samples, neurons)."""
        signal = z[None]
        for layer in self.layers[:depth]:
            signal = layer.spikes(signal, steps)
        return signal


class Converted(ChainModel):
    """A network of spiking chains, in float32.

    Parameters
    ----------
    ann
        Whose architecture and scaling it has.
    chains
        In place of the ANN's.
    steps
        Of the simulation.
    """

    def __init__(self, ann: Ann, chains: tuple[SpikingChain, ...], steps: int) -> None:
        super().__init__(ann.architecture, torch.float32)
        self.spiking_chains, self.steps = chains, steps
        for name in ("centre", "spread", "offset", "scale"):
            getattr(self, name).copy_(getattr(ann, name))

    def chain(self, k: int, z: Tensor) -> Tensor:
        """Results of chain ``k`` for scaled inputs."""
        chain = self.spiking_chains[k]
        return chain.signal(z, self.steps).mean(dim=0) @ chain.weight.T + chain.bias


@torch.no_grad()
def convert(ann: Ann, rows: Rows, steps: int) -> Converted:
    """Spiking network of an ANN.

    Parameters
    ----------
    ann
        A trained network.
    rows
        Samples on which thresholds are chosen.
    steps
        Of the simulation.
    """
    if steps < 1:
        raise InputError(f"{steps} simulation steps: at least one is needed")
    chains = []
    for k, part in enumerate(rows.parts):
        z = ann.scaled(k, part)
        *targets, _ = ann.activations(k, z)
        *hidden, last = ann.layers[k]
        chain = SpikingChain((), last.weight.float(), last.bias.float())
        for linear, target in zip(hidden, targets, strict=True):
            weight, bias = linear.weight.float(), linear.bias.float()
            mean = chain.signal(z.float(), steps).mean(dim=0)
            layer = SpikingLayer(weight, bias, torch.ones_like(bias), torch.zeros_like(bias))
            layer = with_thresholds(layer, mean, target.float(), steps)
            chain = replace(chain, layers=(*chain.layers, layer))
        chains.append(chain)
    return Converted(ann, tuple(chains), steps)


def with_thresholds(layer: SpikingLayer, signal: Tensor, target: Tensor, steps: int) -> SpikingLayer:
    """The layer with the thresholds and shifts with which its means are closest to ``target`` (samples, neurons)."""
    current = layer.current(signal)
    top = 1.5 * float(target.abs().max())
    candidates = torch.tensor([(top * (k + 1) / THRESHOLDS, shift) for k in range(THRESHOLDS) for shift in SHIFTS])
    errors = []
    for threshold, shift in candidates:
        tried = replace(layer, threshold=threshold.expand_as(layer.bias), shift=shift.expand_as(layer.bias))
        errors.append((tried.rate(current, steps) - target).square().mean(dim=0))
    best = candidates[torch.stack(errors).argmin(dim=0)]
    return replace(layer, threshold=best[:, 0], shift=best[:, 1])
