"""Backends by name: what a compiled network runs on, from this distribution or from another one.

A distribution offers a backend by an entry point of the group ``qif2hw.backends``, whose object is a `Backend`::

    [project.entry-points."qif2hw.backends"]
    mychip = "mychip.qif2hw:MYCHIP"

The names known are those of the entry points of all installed distributions; they are listed nowhere else.  This
module alone loads them, so that nothing below a backend imports it.
"""

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from qif2hw.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from qif2hw.ir import Program, Run
    from qif2hw.ir.stepped import AnyNetwork, AnyRun
    from qif2hw.ir.stepped_program import SteppedProgram

GROUP = "qif2hw.backends"
"""Group of the entry points."""

_OWN = "qif2hw"


class Executable(Protocol):
    """A program and the network it was compiled from, of either clock: a `qif2hw.bundle.Bundle`, for one."""

    @property
    def program(self) -> "Program | SteppedProgram":
        """What integer backends run."""

    @property
    def network(self) -> "AnyNetwork":
        """The float network, its weights not rounded."""


@dataclass(frozen=True)
class Execution:
    """How a backend runs networks of one clock: a function and the keyword arguments that it takes."""

    execute: "Callable[..., AnyRun]"
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backend:
    """Something that runs a compiled network.

    Parameters
    ----------
    name
        The name of its entry point.
    title
        What it is in a few words, for help texts and reports.
    runs
        What ``execute`` is given: the integer ``program``, or the float ``network``.
    execute
        ``execute(program or network, x, **options)`` returns the `qif2hw.ir.Run` of inputs ``x`` (samples, columns) in
        the user's units: `qif2hw.engine.encode` makes spikes of them.  Its solution may be missing: `run` makes it.
        Where a run fails on good input, it raises a `qif2hw.errors.BackendError`.
    exact
        Whether it is the integer machine: then every spike's step and lateness must equal the engine's, bit for bit,
        and `qif2hw.parity.check` holds it to that.
    options
        Names of the keyword arguments that ``execute`` takes.  ``progress``, a function of machine steps done and
        machine steps in all, is passed to a backend that names it.
    missing
        Says in one line what is missing for a run here and how to get it; None if nothing is.
    in_parity
        Whether ``qif2hw parity`` includes it where no backends are named.
    stepped
        The same for networks with a stepped clock; None if it runs none.
    """

    name: str
    title: str
    runs: Literal["program", "network"]
    execute: Callable[..., "Run"]
    exact: bool = False
    options: tuple[str, ...] = ()
    missing: Callable[[], str | None] = lambda: None
    in_parity: bool = False
    stepped: Execution | None = None

    def check(self, options: Iterable[str] = (), program: "Program | SteppedProgram | None" = None) -> None:
        """Raise `InputError` if an option is unknown to this backend, or if it cannot run here.

        With a program, also if it does not run it, or takes an option only for the other clock.
        """
        executions = [self.execution(program)] if program is not None else self.executions
        taken = dict.fromkeys(option for one in executions for option in one.options)
        for option in options:
            if option not in taken:
                known = ", ".join(name for name in taken if name != "progress") or "none"
                raise InputError(f"backend '{self.name}' has no option '{option}': its options are {known}")
        reason = self.missing()
        if reason is not None:
            raise InputError(f"backend '{self.name}': {reason}")

    @property
    def executions(self) -> list[Execution]:
        """How it runs networks of either clock."""
        return [Execution(self.execute, self.options), *([] if self.stepped is None else [self.stepped])]

    def execution(self, program: "Program | SteppedProgram") -> Execution:
        """How it runs networks of a program's clock; `InputError` if it does not."""
        from qif2hw.ir.stepped_program import SteppedProgram

        if not isinstance(program, SteppedProgram):
            return Execution(self.execute, self.options)
        if self.stepped is None:
            raise InputError(f"backend '{self.name}' does not run networks with a stepped clock")
        return self.stepped

    def run(
        self,
        executable: Executable,
        x: "ArrayLike",
        *,
        clip: bool = False,
        progress: Callable[[int, int], None] | None = None,
        **options: Any,
    ) -> "AnyRun":
        """Run inputs ``x`` (samples, columns), as `check_inputs` of the network takes them.

        With ``clip`` values outside their range become the nearest end.

        Raises
        ------
        InputError
            If an option is unknown, the backend cannot run here or not with this clock, or ``x`` has a wrong shape or
            values; all of these before anything runs.
        BackendError
            If the run failed.
        """
        from qif2hw.ir.spikes import solved
        from qif2hw.ir.stepped import SteppedRun
        from qif2hw.ir.stepped_program import SteppedProgram

        self.check(options, executable.program)
        how, program = self.execution(executable.program), executable.program
        if isinstance(program, SteppedProgram):
            if clip:
                raise InputError("clip: inputs of a network with a stepped clock have no range to be clipped to")
            inputs = executable.network.check_inputs(x)
        else:
            inputs = program.check_inputs(x, clip=clip)
        if progress is not None and "progress" in how.options:
            options["progress"] = progress
        run = how.execute(program if self.runs == "program" else executable.network, inputs, **options)
        return (
            run if isinstance(run, SteppedRun) or isinstance(program, SteppedProgram) else solved(program, inputs, run)
        )


