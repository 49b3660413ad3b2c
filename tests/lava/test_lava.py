"""Lava gives the spikes of the engine: every population, every step, every lateness."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import apart, branched, ordinary, published, thinned, without_zeros
from numpy.typing import NDArray

import qif2hw
import qif2hw_lava
from qif2hw import engine
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program, Run
from qif2hw_lava import Interpreter, Mode, backend

pytestmark = pytest.mark.lava

CASES = {
    "ordinary": (ordinary((1, 32, 32, 2), seed=3), CompileOptions(steps=512, rounding="nearest")),
    "untrained": (ordinary((3, 20, 20, 2), seed=4), CompileOptions(steps=256, rounding="nearest")),
    "no payload": (ordinary((3, 20, 20, 2), seed=5), CompileOptions(steps=128, payload_bits=0, rounding="nearest")),
    "flush": (published((2, 12, 12, 4)), CompileOptions(steps=128, payload_bits=4, rounding="nearest")),
    "graph": (branched(), CompileOptions(steps=200, lateness_moments=1, rounding="nearest")),
    "apart": (apart(), CompileOptions(steps=60, rounding="nearest")),
    "squares": (branched(), CompileOptions(steps=100, lateness_moments=2, form="cotangent", rounding="nearest")),
    "packed": (
        ordinary((2, 5, 5, 2), seed=8),
        CompileOptions(steps=128, payload_bits=2, lateness_moments=1, rounding="nearest"),
    ),
    "packed and squares": (
        ordinary((2, 5, 5, 2), seed=8),
        CompileOptions(steps=128, payload_bits=2, lateness_moments=2, rounding="nearest"),
    ),
    "plane vectors": (
        ordinary((3, 20, 20, 2), seed=6),
        CompileOptions(steps=160, form="plane", lateness_moments=1, rounding="nearest"),
    ),
    "plane vectors and squares": (
        ordinary((3, 20, 20, 2), seed=6),
        CompileOptions(steps=160, form="plane", lateness_moments=2, rounding="nearest"),
    ),
    "narrow products": (
        ordinary((3, 20, 20, 2), seed=6),
        CompileOptions(target="loihi2-microcode", steps=160, rounding="nearest"),
    ),
    "narrow flush": (
        published((2, 12, 12, 4)),
        CompileOptions(target="loihi2-microcode", steps=100, rounding="nearest"),
    ),
    "plane flush": (published((2, 12, 12, 4)), CompileOptions(steps=100, form="plane", rounding="nearest")),
    "phase and weight": (ordinary((2, 9, 9, 2), seed=7), CompileOptions(steps=100, form="grid", rounding="nearest")),
}


def same(run: Run, expected: Run) -> None:
    assert run.machine == expected.machine
    assert run.step_spikes == expected.step_spikes
    assert run.spikes == expected.spikes
    np.testing.assert_array_equal(run.y, expected.y)


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[Network, Program]:
    network, options = CASES[request.param]
    return network, compile_network(network, options).program


def test_fused_equals_engine(case: tuple[Network, Program], lava: Interpreter) -> None:
    network, program = case
    x = np.random.default_rng(1).random((1000, network.inputs))
    run = qif2hw_lava.run(program, x)
    same(run, engine.run(program, x))
    assert run.backend == "lava"
    assert run.ordinary.any() == (network.trial > 2), "the case is not what its name says"


def test_modular_equals_engine(case: tuple[Network, Program], lava: Interpreter) -> None:
    network, program = case
    x = np.random.default_rng(2).random((8, network.inputs))
    same(qif2hw_lava.run(program, x, mode="modular"), engine.run(program, x))


@pytest.mark.parametrize("mode", ["fused", "modular"])
def test_sparse_synapses(mode: Mode, lava: Interpreter) -> None:
    """Listed synapses are Lava's Sparse; one projection stays all to all."""
    network = thinned(branched())
    full = compile_network(network, CompileOptions(steps=100, lateness_moments=2, rounding="nearest")).program
    thin = without_zeros(full)
    program = replace(thin, projections=(*thin.projections[:-1], full.projections[-1]))
    x = np.random.default_rng(5).random((6, network.inputs))
    same(qif2hw_lava.run(program, x, mode=mode), engine.run(full, x))


