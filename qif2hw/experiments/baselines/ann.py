"""The plain network of analog neurons: linear layers and tanh, in float64."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from qif2hw.experiments.baselines.architecture import Architecture
from qif2hw.experiments.baselines.model import ChainModel


class Ann(ChainModel):
    """Chains of linear layers with tanh between them.

    Weights start as Glorot's uniform ones, biases uniform within ``1 / sqrt(fan_in)``: with biases from zero a trunk of
    one input hardly learns.

    Parameters
    ----------
    architecture
        Its chains.
    seed
        Of the initialisation.
    spread
        Factor of the first layers' weights and biases: larger for solutions that change fast.
    """

    def __init__(self, architecture: Architecture, seed: int, spread: float = 1.0) -> None:
        super().__init__(architecture, torch.float64)
        self.chains = linear_chains(architecture, self.dtype)
        generator = torch.Generator().manual_seed(seed)
        for chain in self.layers:
            for linear in chain:
                bound = (6 / sum(linear.weight.shape)) ** 0.5
                with torch.no_grad():
                    linear.weight.uniform_(-bound, bound, generator=generator)
                    linear.bias.uniform_(-1, 1, generator=generator).mul_(linear.in_features**-0.5)
            with torch.no_grad():
                chain[0].weight.mul_(spread)
                chain[0].bias.mul_(spread)

    @property
    def layers(self) -> list[list[nn.Linear]]:
        """Linear layers of every chain."""
        return layers_of(self.chains)

    def chain(self, k: int, z: Tensor) -> Tensor:
        """Results (distinct, outputs) of chain ``k`` for scaled inputs ``z`` (distinct, inputs)."""
        *_, result = self.activations(k, z)
        return result

    def activations(self, k: int, z: Tensor) -> list[Tensor]:
        """What every layer of chain ``k`` gives, (distinct, neurons), for scaled inputs ``z`` (distinct, inputs).

        Of hidden layers tanh, of the last one the sum as it is.
        """
        *hidden, last = self.layers[k]
        activations = []
        for linear in hidden:
            z = torch.tanh(linear(z))
            activations.append(z)
        return [*activations, last(z)]


def linear_chains(architecture: Architecture, dtype: torch.dtype) -> nn.ModuleList:
    """Linear layers of every chain, not initialised."""
    return nn.ModuleList(
        nn.ModuleList(nn.utils.skip_init(nn.Linear, pre, post, dtype=dtype) for pre, post in pairwise(sizes))
        for sizes in architecture.chains
    )


def layers_of(chains: nn.ModuleList) -> list[list[nn.Linear]]:
    """The same as lists, for code that reads them."""
    return [[layer for layer in chain if isinstance(layer, nn.Linear)] for chain in chains]
