"""Pass: prove that no register and no product of the machine is too small for what it holds."""

from dataclasses import dataclass
from typing import ClassVar

from qif2hw.compiler.intervals import Register
from qif2hw.compiler.passes.ranges import PopulationRange, Ranges
from qif2hw.compiler.proof import prove
from qif2hw.compiler.state import Section, State
from qif2hw.compiler.targets import product_bits_of
from qif2hw.engine.integers import PRODUCT_BITS
from qif2hw.errors import InputError
from qif2hw.ir import CotangentTables, PhaseWeightTable, Program, ProgramPopulation
from qif2hw.ir.ptc import second_moment


@dataclass(frozen=True)
class ProvenRegisters:
    """Registers and products by population and name."""

    populations: dict[str, dict[str, Register]]


@dataclass(frozen=True)
class ProveRegisters:
    """Bound every register and product from what can arrive (`ranges`), the curve and the time grid.

    `qif2hw.engine.spec` runs on intervals, see `qif2hw.compiler.proof`.  What is kept must fit 24 bits, products 64 or
    what the target has.
    """

    name: ClassVar[str] = "registers"
    reads: ClassVar[tuple[type, ...]] = (Ranges, Program)
    writes: ClassVar[tuple[type, ...]] = (ProvenRegisters,)

    def run(self, state: State) -> State:
        """Prove; `InputError` with the register, and the neuron that receives most, if one is too narrow."""
        program, ranges = state[Program], state[Ranges]
        product_bits = product_bits_of(state.target)
        proven = {}
        for population in program.populations:
            found = ranges.populations[population.name]
            proven[population.name] = prove(population, program.grid, found, product_bits)
            for name, register in proven[population.name].items():
                if not register.fits:
                    raise InputError(_too_narrow(name, register, population, found))
        return state.having(ProvenRegisters(proven))

    def report(self, state: State) -> Section:
        """What every register may hold, the bits that it needs, and those that it has."""
        return {
            "populations": {
                name: {
                    register: {"low": r.low, "high": r.high, "bits": r.bits, "of": r.width}
                    for register, r in found.items()
                }
                for name, found in state[ProvenRegisters].populations.items()
            }
        }


def _too_narrow(name: str, register: Register, population: ProgramPopulation, found: PopulationRange) -> str:
    needed, width = (register.bits, register.width) if register.bits > register.width else (0, 0)
    if not needed:
        name, needed, width = f"a number before '{name}'", register.widest, register.product_bits
    return (
        f"{name} of population '{population.name}' may need {needed} bits, {width} there "
        f"are: the weights of neuron {found.load.neuron} are too large for the machine"
        + ("; one lateness moment needs fewer bits" if second_moment(population.ptc) else "")
        + ("; the form 'plane' needs fewer" if isinstance(population.ptc, PhaseWeightTable | CotangentTables) else "")
        * (register.product_bits < PRODUCT_BITS)
    )
