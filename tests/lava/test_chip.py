"""The adapter for Loihi 2, with a stand-in for what is not public: it tests our half, and says nothing about a chip."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from networks import apart, branched, ordinary, published, thinned, without_zeros
from numpy.typing import NDArray

import qif2hw
from qif2hw import engine, zoo
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.errors import InputError
from qif2hw.ir import Program
from qif2hw.ir.host_part.expression import formula, given, total
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw_deploy import loihi2
from qif2hw_lava import Interpreter, LavaError

if TYPE_CHECKING:
    from conftest import StandIn, Traces

pytestmark = pytest.mark.lava


def same(run: loihi2.ChipRun, program: Program, x: NDArray[np.float64], spikes: bool = True) -> None:
    expected = engine.run(program, x)
    assert run.backend == "loihi2"
    assert run.machine == expected.machine
    np.testing.assert_array_equal(run.y, expected.y)
    assert run.step_spikes == (expected.step_spikes if spikes else {})


CASES = {
    "squares": (branched(), CompileOptions(steps=40, lateness_moments=2, form="cotangent", rounding="nearest")),
    "packed": (
        ordinary((2, 5, 5, 2), seed=8),
        CompileOptions(steps=64, payload_bits=2, lateness_moments=1, rounding="nearest"),
    ),
    "apart": (apart(), CompileOptions(steps=40, rounding="nearest")),
    "plane flush": (published((2, 6, 4)), CompileOptions(steps=50, form="plane", rounding="nearest")),
    "no payload": (ordinary((3, 5, 2), seed=5), CompileOptions(steps=64, payload_bits=0, rounding="nearest")),
    "narrow products": (
        published((2, 6, 4)),
        CompileOptions(target="loihi2-microcode", steps=50, rounding="nearest"),
    ),
}


@pytest.mark.parametrize("name", ["squares", *(pytest.param(n, marks=pytest.mark.long) for n in list(CASES)[1:])])
def test_the_graph_for_the_chip_on_lavas_simulator(name: str, lava: Interpreter, traces: "Traces") -> None:
    """Public Lava alone; three samples on two copies, so that one round is not full."""
    network, options = CASES[name]
    program = compile_network(network, options).program
    x = np.random.default_rng(1).random((3, network.inputs))
    same(loihi2.simulate(program, x, copies=2), program, x)


def test_a_bundle_through_the_adapter(
    standin: "StandIn", traces: "Traces", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four samples in one run, over adapters that take two steps; profilers and the board's environment."""
    monkeypatch.setenv("STANDIN_DELAY", "2")
    bundle = qif2hw.compile(ordinary((2, 4, 3, 2), seed=2), steps=48, payload_bits=3, rounding="nearest")
    path = bundle.save(tmp_path / "model.qif")
    x = np.random.default_rng(2).random((4, 2))
    told: list[tuple[int, int]] = []
    run = qif2hw.load(path).run(
        x, "loihi2", profile=["power", "activity"], progress=lambda done, total: told.append((done, total))
    )
    assert isinstance(run, loihi2.ChipRun)
    same(run, bundle.program, x)
    steps = 4 * (3 + bundle.program.steps + 1 + 1 + 2)
    assert {total for _, total in told} == {steps}
    assert told == sorted(told)
    assert set(run.profile) == {"power", "activity"}
    assert run.profile["power"]["steps"] == steps
    for found in run.profile.values():
        assert found["calls"] == [["before", "oheogulch", "N3B3"], ["after", "oheogulch", "N3B3"]]
    assert run.profile["power"]["unreadable"] == {"total_power": "RuntimeError: the board has no probes"}


