"""Pass: does the program fit its target, and if not, why and what would make it fit."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from qif2hw.compiler.mapping import (
    BYTES_PER_WORD,
    CoreMap,
    Need,
    Share,
    map_cores,
    needs_of,
    with_fewer_neurons,
    with_tables_halved,
    with_weight_bits,
)
from qif2hw.compiler.passes.ranges import range_of
from qif2hw.compiler.passes.tables import TableChoices
from qif2hw.compiler.proof import widest_product
from qif2hw.compiler.ptc_tables import ANGLES
from qif2hw.compiler.state import Section, State, plain
from qif2hw.compiler.targets import Target
from qif2hw.ir import PlaneVector, Program
from qif2hw.ir.ptc import STATE_BITS, second_moment

FEWEST_TABLE_BITS = 2


class Reason(NamedTuple):
    """Why a program does not fit: the target's limit by name, and a text."""

    limit: str
    text: str


@dataclass(frozen=True)
class PopulationFit:
    """What a population needs: the most of any neuron and core, and why no split of it fits a core, if so."""

    neurons: int
    fan_in: int
    weight_bits: int
    bytes_per_neuron: int
    table_bytes: int
    neurons_per_core: int
    cores: int
    problem: str


@dataclass(frozen=True)
class Fit:
    """Whether a program fits a target.

    Parameters
    ----------
    target, core_limit, memory_per_core_bytes
        The target, and two of its limits.
    cores, chips, map
        How many are needed, and what each core holds.
    fits, reasons, options
        Whether it fits; if not, why, and single changes after which it does.
    limits
        Of each reason the limit that decided, with its status unless that is published.
    populations
        By name.
    """

    target: str
    cores: int
    core_limit: int | None
    memory_per_core_bytes: int | None
    chips: int
    fits: bool
    reasons: tuple[str, ...]
    options: tuple[str, ...]
    populations: dict[str, PopulationFit]
    map: tuple[Share, ...]
    limits: tuple[str, ...] = ()

    def as_report(self) -> Section:
        """As plain JSON values; limits where one decided."""
        found: Section = plain(self)
        return found if self.limits else {name: value for name, value in found.items() if name != "limits"}


@dataclass(frozen=True)
class FitTarget:
    """Map populations to cores; report, do not refuse: the simulator runs what no chip holds."""

    name: ClassVar[str] = "fit"
    reads: ClassVar[tuple[type, ...]] = (Program, TableChoices)
    writes: ClassVar[tuple[type, ...]] = (Fit,)

    def run(self, state: State) -> State:
        """Map the cores, and find what does not fit."""
        return state.having(assess(state[Program], state.target, state[TableChoices].table_bits))

    def report(self, state: State) -> Section:
        """The map of the cores, and what does not fit."""
        return state[Fit].as_report()


def assess(program: Program, target: Target, table_bits: int | None = None) -> Fit:
    """Whether a program fits a target, the map of the cores, and if not, the reasons and the options that would fit.

    Parameters
    ----------
    program, target
        What, and where.
    table_bits
        The resolution its tables were made with, if known: names the option that makes them smaller.
    """
    needs = needs_of(program)
    wide = (*too_wide(needs, target), *_payloads(program, target), *_arithmetic(program, needs, target))
    return judge(needs, target, wide, lambda: _options(program, needs, target, table_bits))


