"""Pass: does a stepped program fit its target, and if not, why and what would make it fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from qif2hw.compiler.mapping import Need
from qif2hw.compiler.passes.fit import Fit, Reason, judge, too_wide, with_other_sizes
from qif2hw.compiler.state import Section, SteppedState
from qif2hw.compiler.stepped.needs import longest_delay, needs_of
from qif2hw.compiler.targets import Target
from qif2hw.ir.stepped_program import AddUp, CubaStep, SteppedProgram


@dataclass(frozen=True)
class FitSteppedTarget:
    """Map populations to cores, kernels stored once a core; report, do not refuse."""

    name: ClassVar[str] = "fit"
    reads: ClassVar[tuple[type, ...]] = (SteppedProgram,)
    writes: ClassVar[tuple[type, ...]] = (Fit,)

    def run(self, state: SteppedState) -> SteppedState:
        """Map the cores, and find what does not fit."""
        return state.having(assess(state[SteppedProgram], state.target))

    def report(self, state: SteppedState) -> Section:
        """The map of the cores, and what does not fit."""
        return state[Fit].as_report()


def assess(program: SteppedProgram, target: Target) -> Fit:
    """Whether a program fits a target, the map of the cores, and if not, the reasons and the options that would fit."""
    needs = needs_of(program)
    programmed = not all(isinstance(p.arithmetic, AddUp | CubaStep) for p in program.populations)
    wide = (*too_wide(needs, target, programmed), *_messages(program, target))
    if programmed and target.limit("product_bits") is not None:
        # Nothing is claimed that was not looked at.
        wide += (Reason("product_bits", "products of neurons in time steps are not proven for such a target"),)
    outputs = tuple(output.population for output in program.outputs)
    return judge(needs, target, wide, lambda: _options(needs, target, outputs, bool(wide)))


def _messages(program: SteppedProgram, target: Target) -> Iterator[Reason]:
    """What spikes carry, or wait, and the target's cannot."""
    payload, delay = target.limit("payload_bits"), target.limit("delay_bits")
    for e in program.encoders:
        # Values 0 and 1 are spikes without a payload.
        if payload is not None and e.largest > 1 and e.bits > payload:
            yield Reason(
                "payload_bits",
                f"values of input group '{e.name}' have {e.bits} bits, the target's spikes carry {payload}",
            )
    longest = longest_delay(program.projections)
    if delay is not None and longest >= 1 << delay:
        yield Reason(
            "delay_bits", f"spikes are delayed by up to {longest} steps, the target's by at most {(1 << delay) - 1}"
        )


def _options(needs: tuple[Need, ...], target: Target, outputs: tuple[str, ...], wide: bool) -> Iterator[str]:
    # What is too wide is so on any number of cores.
    if not wide:
        yield from with_other_sizes(needs, target, outputs)