def test_outputs_alone(standin: "StandIn", traces: "Traces", monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse synapses; nothing but the latches is read; two samples side by side, and one left over; a host's part."""
    monkeypatch.setenv("STANDIN_DELAY", "1")
    network = thinned(branched())
    columns = tuple(Input(f"x{k}", -1.0, 3.0) for k in range(network.inputs))
    solution = formula(given("x", network.inputs)[:, :1] + total(given("y", network.results)))
    network = replace(network, host=Host(columns, (Output("u"),), solution))
    full = compile_network(network, CompileOptions(steps=40, lateness_moments=2, rounding="nearest")).program
    x = network.unscaled(np.random.default_rng(5).random((3, network.inputs)))
    run = loihi2.run(without_zeros(full), x, keep="counts", copies=2)
    same(run, full, x, spikes=False)
    assert run.y.shape == (3, 1)
    assert run.counts == {}
    assert run.profile == {}


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", zoo.names(stepped=False))
def test_the_zoo_through_the_adapter(name: str, standin: "StandIn", traces: "Traces") -> None:
    bundle = zoo.bundle(name)
    x = bundle.golden.x[:3]
    run = bundle.run(x, "loihi2")
    assert isinstance(run, loihi2.ChipRun)
    assert isinstance(bundle.program, Program)
    same(run, bundle.program, x)


@pytest.mark.long
def test_parity_takes_it_as_an_exact_backend(standin: "StandIn", traces: "Traces", program: Program) -> None:
    report = qif2hw.parity.check(program, np.array([[0.3]]), backends=("engine", "loihi2"))
    assert report.ok
    assert report.identical == ("loihi2",)


# In the Python of the chip: what Lava's run configuration selects, with and without the adapter's map.
_SELECT = """
import json, sys
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.dense.models import PyDenseModelBitAcc, PyDenseModelFloat
from qif2hw_deploy.loihi2 import half, network
from qif2hw_deploy.loihi2.profile import make_profilers
from qif2hw_deploy.loihi2.processes.adapters import InAdapter, NxInAdapter, PyInAdapter
from qif2hw_lava.processes.modular import PhaseNeurons, PyPhaseNeurons
import numpy as np, standin_half
from lava.proc.dense.ncmodels import NcModelDense

profilers = make_profilers(["time", "memory"], 10)
hardware = network.hardware(half.load(), profilers)
dense = Dense(weights=np.eye(2))
adapter = InAdapter(name="a", size=2, common={})
models = {
    "dense": [dense, [PyDenseModelFloat, PyDenseModelBitAcc, NcModelDense]],
    "adapter": [adapter, [PyInAdapter, NxInAdapter]],
}
chosen = {name: hardware.select(*args).__name__ for name, args in models.items()}
chosen["neurons"] = hardware.exception_proc_model_map[PhaseNeurons].__name__
chosen["lavas own"] = Loihi2HwCfg().select(*models["dense"]).__name__
chosen["simulator"] = Loihi2SimCfg(select_tag="fixed_pt").select(adapter, [PyInAdapter, NxInAdapter]).__name__
chosen["profilers"] = [type(p).__name__ for p in hardware.callback_fxs]
print(json.dumps(chosen))
"""


def in_the_chips_python(standin: "StandIn", folder: Path, script: str, *arguments: object) -> str:
    from qif2hw_deploy.loihi2.chip import PACKAGE
    from qif2hw_lava.launch import package_environment

    command = [str(standin.python), "-c", script, *map(str, arguments)]
    environment = package_environment(folder, [PACKAGE])
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_models_that_are_selected(standin: "StandIn", tmp_path: Path) -> None:
    assert json.loads(in_the_chips_python(standin, tmp_path, _SELECT).splitlines()[-1]) == {
        "dense": "NcModelDense",
        "adapter": "NxInAdapter",
        "neurons": "NcNeurons",
        "lavas own": "NcModelDense",
        "simulator": "PyInAdapter",
        "profilers": ["Loihi2ExecutionTime", "Loihi2Memory"],
    }


def test_lavas_own_choice_fails_without_the_extension(lava: Interpreter) -> None:
    """Why every Process has its model named."""
    script = (
        "import numpy as np; from lava.magma.core.run_configs import Loihi2HwCfg; "
        "from lava.proc.dense.process import Dense; from lava.proc.dense import models as m; "
        "Loihi2HwCfg().select(Dense(weights=np.eye(2)), [m.PyDenseModelFloat, m.PyDenseModelBitAcc])"
    )
    done = subprocess.run([lava.path, "-c", script], capture_output=True, text=True)
    assert "NameError: name 'CLoihiProcessModel' is not defined" in done.stderr


# One vendor's half after the other: each class is made by exec, in a module that the entry point names.
_HALVES = """
import json, pathlib, sys, types
from qif2hw_deploy.loihi2 import half
import standin_half
metadata = pathlib.Path(sys.argv[1]) / "half-1.0.dist-info" / "entry_points.txt"
before = metadata.read_text()
said = []
try:
    for text in json.loads(sys.argv[2]):
        module = types.ModuleType("trial")
        module.__dict__["standin_half"] = standin_half
        sys.modules["trial"] = module
        entries = "a = trial:Half"
        if text == "two":
            entries = "a = standin_half:Half\\nb = standin_half:Half"
        elif text == "none":
            entries = ""
        elif text == "absent":
            entries = "a = nowhere:Half"
        else:
            exec(text, module.__dict__)
        metadata.write_text(f"[qif2hw.loihi2]\\n{entries}\\n")
        try:
            half.load()
            said.append(None)
        except half.InputError as error:
            said.append(str(error))
finally:
    metadata.write_text(before)
print(json.dumps(said))
"""

_OTHER = "class Half(standin_half.Half):\n    "
HALVES = {
    "class Half(standin_half.Half): pass": None,
    "none": "one entry point of the group 'qif2hw.loihi2' is needed, there are 0 (none)",
    "two": "there are 2 (half: a = standin_half:Half, half: b = standin_half:Half)",
    "absent": "'nowhere:Half' of the group 'qif2hw.loihi2' cannot be loaded (ModuleNotFoundError: No module named",
    "Half = 5": "'trial:Half' of the group 'qif2hw.loihi2' cannot be loaded (TypeError",
    "class Half: pass": "cannot be loaded (AttributeError: 'Half' object has no attribute 'models')",
    f"{_OTHER}def models(self): return 1 / 0": "cannot be loaded (ZeroDivisionError: division by zero)",
    f"{_OTHER}def models(self): return {{}}": "of the group 'qif2hw.loihi2' has no model of CountdownInput",
    f"{_OTHER}input_delay = -1": "input_delay = -1, a number of steps from 0 to 64 is needed",
    f"{_OTHER}output_delay = 1.5": "output_delay = 1.5, a number of steps",
    f"{_OTHER}def models(self): return super().models() | {{standin_half.PhaseNeurons: standin_half.NcLatch}}": (
        "NcLatch implements"
    ),
    f"{_OTHER}def models(self): return super().models() | {{standin_half.PhaseNeurons: standin_half.PyPhaseNeurons}}": (
        "PyPhaseNeurons is no AbstractNcProcessModel: it would not run on a neuro core"
    ),
    f"{_OTHER}def models(self): return super().models() | {{1: 2}}": "1 -> 2 is not a Process and a model of it",
}


def test_halves_that_are_refused(standin: "StandIn", tmp_path: Path) -> None:
    said = json.loads(in_the_chips_python(standin, tmp_path, _HALVES, standin.site, json.dumps(list(HALVES))))
    for (case, wanted), found in zip(HALVES.items(), said, strict=True):
        if wanted is None:
            assert found is None, case
        else:
            assert found is not None, case
            assert wanted in found
            assert "\n" not in found


def test_a_half_that_cannot_be_used_is_told_before_the_work(
    standin: "StandIn", bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_DELAY", "-2")
    with pytest.raises(InputError, match=r"^backend 'loihi2': 'standin_half:Half' .*input_delay = -2, a number"):
        qif2hw.load(bundle_file).run([[0.5]], "loihi2")


@pytest.mark.parametrize(
    ("fault", "message"),
    [("STANDIN_FAULT=step", r"^Process 'output: latch', step 5 failed under Lava: ZeroDivisionError"),
     ("STANDIN_FAULT=build", r"^the Lava worker failed under Lava: OSError: the board is busy")],
    ids=["in a step", "when models are built"],
)  # fmt: skip
def test_a_vendors_half_that_fails(
    fault: str, message: str, standin: "StandIn", traces: "Traces", program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*fault.split("="))
    with pytest.raises(LavaError, match=message):
        loihi2.run(program, [[0.5]], keep="counts")


def test_importing_the_adapter_does_not_import_lava() -> None:
    script = "import sys, qif2hw_deploy.loihi2; print('lava' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"


def test_wrong_arguments(program: Program, x: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="profile = heat: power, time, memory, activity are there"):
        loihi2.run(program, x, profile=["heat"])
    with pytest.raises(InputError, match="copies = 0: a number of copies"):
        loihi2.simulate(program, x, copies=0)
    with pytest.raises(InputError, match="timeout = -1: a positive number of seconds"):
        loihi2.simulate(program, x, timeout=-1)
    with pytest.raises(InputError, match="keep = all"):
        loihi2.simulate(program, x, keep="all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"shape \(3, 2\)"):
        loihi2.simulate(program, np.zeros((3, 2)))


def test_words_that_a_graded_spike_cannot_hold(program: Program) -> None:
    longer = replace(program.grid, trial=40_000 * program.grid.delta)
    with pytest.raises(InputError, match=r"take 24 bits \(40\d+ steps, 8 bits of lateness\), a graded spike has 23"):
        loihi2.simulate(replace(program, grid=longer), [[0.5]])