def judge(
    needs: tuple[Need, ...], target: Target, wide: tuple[Reason, ...], options: Callable[[], Iterable[str]]
) -> Fit:
    """Map populations to cores.

    Parameters
    ----------
    needs, target
        What, and where.
    wide
        Reasons against it that no number of cores removes.
    options
        Single changes after which it fits; asked for if it does not.
    """
    cores = map_cores(needs, target)
    reasons = (*wide, *_places(cores, target))
    most = target.limit("cores")
    return Fit(
        target=target.name,
        cores=len(cores.shares),
        core_limit=most,
        memory_per_core_bytes=target.limit("memory_per_core_bytes"),
        chips=1 if most is None else -(-len(cores.shares) // most),
        fits=not reasons,
        reasons=tuple(reason.text for reason in reasons),
        options=tuple(options()) if reasons else (),
        populations={need.name: _population(need, cores) for need in needs},
        map=cores.shares,
        limits=tuple(target.named(reason.limit) for reason in reasons),
    )


def refusal(fit: Mapping[str, Any]) -> str:
    """Why a program is refused, in one line, from the report: the first reason and the nearest option that fits."""
    more = f" (and {len(fit['reasons']) - 1} more)" if len(fit["reasons"]) > 1 else ""
    option = f"it would fit with {fit['options'][0]}" if fit["options"] else "no single option makes it fit"
    return f"the network does not fit the target '{fit['target']}': {fit['reasons'][0]}{more}; {option}"


def _as_plane_vectors(program: Program, needs: tuple[Need, ...]) -> tuple[Need, ...]:
    """The same populations with the table-free neuron: a second state register, and an angle for each bit."""
    return tuple(
        need
        if isinstance(program.population(need.name).ptc, PlaneVector)
        else replace(need, state_bytes=need.state_bytes + 2 * BYTES_PER_WORD, table_bytes=BYTES_PER_WORD * ANGLES)
        for need in needs
    )


def _population(need: Need, cores: CoreMap) -> PopulationFit:
    shares = cores.of(need.name)
    return PopulationFit(
        neurons=need.neurons,
        fan_in=need.fan_in,
        weight_bits=max((s.bits for s in need.sources), default=0),
        bytes_per_neuron=need.state_bytes
        + -(-int(need.row_bits.max()) // 8)
        + -(-(need.kernel_bits // 8 + need.channel_bytes) // need.plane),
        table_bytes=need.table_bytes,
        neurons_per_core=max(s.stop - s.first for s in shares),
        cores=len(shares),
        problem=cores.problems.get(need.name, ""),
    )


def _flush_bits(program: Program) -> int:
    """Bits of the payloads in the flush step; 0 where no population sends to another."""
    senders = {p.pre for p in program.projections}
    return max(
        ((program.grid.threshold >> p.flush_drop).bit_length() for p in program.populations if p.name in senders),
        default=0,
    )


def too_wide(needs: tuple[Need, ...], target: Target, programmed: bool = True) -> Iterator[Reason]:
    """What is too wide for the target, or beyond its neurons, whatever the clock.

    ``programmed``: neurons are others than the CUBA neuron, which every target has.
    """
    if programmed and target.limit("programmable_neurons") == 0:
        yield Reason("programmable_neurons", "its neuron model is fixed, a QIF neuron needs a programmable one")
    state = target.limit("state_bits")
    if state is not None and state < STATE_BITS:
        yield Reason("state_bits", f"a neuron's registers have {STATE_BITS} bits, the target's {state}")
    weight = target.limit("weight_bits")
    widest = max((s.bits for need in needs for s in need.sources), default=0)
    if weight is not None and widest > weight:
        yield Reason("weight_bits", f"weights have {widest} bits, the target's {weight}")


def _payloads(program: Program, target: Target) -> Iterator[Reason]:
    """What spikes carry and the target's cannot."""
    payload = target.limit("payload_bits")
    if payload is not None and program.grid.lateness_bits > payload:
        late = program.grid.lateness_bits
        yield Reason("payload_bits", f"spikes carry {late} bits of lateness, the target's {payload}")
    if payload is not None and _flush_bits(program) > payload:
        yield Reason(
            "payload_bits", f"the flush sends {_flush_bits(program)} bits, the target's spikes carry {payload}"
        )


def _arithmetic(program: Program, needs: tuple[Need, ...], target: Target) -> Iterator[Reason]:
    """What the neurons do and the target's cannot."""
    tables, products = target.limit("table_bytes"), target.limit("product_bits")
    messages = target.limit("messages_per_spike")
    for need in needs:
        if tables is not None and need.table_bytes > tables:
            held = f"have {need.table_bytes} bytes, the target's {tables}"
            yield Reason("table_bytes", f"the tables of population '{need.name}' {held}")
    for p in program.populations:
        if products is not None:
            name, bits = widest_product(p, program.grid, range_of(program, p.name))
            if bits > products:
                held = f"needs {bits} bits, the target's products have {products}"
                yield Reason("product_bits", f"'{name}' of population '{p.name}' {held}")
        sent = (1 if p.message_bits is not None else 2) + (second_moment(p.ptc) is not None)
        if messages is not None and sent > messages:
            held = f"as {sent} messages, the target sends {messages}"
            yield Reason("messages_per_spike", f"spikes reach population '{p.name}' {held}")


def _places(cores: CoreMap, target: Target) -> Iterator[Reason]:
    """What finds no place on the chip."""
    for name, why in cores.problems.items():
        yield Reason(cores.limits[name], f"population '{name}': {why}")
    most = target.limit("cores")
    if most is not None and len(cores.shares) > most:
        yield Reason("cores", f"{len(cores.shares)} cores are needed, {most} there are")


def _fits(needs: tuple[Need, ...], target: Target) -> bool:
    """Whether all find a place."""
    cores, most = map_cores(needs, target), target.limit("cores")
    return not cores.problems and (most is None or len(cores.shares) <= most)


def _options(program: Program, needs: tuple[Need, ...], target: Target, table_bits: int | None) -> Iterator[str]:
    """Single changes after which the program fits, the one that costs least accuracy first."""
    wide = [*too_wide(needs, target), *_payloads(program, target), *_arithmetic(program, needs, target)]
    payload, weight = target.limit("payload_bits"), target.limit("weight_bits")
    late = program.grid.lateness_bits
    lighter = needs if weight is None else with_weight_bits(needs, weight)
    if wide:
        # Changes of width do not help a neuron or a register that the target lacks.
        helped = [
            f"{payload} payload bits in place of {late}"
            for _ in range(payload is not None and late > payload >= _flush_bits(program))
        ] + [f"{weight} weight bits" for _ in range(lighter != needs)]
        if len(helped) == len(wide) and _fits(lighter, target):
            yield " and ".join(helped)
        return
    halvings = range(1, 7 if table_bits is None else table_bits - FEWEST_TABLE_BITS + 1)
    times = next((k for k in halvings if _fits(with_tables_halved(needs, k), target)), None)
    if times is not None:
        yield (
            f"table bits {table_bits - times} in place of {table_bits}"
            if table_bits
            else f"tables {2**times} times smaller"
        )
    if (smaller := _as_plane_vectors(program, needs)) != needs and _fits(smaller, target):
        yield "the form 'plane', which needs no tables"
    yield from with_other_sizes(needs, target, program.output_populations)


def with_other_sizes(needs: tuple[Need, ...], target: Target, outputs: tuple[str, ...]) -> Iterator[str]:
    """Fewer weight bits, more chips, or smaller hidden populations, where one of them alone makes it fit."""
    widest = max(s.bits for need in needs for s in need.sources)
    bits = next((b for b in range(widest - 1, 1, -1) if _fits(with_weight_bits(needs, b), target)), None)
    if bits is not None:
        yield f"weight bits {bits} in place of {widest}"
    cores, most = map_cores(needs, target), target.limit("cores")
    if most is not None and not cores.problems:
        yield f"{-(-len(cores.shares) // most)} chips in place of one"
    percent = next((p for p in range(99, 0, -1) if _fits(with_fewer_neurons(needs, p, outputs), target)), None)
    if percent is not None:
        before = max((n for n in needs if n.name not in outputs), key=lambda n: n.neurons, default=None)
        if before is not None:
            after = max(1, before.neurons // before.plane * percent // 100) * before.plane
            yield (
                f"hidden populations of {percent} % of their size "
                f"('{before.name}': {after} neurons, not {before.neurons})"
            )
