"""Pass: choose the time grid."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from qif2hw.compiler.state import Section, State
from qif2hw.errors import InputError
from qif2hw.ir import Network, TimeGrid
from qif2hw.ir.ptc import STATE_MAX

PayloadBits: TypeAlias = int | Literal["auto"]
"""Bits of a spike's lateness, or ``auto``."""
FEWEST_STEPS, MOST_STEPS = 8, 1 << 16
MOST_PAYLOAD_BITS = 12


def parse_payload_bits(text: str) -> PayloadBits:
    """From text: a whole number or ``auto``; `InputError` on any other."""
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise InputError(f"payload bits = {text}: a whole number is needed, or auto") from None


def check_steps(steps: int) -> None:
    """`InputError` on a number of machine steps that no trial may have."""
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise InputError(f"steps = {steps}: {FEWEST_STEPS} to {MOST_STEPS} are possible")


def check_payload_bits(bits: int, most: int = MOST_PAYLOAD_BITS, where: str = "") -> None:
    """`InputError` on bits of a payload that no spike has, or with ``most`` none of the target that ``where`` names."""
    if not 0 <= bits <= most:
        raise InputError(f"payload bits = {bits}: 0 to {most} are possible{where}")


@dataclass(frozen=True)
class ChooseTimeGrid:
    """Cut the trial into steps of ``Delta = Theta / S`` so that the machine needs at most ``steps`` of them.

    ``S`` is the largest integer that keeps the whole run (the trial, one step per layer, the flush) within
    ``steps``; the phase counts a power of two per step, the largest the state holds.

    Parameters
    ----------
    steps
        Most machine steps of a trial.
    lateness_bits
        Bits of a spike's payload, its lateness in ticks of ``Delta / 2^lateness_bits``; 0 for none.
    """

    name: ClassVar[str] = "time-grid"
    reads: ClassVar[tuple[type, ...]] = ()
    writes: ClassVar[tuple[type, ...]] = (TimeGrid,)

    steps: int = 512
    lateness_bits: int = 8

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_payload_bits(self.lateness_bits)

    def run(self, state: State) -> State:
        """Choose the grid; `InputError` if populations differ in period or no grid fits."""
        return state.having(self._choose(state))

    def report(self, state: State) -> Section:
        """Steps, and what they are made of."""
        grid = state[TimeGrid]
        return {
            "steps": grid.trial_steps + 1 + grid.layers,
            "steps_per_period": grid.period_steps,
            "delta": grid.delta,
            "phase_bits": grid.phase_bits,
            "lateness_bits": grid.lateness_bits,
            "tick": grid.tick,
        }

    def _choose(self, state: State) -> TimeGrid:
        network = state.network
        period = _common_period(network)
        depth = max(network.depth.values())
        allowed = state.target.limit("payload_bits")
        if allowed is not None and allowed < MOST_PAYLOAD_BITS:
            check_payload_bits(self.lateness_bits, allowed, f" on target '{state.target.name}'")
        # No grid has more: periods may be any multiple of the trial.
        start = math.floor(min((self.steps - 1 - depth) * period / network.trial, STATE_MAX))
        for period_steps in range(start, 1, -1):
            phase_bits = (STATE_MAX // (period_steps + 1)).bit_length() - 1
            if phase_bits <= self.lateness_bits:
                raise InputError(
                    f"{self.steps} steps with {self.lateness_bits} payload bits need a phase of more than 24 bits: "
                    "use fewer of either"
                )
            grid = TimeGrid(period, network.trial, period_steps, phase_bits, self.lateness_bits, depth)
            if grid.trial_steps + 1 + depth <= self.steps:
                return grid
        raise InputError(
            f"{self.steps} steps are too few for {depth} layers and a trial of {network.trial / period:g} periods"
        )


def _common_period(network: Network) -> float:
    periods = np.array([p.neuron.period for p in network.populations])
    if np.ptp(periods) > 1e-9 * periods.max():
        low, high = (network.populations[int(i)] for i in (periods.argmin(), periods.argmax()))
        raise InputError(
            f"populations '{low.name}' and '{high.name}' have periods {periods.min():g} and {periods.max():g}: "
            "one time grid needs one period Theta = pi tau / r"
        )
    for p in network.projections:
        span = network.depth[p.post] - network.depth[p.pre]
        if span != 1:
            raise InputError(
                f"projection {p.pre} -> {p.post} spans {span} layers: a synapse must reach the next layer; "
                f"{span - 1} more between them would help"
            )
    return float(periods[0])
