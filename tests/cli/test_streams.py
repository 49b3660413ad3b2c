"""``-`` is standard input or output: the bytes of the file, and nothing else in between."""

import io
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from qif2hw_cli.main import cli

IMPORT = ("--trial", "6.5", "--encode", "0.05", "1.95")


def piped(given: Path | None, *words: object) -> Result:
    """Call the command line with a file on standard input."""
    data = b"" if given is None else given.read_bytes()
    return CliRunner().invoke(cli, [str(word) for word in words], input=data)


@pytest.mark.parametrize("command", ["run", "import", "parity", "inspect"])
def test_the_bytes_are_those_of_files(command: str, call: Any, kit: Any, tmp_path: Path) -> None:
    given, words = {
        "run": (kit.inputs, ("run", kit.bundle, "--inputs", "IN", "-o", "OUT")),
        "import": (kit.weights, ("import", "IN", "-o", "OUT", *IMPORT)),
        "parity": (kit.bundle, ("parity", "IN", "--backends", "reference,engine", "--json", "OUT")),
        "inspect": (kit.bundle, ("inspect", "IN", "--json")),
    }[command]
    path = tmp_path / "out"
    plain = call(*({"IN": given, "OUT": path}.get(str(word), word) for word in words))
    found = piped(given, *("-" if word in ("IN", "OUT") else word for word in words))
    assert (plain.exit_code, found.exit_code) == (0, 0), found.output
    if command == "inspect":
        one, other = json.loads(found.stdout), json.loads(plain.stdout)
        assert (one.pop("bundle"), other.pop("bundle")) == ("-", str(kit.bundle))
        assert one == other
    elif command == "run":
        with np.load(io.BytesIO(found.stdout_bytes)) as one, np.load(path) as other:
            assert one.files == other.files
            assert all(np.array_equal(one[name], other[name]) for name in one.files)
    elif command == "import":
        assert found.stdout_bytes == path.read_bytes()
        assert "Network(input 3" in found.stderr
    else:
        assert found.stdout.startswith("{")
    assert not list(Path.cwd().glob("-"))


def test_what_streams_cannot_do_is_refused(
    kit: Any, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stdout = sys.stdout
    once = call.refused("run", "-", "--inputs", "-", "-o", tmp_path / "out.npz")
    assert once.endswith("standard input (-) can be read once. (qif2hw run --help)")
    for words in (("-", "--inputs", kit.inputs, "-o", "out.npz"), (kit.bundle, "--inputs", kit.inputs, "-o", "-")):
        assert "a job has neither standard input nor output (-)" in call.refused("submit", "--", "run", *words)
    bad = piped(kit.inputs, "run", "-", "--inputs", kit.inputs, "-o", "-")
    assert (bad.exit_code, bad.stdout) == (2, "")
    assert len(bad.stderr.splitlines()) == 1
    assert sys.stdout is stdout
    assert not list(tmp_path.iterdir())


def test_messages_name_streams_as_users_do(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ü"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    table = tmp_path / "x.csv"
    table.write_text("y\n1\n")
    said = piped(None, "run", kit.bundle, "--inputs", kit.inputs, "-o", "-").stderr
    assert said.startswith("-: 20 samples")
    facts = json.loads(piped(None, "run", kit.bundle, "--inputs", kit.inputs, "-o", "-", "--json").stderr)
    assert facts["output"] == "-"
    for given, words in {
        kit.inputs: ("diff", kit.bundle, "-"),
        kit.bundle: ("run", kit.bundle, "--inputs", "-", "-o", tmp_path / "out.npz"),
        table: ("train", "-", "--targets", "z", "-o", tmp_path / "out.onnx"),
    }.items():
        found = piped(given, *words)
        assert found.exit_code == 2
        assert found.stderr.startswith("error: -: ")
        assert "qif2hw-" not in found.output


def test_names_that_are_too_long(call: Any, kit: Any, tmp_path: Path) -> None:
    name = tmp_path / ("a" * 300)
    assert "cannot be read (file name too long)" in call.refused("run", name, "--inputs", kit.inputs, "-o", "y.npz")
    assert "file name too long" in call.refused("run", kit.bundle, "--inputs", name, "-o", tmp_path / "y.npz")


def test_inputs_may_be_pipes(call: Any, kit: Any, tmp_path: Path) -> None:
    """As ``<(command)`` of a shell makes them."""
    table = tmp_path / "t.csv"
    table.write_text("x,y\n" + "\n".join(f"{k},{k * k}" for k in range(20)) + "\n")
    for words, given in {
        ("run", kit.bundle, "--inputs", "PIPE", "-o", tmp_path / "out.npz"): kit.inputs,
        ("inspect", "PIPE"): kit.bundle,
        ("compile", "PIPE", "-o", tmp_path / "out.qif", "--rounding", "nearest"): kit.model,
        ("import", "PIPE", "-o", tmp_path / "out.onnx", "--trial", 6.5, "--encode", 0.05, 1.95): kit.weights,
        ("train", "PIPE", "--targets", "y", "-o", tmp_path / "t.onnx", "--steps", 2, "--hidden", 2): table,
    }.items():
        read_end, write_end = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(write_end, "wb") as end:
            pool.submit(lambda end=end, given=given: (end.write(given.read_bytes()), end.close()))
            path = f"/dev/fd/{read_end}"
            assert call(*(path if word == "PIPE" else word for word in words)).exit_code == 0, words
        os.close(read_end)
