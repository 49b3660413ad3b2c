"""Samples per second of event-driven networks on Lava's CPU simulator, side by side with other ways and simulators.

One network of QIF neurons: the engine, the fused and the modular Lava Processes; the same equation under brian2lava (on
Lava too), Brian 2 and NEST, on a clock of as many steps; and a network of CUBA neurons of the same sizes under netx,
which has other spikes.  Errors of spike times are against the exact reference, with the same weights.
"""

import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qif2hw import backends, reference
from qif2hw.bench.result import Figure
from qif2hw.bench.simulators.job import prepare, simulate
from qif2hw.bench.timing import cost
from qif2hw.bundle import Bundle
from qif2hw.errors import BackendError, InputError
from qif2hw.host import machine
from qif2hw.ir import Network, Program, Run, Spikes
from qif2hw.ir.arrays import FloatArray
from qif2hw.parity.matching import match

OURS = ("engine", "Lava, fused", "Lava, modular")
"""What must not fail."""
NEAR = 0.5
"""Spikes further apart than this, in units of tau, are not the same one where their numbers differ."""

Progress = Callable[[int, int, str], None]


class Effort(NamedTuple):
    """Samples of two runs of each way: what a further sample takes is their difference, without the start."""

    engine: tuple[int, int] = (1000, 21000)
    fused: tuple[int, int] = (100, 2100)
    modular: tuple[int, int] = (1, 41)
    netx: tuple[int, int] = (1, 3)
    brian2lava: tuple[int, int] = (1, 5)
    brian2: tuple[int, int] = (100, 1100)
    nest: tuple[int, int] = (100, 1100)


QUICK = Effort((100, 1100), (10, 110), (1, 11), (1, 2), (1, 2), (10, 110), (10, 110))
"""Good for a look, not for a number to quote."""


@dataclass(frozen=True)
class Simulator:
    """A simulator of others: distributions that it needs by module, the module that runs it, and its peak.

    ``peak`` is that of `qif2hw.bench.simulators.job.prepare`: the most accurate of 0.05 to 2 on the zoo's parabola.
    """

    title: str
    needs: Mapping[str, str]
    module: str
    peak: float


SIMULATORS = {
    "brian2lava": Simulator(
        "Brian2Lava, QIF equation", {"brian2": "brian2", "brian2lava": "brian2lava", "lava.magma": "lava-nc"},
        "qif2hw.bench.simulators.brian_on_lava", 1.0,
    ),
    "brian2": Simulator("Brian 2, QIF equation", {"brian2": "brian2"}, "qif2hw.bench.simulators.brian", 1.0),
    "nest": Simulator("NEST, izhikevich as QIF", {"nest": "nest-simulator"}, "qif2hw.bench.simulators.nest", 0.3),
}  # fmt: skip
"""By name."""


class Measured(NamedTuple):
    """Seconds of a further sample, its spikes, and the timing of all spikes if they are those of the network."""

    seconds: float
    spikes: float
    timing: dict[str, float] | None