def names() -> tuple[str, ...]:
    """Names of all backends that are installed, those of qif2hw itself first."""
    return tuple(dict.fromkeys(entry.name for entry in _entries()))


@lru_cache
def get(name: str) -> Backend:
    """Load a backend.

    Raises
    ------
    InputError
        If there is none of this name (the message lists those there are), two distributions offer one, or it cannot be
        imported (the message names its distribution).
    """
    entries = [entry for entry in _entries() if entry.name == name]
    if not entries:
        raise InputError(_unknown(name))
    if len(entries) > 1:
        origins = " and ".join(sorted(_origin(entry) for entry in entries))
        raise InputError(f"backend '{name}' is offered by two distributions, {origins}: uninstall one")
    where = f"backend '{name}' of the distribution {_origin(entries[0])}"
    try:
        backend = entries[0].load()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{where} cannot be loaded ({reason})") from error
    if not isinstance(backend, Backend) or backend.name != name:
        raise InputError(f"{where}: {entries[0].value} is not a qif2hw.backends.Backend named '{name}'")
    return backend


def in_parity() -> tuple[Backend, ...]:
    """Backends that ``qif2hw parity`` includes where none are named, able to run here or not; the exact ones last."""
    return tuple(sorted((b for b in map(get, names()) if b.in_parity), key=lambda b: (b.exact, b.name)))


def run(
    name: str,
    executable: Executable,
    x: "ArrayLike",
    *,
    clip: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "AnyRun":
    """`Backend.run` of the backend ``name`` on inputs ``x`` (samples, ...); its errors, and those of `get`."""
    return get(name).run(executable, x, clip=clip, progress=progress, **options)


def options_for(how: Execution, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of several backends' options that one of them takes."""
    return {name: value for name, value in options.items() if name in how.options}


def _entries() -> list[importlib.metadata.EntryPoint]:
    entries = importlib.metadata.entry_points(group=GROUP)
    return sorted(entries, key=lambda entry: (not _is_own(entry), entry.name))


def _is_own(entry: importlib.metadata.EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == _OWN


def _origin(entry: importlib.metadata.EntryPoint) -> str:
    return "(unknown)" if entry.dist is None else f"'{entry.dist.name}'"


def _unknown(name: str) -> str:
    entries = _entries()
    message = f"unknown backend '{name}': known are {', '.join(names()) or 'none'}"
    if not any(_is_own(entry) for entry in entries):
        message += " (those of qif2hw are known once it is installed: pip install -e . in its folder)"
    return message
