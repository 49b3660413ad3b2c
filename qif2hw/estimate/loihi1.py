"""Replay of a run in SANA-FE, with its figures of the first Loihi: another model, of another chip.

SANA-FE (Boyle et al., 2025) simulates messages on the routers of a chip and adds up times and energies of Loihi 1; it
has none of Loihi 2, no static power and no payloads.  It runs in a process of its own, if the package ``sanafe`` is
installed.  Our spikes are sent as they are: its neurons only replay them.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.errors import BackendError, InputError
from qif2hw.estimate.counts import Core
from qif2hw.estimate.messages import FLUSH, SPIKE, AnyProgram, machine_steps, messages
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.stepped import AnyRun

LABEL = "Loihi 1 (the first Loihi), not Loihi 2"
CORES, NEURONS = 128, 1024
"""Cores of its Loihi 1, and neurons of a core."""
MOST_SYNAPSES = 300_000
"""Synapses are made one by one."""
TIMEOUT = 300.0
"""Seconds."""


@dataclass(frozen=True)
class Replay:
    """What SANA-FE says about one sample on Loihi 1.

    Parameters
    ----------
    version
        Of SANA-FE.
    energy_j, latency_s
        Energy without static power, and time.
    steps, spikes, packets
        Machine steps, spikes that its synapses processed, and messages on its routers.
    """

    version: str
    energy_j: float
    latency_s: float
    steps: int
    spikes: int
    packets: int

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values, with the label."""
        return {"label": LABEL, **asdict(self)}

    def words(self) -> str:
        """In one line, with the label."""
        return (
            f"{self.version}, {LABEL}: {self.energy_j * 1e6:.3g} µJ without static power, {self.latency_s * 1e3:.3g} ms"
        )


def replay(program: AnyProgram, run: AnyRun, x: FloatArray, cores: Sequence[Core]) -> Replay:
    """Replay one sample.

    Parameters
    ----------
    program, run, x
        As for `qif2hw.estimate.count`, of one sample: (1, inputs).
    cores
        What the cores hold; each becomes a core of Loihi 1, input groups have cores of their own.

    Raises
    ------
    InputError
        If sanafe is not installed, there is more than one sample, or its Loihi 1 is too small.
    BackendError
        If SANA-FE fails, or takes too long.
    """
    check_installed()
    if len(x) != 1:
        raise InputError(f"SANA-FE replays one sample, not {len(x)}")
    if program.synapse_count > MOST_SYNAPSES:
        raise InputError(f"SANA-FE: {program.synapse_count} synapses, {MOST_SYNAPSES} are the most that are replayed")
    held = [*cores]
    for e in program.encoders:
        held += [Core(e.name, low, min(low + NEURONS, e.size)) for low in range(0, e.size, NEURONS)]
    fullest = max(core.neurons for core in held)
    if len(held) > CORES or fullest > NEURONS:
        raise InputError(
            f"SANA-FE's Loihi 1 has {CORES} cores of {NEURONS} neurons: {len(held)} cores of up to {fullest} are needed"
        )
    # Squared latenesses are left out: its neurons send one message a step.
    sent: dict[str, IntArray] = {}
    for message in messages(program, run, x):
        if message.kind in (SPIKE, FLUSH):
            sent[message.source] = sent.get(message.source, 0) + message.sent
    for name, size in program.sizes.items():
        sent.setdefault(name, np.zeros((machine_steps(program), size), np.int64))
    synapses = [
        {"pre": p.pre, "post": p.post, "edges": np.stack(p.synapses.edges()[:2]).tolist()} for p in program.projections
    ]
    job = {
        "steps": machine_steps(program),
        "cores": [{"group": c.population, "first": c.first, "stop": c.stop} for c in held],
        "sent": {name: [np.flatnonzero(column).tolist() for column in spikes.T] for name, spikes in sent.items()},
        "synapses": synapses,
    }
    return Replay(**_run(job))


def check_installed() -> None:
    """`InputError` unless sanafe is installed."""
    if find_spec("sanafe") is None:
        raise InputError("SANA-FE is not installed: pip install 'qif2hw[sanafe]'")


def _run(job: dict[str, Any]) -> dict[str, Any]:
    """Run the worker in a folder of its own."""
    worker = Path(__file__).with_name("sanafe_worker.py")
    with tempfile.TemporaryDirectory(prefix="qif2hw-sanafe-") as folder:
        (Path(folder) / "job.json").write_text(json.dumps(job), encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, str(worker), folder],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BackendError(f"SANA-FE did not end within {TIMEOUT:.0f} s") from None
        result = Path(folder) / "result.json"
        if done.returncode or not result.exists():
            # Errors of its mapping are pages long.
            last = " ".join((done.stderr.strip().splitlines() or ["no message"])[-1].split())[:200]
            raise BackendError(f"SANA-FE failed (exit code {done.returncode}): {last}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if not all(math.isfinite(found[name]) for name in ("energy_j", "latency_s")):
        raise BackendError("SANA-FE gave no finite energy or time")
    return found
