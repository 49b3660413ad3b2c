"""Leaky integrate-and-fire networks trained directly, through the surrogate derivative of `neurons`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.experiments.baselines.ann import layers_of, linear_chains
from qif2hw.experiments.baselines.architecture import Architecture
from qif2hw.experiments.baselines.model import ChainModel
from qif2hw.experiments.baselines.neurons import bipolar, leaky

BETA = 0.9
"""Part of the potential that a leaky neuron keeps in a step."""


@dataclass(frozen=True)
class Spiking:
    """How a directly trained network spikes.

    Parameters
    ----------
    steps
        Of the simulation.
    signed
        False: leaky neurons, spikes in {0, 1}.  True: no leak, spikes in {-1, 0, 1}.
    """

    steps: int
    signed: bool


class LifNetwork(ChainModel):
    """Chains of spiking layers, in float32.

    Inputs are constant currents through the first linear layer; every further layer receives the spikes of the layer
    before through its own, in the same time step.  The readout is a linear layer on the last spiking layer's mean
    over all steps.  A layer's steps are all worked out before the next layer's, with one matrix product.

    Parameters
    ----------
    architecture
        Its chains.
    spiking
        Neurons and number of steps.
    seed
        Of the initialisation: uniform within ``1 / sqrt(fan_in)``, biases too.
    simulator
        ``"fused"``, or ``"snntorch"``: leaky neurons step by step with snnTorch (extra ``baselines``), many times as
        slow; the same spikes.
    """

    def __init__(self, architecture: Architecture, spiking: Spiking, seed: int, simulator: str = "fused") -> None:
        super().__init__(architecture, torch.float32)
        if simulator not in ("fused", "snntorch") or (simulator == "snntorch" and spiking.signed):
            raise InputError(f"simulator '{simulator}': 'fused' simulates all neurons, 'snntorch' leaky ones")
        if spiking.steps < 1:
            raise InputError(f"{spiking.steps} simulation steps: at least one is needed")
        self.spiking, self.simulator = spiking, simulator
        self.chains = linear_chains(architecture, self.dtype)
        self.layers = layers_of(self.chains)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for chain in self.layers:
                for linear in chain:
                    bound = linear.in_features**-0.5
                    linear.weight.uniform_(-bound, bound, generator=generator)
                    linear.bias.uniform_(-bound, bound, generator=generator)

    def chain(self, k: int, z: Tensor) -> Tensor:
        """Results of chain ``k`` for scaled inputs."""
        *hidden, readout = self.layers[k]
        signal = z[None]
        for linear in hidden:
            signal = self._spikes(linear(signal))
        return readout(signal.mean(dim=0))

    def _spikes(self, current: Tensor) -> Tensor:
        if self.spiking.signed:
            return bipolar(current, self.spiking.steps)
        if self.simulator == "fused":
            return leaky(current, self.spiking.steps, BETA)
        import snntorch

        neuron = snntorch.Leaky(beta=BETA)
        potential = torch.zeros_like(current[0])
        spikes = []
        for now in current.expand(self.spiking.steps, -1, -1):
            spike, potential = neuron(now, potential)
            spikes.append(spike)
        return torch.stack(spikes)
