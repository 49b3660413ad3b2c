"""100 faults in Lava and in the stand-in for Intel's extension: one clear line each, no hang, nothing left.

All of them: ``pytest --long tests/lava/test_injection.py``.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from lava_faults import Clock, inject
from networks import ordinary

import qif2hw_lava
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.ir import Program
from qif2hw_deploy import loihi2
from qif2hw_deploy.loihi2 import backend as chip_backend
from qif2hw_lava import Interpreter, LavaError, LavaTimeout, backend, launch
from qif2hw_lava.launch import run_worker

if TYPE_CHECKING:
    from conftest import Traces

pytestmark = [pytest.mark.lava, pytest.mark.timeout(3600)]

X = np.array([[0.3], [0.6]])
ENDED = r"^a process of Lava failed under Lava: it ended by itself: process \d+, "
LATE = r"^Lava did not finish within 5000 s \(\d+ steps done\); its processes were ended$"
KINDS = {
    "raises": (LavaError, r"^Process '{name}', step {step} failed under Lava: ValueError: on purpose$"),
    "raises in Lava": (LavaError, r"^Process '{name}', step {step} failed under Lava: ValueError: on purpose$"),
    "raises what cannot be sent": (
        LavaError,
        r"^Process '{name}', step {step} failed under Lava: injected.Unpicklable: on purpose$",
    ),
    "exits in order": (LavaError, ENDED + "code 0$"),
    "exits": (LavaError, ENDED + "code 3$"),
    "is killed": (LavaError, ENDED + r"signal 9 \(SIGKILL\)$"),
    "crashes": (LavaError, ENDED + r"signal 11 \(SIGSEGV\)$"),
    "is stopped": (LavaTimeout, LATE),
    "sleeps": (LavaTimeout, LATE),
    "ignores SIGTERM": (LavaTimeout, LATE),
    "does not send": (LavaTimeout, LATE),
    "kills the worker": (LavaError, r"^the Lava worker ended with signal 9 \(SIGKILL\) and no results$"),
}
"""What a Process does, and what is said then."""
OURS = ("raises", "raises in Lava", "exits in order", "exits", "is killed", "sleeps")
LAVAS = ("raises in Lava", "raises what cannot be sent", "exits", "crashes", "is stopped", "does not send")

Run = Callable[..., Any]


def fused(program: Program) -> Any:
    return qif2hw_lava.run(program, X, timeout=5000)


def modular(program: Program) -> Any:
    return qif2hw_lava.run(program, X, mode="modular", timeout=5000)


def chip(program: Program) -> Any:
    return loihi2.run(program, X, timeout=5000)


GRAPHS: list[tuple[Run, str, tuple[str, ...]]] = [
    (fused, "network", (*OURS, "ignores SIGTERM", "kills the worker")),
    (modular, "input", (*OURS, "does not send")),
    (modular, "hidden1", (*OURS, "does not send", "kills the worker")),
    (modular, "output: first spikes", OURS),
    (modular, "input -> hidden1", LAVAS),
    (modular, "hidden1 -> output", LAVAS),
    (chip, "input: host", (*OURS, "does not send")),
    (chip, "PyPyToNxAdapter", LAVAS),
    (chip, "input: words", LAVAS),
    (chip, "input", OURS),
    (chip, "hidden1", (*OURS, "kills the worker")),
    (chip, "output: latch", OURS),
    (chip, "PyNxToPyAdapter", LAVAS),
    (chip, "output: first spikes", OURS),
    (chip, "hidden1: recorder", OURS),
]
CASES = [(run, process, kind) for run, process, kinds in GRAPHS for kind in kinds]
SOON = {("network", "exits in order"), ("hidden1 -> output", "does not send"), ("PyNxToPyAdapter", "raises in Lava")}
"""Those that the ordinary test suite has."""


def steps(run: Run, program: Program, number: int) -> int:
    """The first step, one in between, or the last."""
    # The two samples run side by side, on the chip one after the other.
    last = {fused: program.steps, modular: program.steps, chip: 2 * (program.steps + 3)}[run]
    return (1, 7, last)[number % 3]


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_network(ordinary((1, 2, 2)), CompileOptions(steps=16, payload_bits=4, rounding="nearest")).program


@pytest.mark.parametrize(
    ("number", "run", "process", "kind"),
    [
        pytest.param(
            k, run, process, kind, marks=() if (process, kind) in SOON else pytest.mark.long,
            id=f"{run.__name__}, {process}: {kind}",
        )
        for k, (run, process, kind) in enumerate(CASES)
    ],
)  # fmt: skip
def test_a_process_of_the_graph(
    number: int,
    run: Run,
    process: str,
    kind: str,
    program: Program,
    traces: "Traces",
    lava: Interpreter,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if run is chip:
        request.getfixturevalue("standin")
    step = 7 if kind == "does not send" else steps(run, program, number)

    def run_injected(python: Interpreter, job: Path, timeout: float, *others: Any, **options: Any) -> None:
        progress, module, *rest = (*others, *(None, launch.NETWORK)[len(others) :])
        run_worker(python, job, timeout, progress, inject(job, module, process, step, kind), *rest, **options)

    monkeypatch.setattr(backend, "run_worker", run_injected)
    monkeypatch.setattr(chip_backend, "run_worker", run_injected)
    expected, message = KINDS[kind]
    if expected is LavaTimeout:
        monkeypatch.setattr(launch, "monotonic", Clock(lambda: list(traces.folder.glob("qif2hw-lava-*/there"))))
    with pytest.raises(expected) as caught:
        run(program)
    line = str(caught.value).splitlines()[0]
    assert re.search(message.format(name=process, step=step), line), str(caught.value)
