"""What every command does with an output that cannot be written: refused before the work, and nothing is replaced."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from qif2hw import backends
from qif2hw_cli.main import cli
from qif2hw_cli.options.streams import InputFile, OutputFile, OutputOnDisk, PrintedFile


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that takes time fail."""

    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("the work has begun")

    for name in backends.names():  # loaded now, with what they run: what is patched must not stay in them
        backends.get(name)
    for name in (
        "qif2hw.api.compile_timed",
        "qif2hw.backends.Backend.run",
        "qif2hw.bench.scaling.scaling",
        "qif2hw.compiler.search.study._sampler",
        "qif2hw.conformance.make_kit",
        "qif2hw.emit.to_c99",
        "qif2hw.experiments.reproduce.results",
        "qif2hw.ir.nir.save",
        "qif2hw.ir.onnx_io.save",
        "qif2hw.parity.certify_domain",
        "qif2hw.parity.check",
        "qif2hw.reference.run",
        "qif2hw.train.tables.choose_fields",
        "qif2hw.workers.folder.to_bytes",
        "qif2hw_cli.training.run.run_training",
        "qif2hw_deploy.submission.job._hand_in",
    ):
        monkeypatch.setattr(name, work)


PARITY = ["parity", "BUNDLE", "--backends", "reference,engine"]
SHARD = ["--inputs", "INPUTS", "--shards", "OUT", "--shard", "1/2"]
FILES: dict[str, list[str]] = {
    "compile --output": ["compile", "MODEL", "-o", "OUT"],
    "emit --output": ["emit", "MODEL", "--to", "nir", "-o", "OUT"],
    "import --output": ["import", "WEIGHTS", "-o", "OUT", "--trial", "6.5", "--encode", "0.05", "1.95"],
    "parity --json": [*PARITY, "--json", "OUT"],
    "parity --report": [*PARITY, "--report", "OUT"],
    "prove --state": ["prove", "BUNDLE", "--state", "OUT"],
    "run --output": ["run", "BUNDLE", "--inputs", "INPUTS", "-o", "OUT"],
    "train --checkpoint": ["train", "parabola", "-o", "m.onnx", "--checkpoint", "OUT"],
    "train --output": ["train", "parabola", "-o", "OUT"],
}
"""By command and option: a call that writes a file OUT."""
FOLDERS: dict[str, tuple[list[str], list[str]]] = {
    "bench scaling --out": (["bench", "scaling", "--out", "OUT"], ["scaling.svg", "scaling.md"]),
    "conformance --output": (["conformance", "BUNDLE", "-o", "OUT"], []),
    "demo --out": (["demo", "--out", "OUT"], ["report.html", "nearest.onnx", "nearest.qif"]),
    "parity --shards": (
        ["parity", "BUNDLE", "--backends", "reference,engine", "--inputs", "INPUTS", *SHARD],
        ["engine-1-of-2.run"],
    ),
    "reproduce --out": (["reproduce", "parabola", "--out", "OUT"], ["results.json", "results.md"]),
    "reproduce --zoo": (["reproduce", "parabola", "--out", "kept", "--zoo", "OUT"], ["ripple.onnx", "digits.qif"]),
    "run --shards": (["run", "BUNDLE", "-o", "y.npz", *SHARD], ["engine-1-of-2.run"]),
    "search --output": (["search", "MODEL", "-o", "OUT", "--resume"], ["front.json", "front.svg", "journal.log"]),
    "submit --folder": (["submit", "--folder", "OUT", "--", "inspect", "BUNDLE"], []),
    "train --report": (["train", "parabola", "-o", "m.onnx", "--report", "OUT"], ["predictions.svg"]),
}
"""The same of a folder OUT, and names of files that it writes there; none where the folder must be new."""
READ = {
    "compile --target",
    "conformance arguments",
    "train --data",
    "jobs cancel folder",
    "jobs logs folder",
    "jobs resume folder",
}
READ |= {"jobs status folders", "jobs wait folder", "bench engine bundles", "bench steps models"}
"""Paths that are read, and cannot be standard input."""