@pytest.mark.parametrize("mode", ["fused", "modular"])
def test_rounds(mode: Mode, lava: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven samples, three at a time: models reset themselves, and what is still on its way is dropped."""
    monkeypatch.setitem(backend.WIDEST, mode, 3 * 6)
    program = compile_network(branched(), CompileOptions(steps=64, rounding="nearest")).program
    x = np.random.default_rng(3).random((7, program.inputs))
    told: list[tuple[int, int]] = []
    run = qif2hw_lava.run(program, x, mode=mode, progress=lambda done, total: told.append((done, total)))
    same(run, engine.run(program, x))
    assert {total for _, total in told} == {3 * program.steps}
    assert [done for done, _ in told] == sorted({done for done, _ in told})


# Put before an interpreter: what it then cannot import, the worker does not need.
_WITHOUT = """\
#!{python}
import os, runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"{{name}} is not here", name=name)

sys.meta_path.insert(0, Refuse())
option, what, *rest = sys.argv[1:]
sys.argv = ["", *rest]
if option == "-c":
    exec(what)
else:
    runpy.run_module(what, run_name="__main__", alter_sys=True)
"""
NAMES = ("torch", "numba", "llvmlite", "onnx", "google", "click", "rich", "mpmath", "pytest", "hypothesis")


def without(python: Path, folder: Path) -> Path:
    path = folder / "python"
    path.write_text(_WITHOUT.format(python=python, names=set(NAMES)))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("mode", ["fused", "modular"])
def test_worker_needs_numpy_safetensors_and_lava_only(
    mode: Mode, lava: Interpreter, tmp_path: Path, program: Program, x: NDArray[np.float64]
) -> None:
    python = without(lava.path, tmp_path)
    refused = subprocess.run([python, "-c", "import numba"], capture_output=True, text=True)
    assert "numba is not here" in refused.stderr
    same(qif2hw_lava.run(program, x, mode=mode, interpreter=python), engine.run(program, x))


def test_parent_imports_neither_lava_nor_what_its_worker_does_not_need(tmp_path: Path) -> None:
    bundle = qif2hw.compile(ordinary((1, 4, 2)), steps=64, rounding="nearest").save(tmp_path / "model.qif")
    script = (
        "import sys, qif2hw_lava.backend as b; from qif2hw.bundle import load_program; "
        "b.prepare(load_program(sys.argv[1]), [[0.5]], 'modular'); "
        "print(sorted(set(sys.argv[2:]) & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, bundle, "lava", *NAMES], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_bundle_on_disk(lava: Interpreter, tmp_path: Path, x: NDArray[np.float64]) -> None:
    bundle = qif2hw.compile(ordinary((1, 4, 2)), steps=64, rounding="nearest")
    path = bundle.save(tmp_path / "model.qif")
    run = qif2hw_lava.run(path, bundle.golden.x, interpreter=lava.path)
    assert bundle.golden.matches(run)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"model\.qif"):
        qif2hw_lava.run(path, x)


def test_wrong_input_is_told_before_anything_starts(program: Program, x: NDArray[np.float64]) -> None:
    nowhere = "/nowhere/python"
    with pytest.raises(InputError, match=r"shape \(3, 2\)"):
        qif2hw_lava.run(program, np.zeros((3, 2)), interpreter=nowhere)
    with pytest.raises(InputError, match="unknown mode 'graph': known are fused, modular"):
        qif2hw_lava.run(program, x, mode="graph", interpreter=nowhere)  # type: ignore[arg-type]
    for timeout in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="a positive number of seconds"):
            qif2hw_lava.run(program, x, timeout=timeout, interpreter=nowhere)


def test_default_timeout_grows_with_the_work(program: Program) -> None:
    for mode in ("fused", "modular"):
        few, many = (backend.default_timeout(backend.prepare(program, np.zeros((n, 1)), mode)) for n in (1, 100_000))
        assert 60 < few < 120
        assert many > few
