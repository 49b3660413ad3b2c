"""A DeepONet of two QIF networks: the inner product of the results of a branch and a trunk."""

from torch import Tensor, nn

from qif2hw import ir
from qif2hw.errors import InputError
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.nn.functional.arguments import refuse_tracers
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import Regime
from qif2hw.nn.renaming import prefixed


class DeepONet(nn.Module):
    """``y = offset + scale sum_m branch_m(f) trunk_m(c)``; inputs are rows ``(f, c)``.

    Parameters
    ----------
    branch, trunk
        Sizes of both networks: channels, hidden layers, outputs times two; equally many outputs.
    scale, offset
        Of the product.
    regime
        Times of both networks.
    seed
        Of the initialisation.
    branch_fields, trunk_fields
        Receptive fields that encode each input of the branch, and of the trunk, see `QIFNetwork`.

    Raises
    ------
    InputError
        If the two have different numbers of outputs, or sizes that no network has.
    """

    def __init__(
        self,
        branch: tuple[int, ...],
        trunk: tuple[int, ...],
        *,
        scale: float = 1.0,
        offset: float = 0.0,
        regime: Regime | None = None,
        seed: int = 0,
        branch_fields: ReceptiveFields | None = None,
        trunk_fields: ReceptiveFields | None = None,
    ) -> None:
        super().__init__()
        if branch[-1] != trunk[-1]:
            raise InputError(
                f"a branch of {branch[-1]} and a trunk of {trunk[-1]} output neurons: equally many are needed"
            )
        self.branch = QIFNetwork(branch, regime=regime, seed=2 * seed, fields=branch_fields)
        self.trunk = QIFNetwork(trunk, regime=regime, seed=2 * seed + 1, fields=trunk_fields)
        self.scale, self.offset = scale, offset

    @property
    def weight_bits(self) -> int | None:
        """Bits of the weights' grid in every layer; None for free weights."""
        return self.branch.weight_bits

    @weight_bits.setter
    def weight_bits(self, bits: int | None) -> None:
        self.branch.weight_bits = self.trunk.weight_bits = bits

    @property
    def input_fields(self) -> tuple[ReceptiveFields | None, ...]:
        """Receptive fields of each input."""
        return self.branch.input_fields + self.trunk.input_fields

    def grid(self, functions: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Results (functions, points) at every point, and the penalty on outputs that come too late."""
        branch, trunk = self.branch.run(functions), self.trunk.run(points)
        late = self.branch.deadline_penalty(branch.first) + self.trunk.deadline_penalty(trunk.first)
        return self.offset + self.scale * branch.y @ trunk.y.T, late

    def forward(self, x: Tensor) -> Tensor:
        """Results (samples, 1) of ``x`` (samples, inputs); rows that share a function or a point are computed once."""
        refuse_tracers()
        width = self.branch.width
        if x.ndim != 2 or x.shape[1] != width + self.trunk.width:
            raise InputError(f"inputs have shape {tuple(x.shape)}: (samples, {width + self.trunk.width}) is needed")
        functions, which = x[:, :width].unique(dim=0, return_inverse=True)
        points, where = x[:, width:].unique(dim=0, return_inverse=True)
        return self.grid(functions, points)[0][which, where].unsqueeze(1)

    def keep_inside(self) -> None:
        """Put all initial phases back into [0, Theta)."""
        self.branch.keep_inside()
        self.trunk.keep_inside()

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """All weights, and all initial phases."""
        pairs = zip(self.branch.parameter_groups(), self.trunk.parameter_groups(), strict=True)
        weights, phases = (left + right for left, right in pairs)
        return weights, phases

    def to_network(self) -> ir.Network:
        """The network for compiling: both parts side by side, their product worked out on the host."""
        branch, trunk = prefixed(self.branch.to_network(), "branch"), prefixed(self.trunk.to_network(), "trunk")
        (left,), (right,) = branch.readouts, trunk.readouts
        if not (isinstance(left, ir.Readout) and isinstance(right, ir.Readout)):
            raise InputError("branch and trunk of a DeepONet are read out as differences of first spikes")
        return ir.Network(
            trial=branch.trial,
            encoders=branch.encoders + trunk.encoders,
            populations=branch.populations + trunk.populations,
            projections=branch.projections + trunk.projections,
            outputs=(ir.Product(left, right, self.scale, self.offset),),
            host=Host(
                tuple(Input(f"x{k}", fields=fields) for k, fields in enumerate(self.input_fields)), (Output("y0"),)
            )
            if any(self.input_fields)
            else None,
        )
