"""Bad input: exit code 2, one line on stderr, and nothing half-written."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from onnx import TensorProto, helper

from qif2hw.bundle import container
from qif2hw_cli.main import cli
from qif2hw_cli.options.common import SEED

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


def test_a_model_in_place_of_a_bundle(call: Any, kit: Any) -> None:
    assert "a model, a bundle is needed: qif2hw compile" in call.refused("inspect", kit.model)


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
    for option in ("--rms", "--result", "--tolerance", "--classes", "--spikes"):
        for value in ("-1", "nan", "inf", "many"):
            said = call.refused("parity", kit.bundle, "--backends", "reference,engine", option, value)
            assert option in said
            assert f"{value}: a number of at least 0 is needed" in said


def test_train(call: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "m.onnx"
    assert "no task 'zoo'" in call.refused("train", "zoo", "-o", out)
    assert "a number from 2 to" in call.refused("train", "parabola", "-o", out, "--fields", 10_000)
    assert "Invalid value for '--fields'" in call.refused("train", "parabola", "-o", out, "--fields", 0)
    assert "steps = 0" in call.refused("train", "parabola", "-o", out, "--steps", 0)
    assert "weight bits = 9" in call.refused("train", "parabola", "-o", out, "--weight-bits", 9, "--steps", 1)
    state = tmp_path / "state"
    state.write_text("no state")
    call.refused("train", "parabola", "-o", out, "--steps", 1, "--checkpoint", state)
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run", "Missing argument 'BUNDLE'. (qif2hw run --help)"),
        ("run m.qif --inputs x.npy", "Missing option '-o' / '--output'. (qif2hw run --help)"),
        ("zoo", "No such command 'zoo'. (qif2hw --help)"),
        ("bench zoo", "No such command 'zoo'. (qif2hw bench --help)"),
        ("--zoo", "No such option"),
        ("compile m.onnx --zoo 1", "No such option"),
        ("compile m.onnx --steps many", "'many' is not a valid integer. (qif2hw compile --help)"),
        ("compile m.onnx --form zoo", "'zoo' is not one of 'auto', 'cotangent', 'plane', 'grid'."),
        ("import w.npz -o m.onnx --trial 1 --encode 1", "requires 2 arguments"),
        ("run m.qif --inputs x.npy -o y.npz --timeout 0", "Invalid value for '--timeout'"),
    ],
)
def test_usage(call: Any, words: str, message: str) -> None:
    assert message in call.refused(*words.split())


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
    assert done.stderr == "error: Missing argument 'BUNDLE'. (qif2hw run --help)\n"
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


@pytest.mark.parametrize("threads", ["0", "-1", "many", "1.5", ""])
def test_numbers_of_threads_that_are_none(threads: str) -> None:
    """In the environment of the command, and set in Python before the library is imported."""
    said = f"NUMBA_NUM_THREADS = {threads}: a number of threads, 1 or more, is needed, or unset it"
    command = [sys.executable, "-m", "qif2hw_cli", "inspect", "m.qif"]
    environment = os.environ | {"NUMBA_NUM_THREADS": threads}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}\n")
    code = f"import os; os.environ['NUMBA_NUM_THREADS'] = '{threads}'\ntry: import qif2hw.nn\n"
    code += "except ValueError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{said}\n", "")


def test_terminals_that_close_or_are_narrow(kit: Any) -> None:
    """A pipe that nobody reads, no standard output at all, and a terminal of a few columns."""
    command = [sys.executable, "-c", "from qif2hw_cli.main import main; main()", "inspect", str(kit.bundle)]
    read, write = os.pipe()
    os.close(read)
    closed = subprocess.run(command, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (closed.returncode, closed.stderr) == (1, b"")
    none = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE)
    assert (none.returncode, none.stderr) == (0, b"")
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other) as process:
        os.close(other)
        shown = b""
        with suppress(OSError):  # the terminal is gone with the process
            while part := os.read(main, 1 << 16):
                shown += part
    os.close(main)
    assert process.returncode == 0
    assert b"Traceback" not in shown
    assert b"hidden1" in shown


@pytest.mark.parametrize("seed", [2**70, 2**63, -1])
@pytest.mark.parametrize("command", ["train", "search", "demo"])
def test_seeds_that_no_generator_takes(call: Any, kit: Any, tmp_path: Path, command: str, seed: int) -> None:
    out = tmp_path / "out"
    words = {"train": ["parabola", "-o", out], "search": [kit.model, "-o", out], "demo": ["--out", out]}[command]
    assert f"Invalid value for '--seed': {seed} is not in the range" in call.refused(command, *words, "--seed", seed)
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weight-bits", 9), "9 is not in the range 2<=x<=8"),
        (("--training-steps", 0), "0 is not in the range x>=1"),
        (("--steps", 7), "steps = 7: 8 to 65536 are possible"),
    ],
)
def test_a_demo_that_cannot_be_compiled_is_not_trained(call: Any, tmp_path: Path, words: Any, message: str) -> None:
    assert message in call.refused("demo", "--out", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_every_seed_has_the_same_range() -> None:
    def options(command: click.Command) -> Iterator[click.Parameter]:
        yield from (param for param in command.params if param.name == "seed")
        if isinstance(command, click.Group):
            for name in command.list_commands(context := click.Context(command)):
                yield from options(command.get_command(context, name) or command)

    found = list(options(cli))
    assert len(found) >= 4
    assert all(param.type is SEED for param in found)