def paths(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Parameter]]:
    """Every parameter of every command that takes a path, with its name."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for one in command.list_commands(context):
            found = command.get_command(context, one)
            assert found is not None
            yield from paths(found, f"{name} {one}".strip())
    for param in command.params:
        label = param.opts[-1] if isinstance(param, click.Option) else str(param.name)
        if isinstance(param.type, click.Path) or (label == "--json" and not getattr(param, "is_flag", True)):
            yield f"{name} {label}", param


def test_no_output_is_left_out() -> None:
    kinds = {name: type(param.type) for name, param in paths(cli)}
    read = {name for name, kind in kinds.items() if kind is InputFile}
    written = {name for name, kind in kinds.items() if kind in (OutputFile, OutputOnDisk, PrintedFile)}
    assert written == {*FILES, *FOLDERS}
    assert kinds.keys() - read - written == READ


@pytest.fixture
def given(kit: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What is read, where every user may read it; the folder is the working directory."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        for path in (kit.model, kit.bundle, kit.weights):
            shutil.copy(path, home)
        np.save(home / kit.inputs.name, np.zeros((600, 3)))
        monkeypatch.chdir(home)
        names = {"MODEL": kit.model, "BUNDLE": kit.bundle, "INPUTS": kit.inputs, "WEIGHTS": kit.weights}
        yield {key: home / path.name for key, path in names.items()}


Refused = Callable[[list[str], Path], str]


@pytest.fixture
def refused(call: Any, given: dict[str, Any]) -> Refused:
    def one(words: list[str], out: Path) -> str:
        line: str = call.refused(*(given.get(word, out if word == "OUT" else word) for word in words))
        return line

    return one


def optional(case: str) -> None:
    for name, package in {"search": "optuna", "reproduce": "matplotlib", "train": "torch", "nir": "h5py"}.items():
        if name in [*FILES.get(case, []), case.partition(" ")[0]]:
            pytest.importorskip(package)


@pytest.fixture
def someone_else() -> Iterator[None]:
    """A user who is not root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def device(path: Path) -> Path:
    """A node of its own where we may make one, so that nothing is lost if it is replaced; else the system's."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        return Path("/dev/null")
    return path


def full_folder(path: Path) -> None:
    (path / "full").mkdir(parents=True)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", FILES)
def test_files_are_refused_before_the_work(refused: Refused, tmp_path: Path, case: str) -> None:
    optional(case)
    words = FILES[case]
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    os.mkfifo(tmp_path / "fifo")
    null = device(tmp_path / "null")
    for name, target in {"lost": "no/where", "to-device": null, "to-fifo": "fifo", "loop": "loop"}.items():
        (tmp_path / name).symlink_to(target)
    before = {path: path.lstat() for path in (*tmp_path.iterdir(), null)}
    for name, reason in {
        "no/out": "there is no folder",
        "file/out": "there is no folder",
        "lost": "there is no folder",
        "folder": "folder: cannot be",
        "fifo": "no regular file",
        "to-device": "no regular file",
        "to-fifo": "no regular file",
        "loop": "leads to itself",
        "x" * 300: "name too long",
    }.items():
        assert reason in refused(words, tmp_path / name), name
    assert "no regular file" in refused(words, null)
    assert {path: (path.lstat().st_ino, path.lstat().st_mode) for path in before} == {
        path: (old.st_ino, old.st_mode) for path, old in before.items()
    }
    assert {*tmp_path.iterdir()} == {*before} - ({null} - {tmp_path / "null"})


def tree(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*")}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", FOLDERS)
def test_folders_are_refused_before_the_work(refused: Refused, tmp_path: Path, case: str) -> None:
    optional(case)
    words, files = FOLDERS[case]
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    null = device(tmp_path / "null")
    (tmp_path / "loop").symlink_to("loop")
    before = tree(tmp_path, Path.cwd())
    for name in ("file", "fifo", "loop", "file/out"):
        assert "annot be" in (line := refused(words, tmp_path / name)) or "exists already" in line, name
    assert "annot be" in (line := refused(words, null)) or "exists already" in line
    assert tree(tmp_path, Path.cwd()) == before
    for name in files:
        for kind, make in {"folder": full_folder, "fifo": os.mkfifo, "device": device}.items():
            out = tmp_path / "made" / kind / name
            out.mkdir(parents=True)
            if make(out / name) not in (None, out / name):  # type: ignore[operator]
                continue
            before = tree(tmp_path, Path.cwd())
            assert f"{name}: cannot be" in refused(words, out)
            assert tree(tmp_path, Path.cwd()) == before
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert stat.S_ISCHR(null.stat().st_mode)
    assert "a folder is needed, not a stream (-)" in refused(words, Path("-"))


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", [*FILES, *FOLDERS])
def test_folders_without_permission_are_refused_before_the_work(
    given: dict[str, Any], refused: Refused, case: str, request: pytest.FixtureRequest
) -> None:
    optional(case)
    words = FILES[case] if case in FILES else FOLDERS[case][0]
    locked = given["BUNDLE"].parent / "locked"
    locked.mkdir(mode=0o555)
    if case == "reproduce --zoo":
        words = ["reproduce", "parabola", "--out", tempfile.mkdtemp(), "--zoo", "OUT"]
        Path(words[3]).chmod(0o777)
    if case in ("train --report", "train --checkpoint"):
        words = [word if word != "m.onnx" else f"{tempfile.mkdtemp()}/m.onnx" for word in words]
        Path(words[3]).parent.chmod(0o777)
    request.getfixturevalue("someone_else")
    assert "permission denied" in refused(words, locked / "out")
    assert not list(locked.iterdir())


@pytest.mark.usefixtures("no_work")
def test_a_file_that_is_read_again_is_no_stream(refused: Refused) -> None:
    for case in ("prove --state", "train --checkpoint"):
        assert "a file is needed, not a stream (-)" in refused(FILES[case], Path("-"))
    assert "-o -: a folder is needed" in refused(["emit", "BUNDLE", "--to", "c99", "-o", "OUT"], Path("-"))


@pytest.mark.usefixtures("no_work")
def test_a_folder_of_c_is_checked_before_the_work(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("full", "fifo", "full/file", "full/file/out", "no/out"):
        assert "cannot be" in refused(["emit", "BUNDLE", "--to", "c99", "-o", "OUT"], tmp_path / name)


@pytest.mark.usefixtures("no_work")
def test_the_state_beside_a_model_is_checked_before_the_work(call: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    table, model = tmp_path / "data.csv", tmp_path / "m.onnx"
    table.write_text("x,y\n" + "".join(f"{k},{k * k}\n" for k in range(400)))
    os.mkfifo(tmp_path / "m.onnx.state")
    assert "m.onnx.state: cannot be written" in call.refused("train", table, "--targets", "y", "-o", model)


@pytest.mark.parametrize("option", ["--out", "--zoo"])
def test_folders_of_results_are_checked_before_torch_is_loaded(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """What cannot be written is named itself, and nothing is made."""
    monkeypatch.setitem(sys.modules, "qif2hw.experiments.reproduce", None)
    (tmp_path / "afile").touch()
    os.mkfifo(tmp_path / "fifo")
    before = tree(tmp_path)
    for name in ("afile", "fifo", "afile/in"):
        words = ["--out", tmp_path / "new" / "out", option, tmp_path / name]
        assert f"error: {tmp_path / name}: cannot be made" in call.refused("reproduce", "parabola", "--quick", *words)
        assert tree(tmp_path) == before


@pytest.mark.parametrize("data", ["parabola", "digits", "table"])
def test_a_file_that_is_no_checkpoint_is_refused_before_torch_is_loaded(
    call: Any, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    pytest.importorskip("safetensors")
    monkeypatch.setitem(sys.modules, "torch", None)
    table, model, wrong = tmp_path / "data.csv", tmp_path / "m.onnx", tmp_path / "state"
    table.write_text("x,y\n" + "".join(f"{k},{k * k}\n" for k in range(400)))
    words = [table, "--targets", "y"] if data == "table" else [data]
    for content in (b"", b"no checkpoint", kit.model.read_bytes(), kit.bundle.read_bytes()):
        wrong.write_bytes(content)
        line = call.refused("train", *words, "-o", model, "--checkpoint", wrong)
        assert f"{wrong}: this is not a checkpoint of a training run" in line
        assert wrong.read_bytes() == content
    os.link(wrong, model)
    for same in (model, tmp_path / "." / "m.onnx", wrong):
        assert "; name another file" in call.refused("train", *words, "-o", model, "--checkpoint", same)
    model.unlink()
    assert "; name another file" in call.refused("train", *words, "-o", model, "--checkpoint", model)
    assert tree(tmp_path) == {table, wrong}