def bench(
    bundle: Bundle, effort: Effort | None = None, *, peers: bool = True, progress: Progress | None = None
) -> dict[str, Any]:
    """Measure one way after the other.

    Parameters
    ----------
    bundle
        A compiled network; with ``peers`` a chain of layers, all to all, of equal neurons.
    effort
        How much; `Effort` where not given.
    peers
        Measure netx and the simulators too, those that are installed.
    progress
        Called with what is done, the number of measurements, and the next one.

    Returns
    -------
    dict
        ``machine``, ``network``, ``steps``; ``rows``: what runs it, samples and spikes per second, spikes of a sample,
        and where the network is the same one, against the exact spikes: root mean square and mean (positive is late)
        of the timing error in units of tau, and missing and extra spikes per sample; ``versions`` of peers;
        ``absent``: what was not measured, and why.

    Raises
    ------
    InputError
        If the simulators cannot be given the network.
    BackendError
        If one of our ways fails; a peer that fails is absent, with its last line.
    """
    effort, note = effort or Effort(), progress or (lambda done, of, what: None)
    exact = bundle.program.network()
    if peers:
        prepare(exact, exact.unscaled(np.zeros((1, exact.width))), 1, 1.0)
    absent: dict[str, str] = {}
    ways: dict[str, Callable[[], Measured]] = {"engine": partial(_ours, bundle, effort.engine, "engine")}
    missing = backends.get("lava").missing()
    for mode in ("fused", "modular"):
        if missing is None:
            ways[f"Lava, {mode}"] = partial(_ours, bundle, getattr(effort, mode), "lava", mode=mode)
        else:
            absent[f"Lava, {mode}"] = missing
    if not peers:
        absent["netx, Brian 2, Brian2Lava, NEST"] = "not asked for"
    elif (reason := _no_netx()) is not None:
        absent["netx, CUBA"] = reason
    else:
        ways["netx, CUBA"] = partial(_netx, exact, bundle.program.steps, effort.netx)
    for name, simulator in SIMULATORS.items() if peers else ():
        lacking = [d for module, d in simulator.needs.items() if not _is_there(module)]
        if lacking:
            absent[simulator.title] = f"not installed: {', '.join(lacking)}"
        else:
            ways[simulator.title] = partial(
                _simulated, exact, bundle.program.steps, getattr(effort, name), simulator.module, simulator.peak
            )
    measured: dict[str, Measured] = {}
    for k, (what, way) in enumerate(ways.items()):
        note(k, len(ways), what)
        try:
            found = way()
        except BackendError as error:
            if what in OURS:
                raise
            absent[what] = str(error).partition("\n")[0]
            continue
        if found.seconds > 0:
            measured[what] = found
        else:
            absent[what] = "the difference of its two runs is lost in other load on this machine"
    rows = [
        {
            "what": what,
            "samples_per_s": 1 / one.seconds,
            "spikes_per_s": one.spikes / one.seconds,
            "spikes_per_sample": one.spikes,
            "timing": one.timing,
        }
        for what, one in measured.items()
    ]
    sizes = [exact.inputs, *(p.size for p in exact.order)]
    return {
        "machine": machine(),
        "network": "-".join(map(str, sizes)),
        "steps": bundle.program.steps,
        "rows": rows,
        "versions": _versions(),
        "absent": absent,
    }


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a result of `bench`, for `qif2hw.bench.result`."""
    return {f"{result['network']}, {r['what']}": Figure(r["samples_per_s"], "1/s") for r in result["rows"]}


def _inputs(network: Network | Program, samples: int) -> FloatArray:
    return network.unscaled(np.random.default_rng(0).random((samples, network.width)))


def _ours(bundle: Bundle, samples: tuple[int, int], backend: str, **options: Any) -> Measured:
    x = _inputs(bundle.program, max(samples))
    # Compiles what is not compiled yet.
    backends.run("engine", bundle, x[:1])
    runs: list[Run] = []

    def run(count: int) -> None:
        runs.append(bundle.run(x[:count], backend, **options))

    few, many = (cost(partial(run, count)).wall for count in samples)
    spikes = sum(map(len, runs[-1].spikes.values())) / max(samples)
    return Measured(_each(few, many, samples), spikes, _timing(bundle.program.network(), x, runs[-1].spikes))


def _simulated(network: Network, steps: int, samples: tuple[int, int], module: str, peak: float) -> Measured:
    x = _inputs(network, max(samples))
    few, many = (simulate(module, network, prepare(network, x[:count], steps, peak)) for count in samples)
    spikes = sum(map(len, many.spikes.values())) / max(samples)
    return Measured(_each(few.seconds, many.seconds, samples), spikes, _timing(network, x, many.spikes))


def _netx(network: Network, steps: int, samples: tuple[int, int]) -> Measured:
    from qif2hw.bench.cuba_twin import write
    from qif2hw_slayer import netx_run

    with tempfile.TemporaryDirectory(prefix="qif2hw-bench-") as folder:
        path = Path(folder) / "cuba.net"
        write(path, [network.inputs, *(p.size for p in network.order)])
        x = _inputs(network, max(samples))
        trains = np.zeros((len(x), steps, network.inputs), np.int8)
        dt = network.trial / steps
        when = np.clip(np.rint(network.encoders[0].times(network.encoded(x)) / dt).astype(np.int64), 0, steps - 1)
        np.put_along_axis(trains, when[:, None, :], 1, axis=1)
        found: list[Any] = []

        def run(count: int) -> None:
            found.append(netx_run.run(path, trains[:count]))

        few, many = (cost(partial(run, count)).wall for count in samples)
        spikes = sum(int(layer.sum()) for layer in found[-1]) / max(samples)
    return Measured(_each(few, many, samples), spikes, None)


def _each(few: float, many: float, samples: tuple[int, int]) -> float:
    return (many - few) / (samples[1] - samples[0])


def _timing(network: Network, x: FloatArray, spikes: Mapping[str, Spikes]) -> dict[str, float]:
    """Errors of all spikes of all neurons on inputs ``x`` (samples, inputs) against the exact ones."""
    expected = reference.run(network, x).spikes
    pairs = {
        p.name: match(expected[p.name], spikes[p.name], (len(x), p.size), NEAR * p.neuron.tau) for p in network.order
    }
    error = np.concatenate([pairs[p.name].error / p.neuron.tau for p in network.order])
    return {
        "rms": float(np.sqrt(np.mean(error**2))),
        "mean": float(error.mean()),
        "missing": sum(len(one.missing) for one in pairs.values()) / len(x),
        "extra": sum(len(one.extra) for one in pairs.values()) / len(x),
    }


def _no_netx() -> str | None:
    if not _is_there("h5py"):
        return "not installed: h5py"
    from qif2hw_slayer.netx_run import lava_dl_is_there

    return None if lava_dl_is_there() else "not installed: lava-dl (it needs Python 3.10)"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _versions() -> dict[str, str]:
    found = {}
    for distribution in (
        "lava-nc",
        "lava-dl",
        *dict.fromkeys(d for s in SIMULATORS.values() for d in s.needs.values()),
    ):
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def check_network(bundle: Any) -> Bundle:
    """The bundle, if it is that of an event-driven network; `InputError` otherwise."""
    if not isinstance(bundle, Bundle):
        raise InputError("networks with a stepped clock have a benchmark of their own: qif2hw bench stepped")
    return bundle
