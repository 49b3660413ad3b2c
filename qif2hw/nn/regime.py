"""Times a network works with, and how its parameters start."""

from dataclasses import dataclass

from qif2hw.errors import InputError


@dataclass(frozen=True)
class Regime:
    """Times a network works with, and how its parameters start; by default the ordinary regime.

    There every output is a real spike before the trial's end.  In the published regime (`PUBLISHED`) the trial ends
    before any output can spike: outputs are pseudospikes.

    Parameters
    ----------
    trial
        Length ``T`` of a trial; in the ordinary regime a little over the period.
    encode
        Spike times of inputs 1 and 0; or such a pair for each input.  With windows that do not overlap no two input
        spikes ever swap their order, and the neurons that they reach stay smooth in the inputs.
    input_phases, hidden_phases
        Ranges of the initial phases of the neurons that the inputs reach, and of the other hidden neurons.
    output_phases
        Initial phases of the two neurons of each output; (1, 0.5) makes them spike after all of their inputs.
    input_spread, spread
        Weights from the inputs, and all others, start uniform in ``+-spread / sqrt(fan_in)``.
    centred
        Shift the weights of every neuron behind the first layer by a common amount, so that at the trial's end the
        mean pseudo-phase of its inputs shears it to where its own pseudo-phase moves most.
    margin
        Outputs later than ``trial - margin`` are penalised; None where outputs are pseudospikes.
    """

    trial: float = 6.5
    encode: tuple[float, float] | tuple[tuple[float, float], ...] = (0.05, 1.95)
    input_phases: tuple[float, float] = (2.0, 5.0)
    hidden_phases: tuple[float, float] = (2.0, 5.0)
    output_phases: tuple[float, float] = (1.0, 0.5)
    input_spread: float = 0.9
    spread: float = 0.9
    centred: bool = False
    margin: float | None = 0.3

    def windows(self, inputs: int) -> list[tuple[float, float]]:
        """Spike times of 1 and 0 for each of ``inputs`` inputs; `InputError` if there is another number of pairs."""
        pairs = [pair for pair in self.encode if isinstance(pair, tuple)]
        if not pairs:
            earliest, latest = (float(time) for time in self.encode if not isinstance(time, tuple))
            return [(earliest, latest)] * inputs
        if len(pairs) != inputs:
            raise InputError(
                f"{len(pairs)} encoding windows for {inputs} inputs: one for each is needed, or one for all"
            )
        return pairs


PUBLISHED = Regime(
    trial=2.0,
    input_phases=(3.0, 3.0),
    hidden_phases=(3.0, 3.0),
    output_phases=(3.0, 3.0),
    input_spread=2.0,
    spread=5.0,
    centred=True,
    margin=None,
)
"""The published regime: ``phi0 = Theta / 2``, ``T = 2``, outputs by pseudospike."""
