"""Bad input: exit code 2, one line on stderr, and nothing half-written."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from qif2hw.bundle import container

WEIGHTS = {"w0": np.zeros((4, 1)), "w1": np.zeros((2, 4)), "phi0": np.full(6, 3.0)}


def gemm() -> bytes:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1]) for n in ("x", "w", "y")]
    graph = helper.make_graph([helper.make_node("Gemm", ["x", "w"], ["y"])], "mlp", values[:2], values[2:])
    data: bytes = helper.make_model(graph).SerializeToString()
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"this is no model", "not an ONNX file"), (gemm(), "of no QIF network"), (None, "no such file")],
)
def test_compile_of_something_else(call: Any, tmp_path: Path, data: bytes | None, message: str) -> None:
    model, out = tmp_path / "m.onnx", tmp_path / "m.qif"
    if data is not None:
        model.write_bytes(data)
    assert message in call.refused("compile", model, "-o", out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weight-bits", 9], "weight bits = 9"),
        (["--steps", 4], "steps = 4"),
        (["--payload-bits", 40], "payload bits = 40"),
        (["--payload-bits", "many"], "payload bits = many: a whole number is needed, or auto"),
        (["--table-bits", 99], "table bits = 99"),
        (["--form", "grid", "--lateness-moments", 2], "form = grid: it uses one lateness moment"),
        (["--passes", "time-grid,weights,ranges,tables{moments=3}"], "lateness moments = 3: 1 and 2 are possible"),
        (["--target", "nochip"], "no target 'nochip'"),
        (["--calibration", "missing.npy"], "missing.npy: cannot be read (no such file"),
    ],
)
def test_compile_options(call: Any, kit: Any, tmp_path: Path, options: list[Any], message: str) -> None:
    out = tmp_path / "m.qif"
    assert message in call.refused("compile", kit.model, "-o", out, *options)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({}, {"--i0": [0.25]}, "I0 = 0.25"),
        ({}, {"--tau": [-1]}, "tau = -1"),
        ({}, {"--encode": [0, 1]}, "inside the trial"),
        ({}, {"--encode": [1, 7]}, "inside the trial"),
        ({}, {"--encode": [2, 1]}, "the first must be smaller"),
        ({}, {"--trial": [-3]}, "trial"),
        ({"w0": np.full((4, 1), np.nan)}, {}, "holds nan"),
        ({"w1": np.zeros((2, 5))}, {}, "do not chain"),
        ({"phi0": np.full(5, 3.0)}, {}, "4 + 2 = 6"),
        ({"w0": np.array([[None]])}, {}, "cannot be read"),
        ({"b0": np.zeros(4)}, {}, "unknown key 'b0'"),
    ],
)
def test_import(call: Any, tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], message: str) -> None:
    path, out = tmp_path / "w.npz", tmp_path / "m.onnx"
    np.savez(path, **(WEIGHTS | arrays))
    chosen = {"--trial": [6.5], "--encode": [0.05, 1.95]} | options
    flat = [item for key, values in chosen.items() for item in (key, *values)]
    assert message in call.refused("import", path, "-o", out, *flat)
    assert not out.exists()


def npy(array: Any, **options: Any) -> Any:
    return lambda path: np.save(path, array, **options)


def cut(path: Path) -> None:
    np.save(path, np.zeros((10, 3)))
    path.write_bytes(path.read_bytes()[:200])


INPUTS: dict[str, tuple[Any, str]] = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "cannot be read"),
    "empty": (lambda path: path.write_bytes(b""), "not an npy file of numbers"),
    "text": (lambda path: path.write_text("0.1 0.2 0.3"), "not an npy file of numbers"),
    "cut": (cut, "not an npy file of numbers"),
    "pickled": (npy(np.array([[{}]], dtype=object), allow_pickle=True), "not an npy file of numbers"),
    "npz": (lambda path: path.write_bytes(npz_bytes()), "an npz file"),
    "broken npz": (lambda path: path.write_bytes(npz_bytes()[:90]), "not an npy file of numbers"),
    "text array": (npy(np.array([["a", "b", "c"]])), "has type <U1"),
    "complex": (npy(np.zeros((2, 3), complex)), "has type complex128"),
    "narrow": (npy(np.zeros((5, 2))), "inputs have shape (5, 2): (samples, 3) is needed"),
    "vector": (npy(np.zeros(3)), "inputs have shape (3,)"),
    "no sample": (npy(np.zeros((0, 3))), "no sample"),
    "large": (npy(np.full((2, 3), 1.5)), "inputs hold 1.5 at [0, 0]"),
    "negative": (npy(np.full((2, 3), -1e-9)), "inputs hold -1e-09 at [0, 0]"),
    "nan": (npy(np.full((2, 3), np.nan)), "inputs hold nan"),
}


def npz_bytes() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((2, 3)))
    return buffer.getvalue()


@pytest.mark.parametrize("case", INPUTS)
@pytest.mark.parametrize("command", ["run", "parity"])
def test_inputs(call: Any, kit: Any, tmp_path: Path, case: str, command: str) -> None:
    make, message = INPUTS[case]
    path, out = tmp_path / "x.npy", tmp_path / "out"
    make(path)
    options = ["-o", out] if command == "run" else ["--backends", "reference,engine", "--report", out]
    assert message in call.refused(command, kit.bundle, "--inputs", path, *options)
    assert not out.exists()


@pytest.mark.parametrize("name", [container.MANIFEST, *container.PARTS])
@pytest.mark.parametrize("command", ["run", "parity", "inspect"])
def test_a_flipped_byte(call: Any, kit: Any, tmp_path: Path, name: str, command: str) -> None:
    with zipfile.ZipFile(kit.bundle) as archive:
        part = archive.read(name)
    data = bytearray(kit.bundle.read_bytes())
    data[data.index(part) + len(part) // 2] ^= 1
    path, out = tmp_path / "m.qif", tmp_path / "out.npz"
    path.write_bytes(data)
    options = {"run": ["--inputs", kit.inputs, "-o", out], "parity": ["--report", out], "inspect": []}[command]
    assert f"part '{name}'" in call.refused(command, path, *options)
    assert not out.exists()


def test_outputs_that_cannot_be_written(call: Any, kit: Any, tmp_path: Path) -> None:
    lost = tmp_path / "no" / "folder"
    assert "no folder" in call.refused("compile", kit.model, "-o", lost)
    assert "no folder" in call.refused("run", kit.bundle, "--inputs", kit.inputs, "-o", lost)
    assert "no folder" in call.refused("parity", kit.bundle, "--report", lost)
    assert "no folder" in call.refused("parity", kit.bundle, "--json", lost)
    assert "no folder" in call.refused("train", "parabola", "-o", lost)
    assert "a folder of that name" in call.refused("run", kit.bundle, "--inputs", kit.inputs, "-o", tmp_path)
    (tmp_path / "file").write_text("")
    assert "cannot be made" in call.refused("demo", "--out", tmp_path / "file")


def test_backends(call: Any, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.npz"
    run = ["run", kit.bundle, "--inputs", kit.inputs, "-o", out, "--backend"]
    line = call.refused(*run, "loihi2")
    assert "nothing has run on a chip yet" in line
    assert "Intel's Lava extension" in line
    assert "board" in line
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", "/no/such/python")
    line = call.refused(*run, "lava")
    assert "cannot run Lava" in line
    assert "cannot run Lava" in call.refused("parity", kit.bundle, "--backends", "engine,lava")
    assert not out.exists()
    assert "unknown backend 'zoo'" in call.refused("parity", kit.bundle, "--backends", "engine,zoo")
    assert "at least two" in call.refused("parity", kit.bundle, "--backends", "engine")
    assert "bound rms" in call.refused("parity", kit.bundle, "--backends", "reference,engine", "--rms", "-1")


def test_train(call: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "m.onnx"
    assert "no task 'zoo'" in call.refused("train", "zoo", "-o", out)
    assert "at least two" in call.refused("train", "parabola", "-o", out, "--receptive-fields", 1)
    assert "steps = 0" in call.refused("train", "parabola", "-o", out, "--steps", 0)
    assert "weight bits = 9" in call.refused("train", "parabola", "-o", out, "--weight-bits", 9, "--steps", 1)
    state = tmp_path / "state"
    state.write_text("no state")
    call.refused("train", "parabola", "-o", out, "--steps", 1, "--checkpoint", state)
    assert not out.exists()


def test_usage(call: Any) -> None:
    for arguments in (["run"], ["zoo"], ["compile", "m.onnx"], ["run", "m.qif", "--backend", "abacus"]):
        result = call(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""


def test_real_processes(kit: Any, tmp_path: Path) -> None:
    def qif2hw(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from qif2hw_cli.main import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    done = qif2hw("inspect", tmp_path / "missing.qif")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    done = qif2hw("run")
    assert done.returncode == 2
    assert "Missing argument" in done.stderr
    done = qif2hw("run", kit.bundle, "--inputs", kit.inputs, "-o", "out.npz", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{")
    assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]


def test_help_does_not_import_numerical_libraries() -> None:
    code = (
        "import sys\n"
        "from qif2hw_cli.main import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'onnx', 'torch', 'rich', 'safetensors', 'lava'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_train_without_torch(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from qif2hw_cli.main import main; main()"
    command = [sys.executable, "-c", code, "train", "parabola", "-o", str(tmp_path / "m.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: training needs torch, which is not installed: pip install 'qif2hw[train]'\n"


def test_a_backend_is_refused_before_anything_is_read(call: Any, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    arguments = ["run", nothing, "--inputs", nothing, "-o", tmp_path / "out.npz"]
    assert "unknown backend 'gpu': known are engine, lava" in call.refused(*arguments, "--backend", "gpu")
    assert "backend 'engine' has no option 'mode'" in call.refused(*arguments, "--mode", "fused")
    assert "backend 'loihi2': " in call.refused(*arguments, "--backend", "loihi2")
    assert "unknown backend 'gpu'" in call.refused("parity", nothing, "--backends", "engine,gpu")


@pytest.mark.parametrize(
    "arguments", [["train", "nope", "-o", "m.onnx"], ["reproduce", "nope", "--out", "out"]], ids=["train", "reproduce"]
)
def test_an_unknown_task_is_refused_at_once(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, atexit; from qif2hw_cli.main import main; "
        "atexit.register(lambda: print(sorted({'torch', 'numba', 'onnx', 'numpy'} & set(sys.modules)))); main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no task 'nope': known are parabola, ")
    assert done.stderr.count("\n") == 1
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())
