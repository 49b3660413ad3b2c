"""The commands: what they write, print and return."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import qif2hw
from qif2hw import backends
from qif2hw import bundle as bundles
from qif2hw.ir import layered, onnx_io

COMMANDS = ["demo", "train", "import", "compile", "run", "parity", "inspect", "emit", "conformance", "search", "submit"]


def test_help_lists_the_commands_in_order(call: Any) -> None:
    text = call("--help").stdout.partition("Commands:")[2]
    places = [text.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(call: Any, name: str) -> None:
    text = call(name, "--help").stdout
    assert f"\n    qif2hw {name}" in text
    assert "--json" in text
    assert "\x08" not in text
    assert "\\b" not in text


def test_version(call: Any) -> None:
    assert qif2hw.__version__ in call("--version").stdout


def test_import_makes_the_model(call: Any, kit: Any, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    result = call("import", kit.weights, "-o", out, "--trial", 6.5, "--encode", 0.05, 1.95, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"model": str(out), "sizes": [3, 6, 5, 2], "trial": 6.5, "period": 6.0}
    assert onnx_io.load(out) == onnx_io.load(kit.model)
    result = call(
        "import", kit.weights, "-o", out, "--trial", 8, "--encode", 1, 2, "--tau", 2, "--i0", 1.2, "--scale", 3
    )
    assert result.exit_code == 0
    network = onnx_io.load(out)
    assert (network.trial, network.encoders[0].latest) == (8.0, 2.0)
    assert network.readouts[0].scale.tolist() == [3.0]


def test_compile(call: Any, kit: Any, tmp_path: Path) -> None:
    out = tmp_path / "m.qif"
    result = call("compile", kit.model, "-o", out, "--steps", 256)
    assert result.exit_code == 0
    assert out.read_bytes() == kit.bundle.read_bytes()
    for word in ("Tables", "Registers", "bits needed", "Resources", "nothing was run on a chip"):
        assert word in result.stdout
    result = call("compile", kit.model, "-o", f"{out}-folder/", "--steps", 128, "--weight-bits", 4, "--json")
    told = json.loads(result.stdout)
    assert told["options"]["weight_bits"] == 4
    assert told["report"]["fit"]["fits"] is True
    assert told["bytes"] == sum(p.stat().st_size for p in Path(told["bundle"]).iterdir())
    assert qif2hw.load(told["bundle"]).program.steps <= 128


def test_compile_with_the_square_of_the_lateness(call: Any, kit: Any, tmp_path: Path) -> None:
    x, runs = np.random.default_rng(0).random((5, 3)), []
    for moments in ("1", "2", "auto"):
        out = tmp_path / f"{moments}.qif"
        result = call("compile", kit.model, "-o", out, "--steps", 96, "--lateness-moments", moments)
        assert result.exit_code == 0
        assert ("its square too" in result.stdout) == (moments != "1")
        runs.append(qif2hw.load(out).run(x))
    assert runs[0].step_spikes != runs[1].step_spikes
    assert runs[1].step_spikes == runs[2].step_spikes


def test_bench_steps(call: Any, kit: Any) -> None:
    result = call("bench", "steps", kit.model, "--steps", "48,96", "--samples", 50, "--json")
    rows = json.loads(result.stdout)["models"][0]["rows"]
    assert [row["steps"] for row in rows] == [48, 96]
    for row in rows:
        nothing, lateness, square = row["error"].values()
        assert square < lateness < nothing


def test_compile_to_an_error(call: Any, kit: Any, tmp_path: Path) -> None:
    out = tmp_path / "m.qif"
    arguments = ["compile", kit.model, "-o", out, "--rounding", "nearest", "--weight-bits", "8/7/8", "--steps", 128]
    result = call(*arguments, "--max-error", 0.1)
    assert result.exit_code == 0
    assert "Settings tried for an error of at most 10 %" in result.stdout
    assert call("inspect", out).exit_code == 0
    assert "the best of at most 128 steps" in call.refused(*arguments, "--max-error", 1e-9)
    assert "2 numbers for 3 projections" in call.refused("compile", kit.model, "-o", out, "--weight-bits", "8/7")
    assert "a whole number, or one for each" in call.refused("compile", kit.model, "-o", out, "--weight-bits", "x")


def test_compile_lists_its_passes_and_stops_where_told(call: Any, kit: Any, tmp_path: Path) -> None:
    listed = call("compile", kit.model, "--steps", 100, "--form", "plane", "--passes", "--json")
    text = json.loads(listed.stdout)["passes"]
    assert text.startswith("time-grid{steps=100 ")
    assert "form=plane" in text
    told = json.loads(call("compile", kit.model, "--until", "weights", "--json").stdout)
    assert list(told["report"]) == list(told["seconds"]) == ["time-grid", "weights"]
    assert "no pass 'zoo' to stop after" in call.refused("compile", kit.model, "--until", "zoo")
    assert "give one with -o" in call.refused("compile", kit.model)
    assert not list(tmp_path.iterdir())


def test_compile_with_passes_of_ones_own(call: Any, kit: Any, tmp_path: Path) -> None:
    out, passes = tmp_path / "m.qif", "time-grid{steps=64},weights{bits=4},ranges,tables,lower"
    assert call("compile", kit.model, "-o", out, "--passes", passes).exit_code == 0
    result = call("inspect", out, "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["fits"] is None
    assert told["options"] == {"target": "loihi2", "passes": passes, "calibration": None}
    shown = call("inspect", out).stdout
    assert f"options   target loihi2, passes {passes}\n" in shown
    assert "a list of passes takes its place" in call.refused(
        "compile", kit.model, "-o", out, "--passes", passes, "--steps", 100
    )
    assert "no pass 'zoo'" in call.refused("compile", kit.model, "-o", out, "--passes", "zoo")


def test_inspect_shows_passes_that_it_does_not_know(call: Any, kit: Any, tmp_path: Path) -> None:
    bundle = qif2hw.load(kit.bundle)
    section = {"share": {"input->hidden1": 0.12345678, "hidden1->output": 0}, "words": ["a", "b"]}
    path = replace(bundle, report={**bundle.report, "zeros": section}).save(tmp_path / "m.qif")
    lines = [line.split() for line in call("inspect", path).stdout.splitlines()]
    for words in ("zeros", "share input->hidden1 0.1235", "share hidden1->output 0", "words a, b"):
        assert words.split() in lines
    assert ["phases", "shifted:"] in [line[:2] for line in lines]


@pytest.mark.parametrize("backend", ["engine", "reference"])
def test_run(call: Any, kit: Any, tmp_path: Path, backend: str) -> None:
    out = tmp_path / "out.npz"
    result = call("run", kit.bundle, "--inputs", kit.inputs, "-o", out, "--backend", backend, "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["backend"], told["samples"], told["outputs"]) == (backend, 20, 1)
    wanted = qif2hw.load(kit.bundle).run(np.load(kit.inputs), backend)
    with np.load(out) as found:
        integers = {"step", "lateness"} if backend == "engine" else set()
        assert set(found.files) == {"y", "spike_time", "ordinary"} | integers
        np.testing.assert_array_equal(found["y"], wanted.y)
        np.testing.assert_array_equal(found["spike_time"], wanted.spike_time)
        assert found["ordinary"].dtype == bool
        if wanted.machine is not None:
            np.testing.assert_array_equal(found["step"], wanted.machine.step)
            np.testing.assert_array_equal(found["lateness"], wanted.machine.lateness)
    first = out.read_bytes()
    call("run", kit.bundle, "--inputs", kit.inputs, "-o", out, "--backend", backend)
    assert out.read_bytes() == first


@pytest.mark.parametrize("command", ["run", "train"])
def test_threads(call: Any, kit: Any, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number holds while the command works, no longer, and does not change a byte."""
    seen: list[int] = []
    if command == "train":
        loop = pytest.importorskip("qif2hw.train.loop")
        whole = loop._train
        monkeypatch.setattr(loop, "_train", lambda *given: seen.append(numba.get_num_threads()) or whole(*given))
        arguments = ["train", "parabola", "--steps", 2]
    else:
        whole = bundles.load_any
        monkeypatch.setattr(bundles, "load_any", lambda path: seen.append(numba.get_num_threads()) or whole(path))
        arguments = ["run", kit.bundle, "--inputs", kit.inputs]
    before = numba.get_num_threads()
    outputs = [tmp_path / "all.out", tmp_path / "one.out"]
    for out, option in zip(outputs, ([], ["--threads", 1]), strict=True):
        assert call(*arguments, "-o", out, *option).exit_code == 0
    assert seen == [before, 1]
    assert numba.get_num_threads() == before
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_inspect(call: Any, kit: Any) -> None:
    result = call("inspect", kit.bundle)
    assert result.exit_code == 0
    for word in ("every part verified", "input 3, hidden1 6", "Registers", "gives the same spikes", "fits"):
        assert word in result.stdout
    told = json.loads(call("inspect", kit.bundle, "--json").stdout)
    assert told["golden_reproduced"] is told["fits"] is True
    assert told["sizes"] == {"input": 3, "hidden1": 6, "hidden2": 5, "output": 2}


def test_inspect_says_why_it_does_not_fit(call: Any, kit: Any, tmp_path: Path) -> None:
    target = tmp_path / "tiny.toml"
    target.write_text(
        '[target]\nname = "tiny"\ntitle = "a tiny chip"\n'
        '[limits.cores]\nvalue = 2\nsource = "made up"\n'
        '[limits.neurons_per_core]\nvalue = 4\nsource = "made up"\n'
    )
    out = tmp_path / "m.qif"
    arguments = ["compile", kit.model, "-o", out, "--target", target, "--steps", 64]
    line = call.refused(*arguments)
    assert "does not fit the target 'tiny': 5 cores are needed, 2 there are; it would fit with 3 chips" in line
    assert not out.exists()
    assert call(*arguments, "--allow-misfit").exit_code == 0
    result = call("inspect", out)
    assert result.exit_code == 1
    assert "does NOT fit the target 'tiny'" in result.stdout
    assert "5 cores are needed, 2 there are" in result.stdout
    assert "it would fit with:\n  3 chips in place of one" in result.stdout
    assert "4 (there is none)" in result.stdout
    assert call("inspect", out, "--target", "loihi2").exit_code == 0
    result = call("inspect", kit.bundle, "--target", "loihi1", "--json")
    assert result.exit_code == 1
    fit = json.loads(result.stdout)["report"]["fit"]
    assert "its neuron model is fixed" in fit["reasons"][0]
    assert fit["options"] == []


def test_search(call: Any, kit: Any, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    folder = tmp_path / "found"
    arguments = ["search", kit.model, "-o", folder, "--rounding", "nearest"]
    result = call(*arguments, "--trials", 3)
    assert result.exit_code == 0
    assert "Pareto front of 3 settings" in result.stdout
    assert "holds a search already" in call.refused(*arguments, "--trials", 3)
    told = json.loads(call(*arguments, "--trials", 4, "--resume", "--json").stdout)
    assert told["settings"] == 4
    costs = {"memory", "steps", "operations", "latency", "energy"}
    assert set(told["front"][0]) == {"options", "error", "unseen_error"} | costs
    assert json.loads((folder / "front.json").read_text())["front"] == told["front"]
    assert "need the address of a scheduler" in call.refused(*arguments, "--workers", "dask", "--resume")


def test_parity(call: Any, kit: Any, tmp_path: Path) -> None:
    path, report = tmp_path / "p.json", tmp_path / "r.html"
    arguments = ["parity", kit.bundle, "--backends", "reference,engine"]
    result = call(*arguments, "--inputs", kit.inputs, "--json", path, "--report", report)
    assert result.exit_code == 0
    assert "parity holds" in result.stdout
    told = json.loads(path.read_text())
    assert told["ok"] is True
    assert told["samples"] == 20
    assert report.read_text().lstrip().lower().startswith("<!doctype html")
    result = call(*arguments, "--json")
    assert json.loads(result.stdout)["samples"] == 256
    result = call(*arguments, "--rms", 1e-9)
    assert result.exit_code == 1
    assert "PARITY IS BROKEN" in result.stdout


def test_parity_says_that_lava_is_left_out(call: Any, kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", "/no/such/python")
    result = call("parity", kit.bundle, "--inputs", kit.inputs)
    assert result.exit_code == 0
    assert "LAVA IS LEFT OUT" in result.stderr
    assert "/no/such/python" in result.stderr
    assert "/no/such/python" in str(backends.get("lava").missing())


@pytest.mark.lava
def test_lava_equals_engine(call: Any, kit: Any, tmp_path: Path) -> None:
    if (reason := backends.get("lava").missing()) is not None:
        pytest.skip(reason)
    out = tmp_path / "out.npz"
    result = call("run", kit.bundle, "--inputs", kit.inputs, "-o", out, "--backend", "lava", "--json")
    assert result.exit_code == 0
    wanted = qif2hw.load(kit.bundle).run(np.load(kit.inputs))
    assert wanted.machine is not None
    with np.load(out) as found:
        np.testing.assert_array_equal(found["step"], wanted.machine.step)
        np.testing.assert_array_equal(found["lateness"], wanted.machine.lateness)
        np.testing.assert_array_equal(found["y"], wanted.y)


@pytest.mark.lava
def test_lava_that_takes_too_long(call: Any, kit: Any, tmp_path: Path) -> None:
    if (reason := backends.get("lava").missing()) is not None:
        pytest.skip(reason)
    out = tmp_path / "out.npz"
    result = call("run", kit.bundle, "--inputs", kit.inputs, "-o", out, "--backend", "lava", "--timeout", 0.2)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert not out.exists()


def test_train(call: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    out, state = tmp_path / "m.onnx", tmp_path / "state"
    arguments = ["train", "parabola", "-o", out, "--steps", 3, "--weight-bits", 8, "--checkpoint", state]
    result = call(*arguments)
    assert result.exit_code == 0
    assert "error on the test set" in result.stdout
    assert "silent" in result.stdout
    first = out.read_bytes()
    told = json.loads(call(*arguments, "--fields", 1, "--json").stdout)  # none, as before: goes on from the end
    assert out.read_bytes() == first
    assert told["fields"] == 1
    assert (told["sizes"], told["weight_bits"]) == ([1, 32, 32, 2], 8)
    assert 0 < told["error"] < 10
    assert told["diagnosis"]["outputs_missing"] >= 0


def test_demo_without_lava(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", "/no/such/python")
    home = tmp_path / "a" / "demo"
    result = call("demo", "--out", home, "--training-steps", 3, "--json")
    assert result.exit_code == 0
    assert "LAVA IS LEFT OUT" in result.stderr
    told = json.loads(result.stdout)
    assert told["ok"] is True
    assert told["backends"] == ["reference", "engine"]
    for name in ("model", "adapted", "nearest"):
        found = told["variants"][name]
        assert set(found["error"]) == {"float", "reference", "engine"}
        assert found["spikes_matched"]["engine"][0] > 0
        assert {"compile", "parity"} <= set(found["seconds"])
        assert qif2hw.load(home / f"{name}.qif").network == onnx_io.load(home / f"{name}.onnx")
    assert (home / "report.html").read_text().lower().startswith("<!doctype html")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_cannot_show_a_character(kit: Any, encoding: str) -> None:
    command = [sys.executable, "-c", "from qif2hw_cli.main import main; main()", "inspect", str(kit.bundle)]
    done = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"golden" in done.stdout


@pytest.mark.parametrize("scale", [0, 1])
def test_a_network_of_zeros_goes_the_whole_way(call: Any, tmp_path: Path, scale: int) -> None:
    weights, model, bundle, x = (tmp_path / name for name in ("w.npz", "m.onnx", "m.qif", "x.npy"))
    np.savez(weights, w0=np.zeros((8, 1)), w1=np.zeros((2, 8)), phi0=np.full(10, 3.0))
    np.save(x, np.linspace(0, 1, 5)[:, None])
    trial = ["--trial", 6.5, "--encode", 0.05, 1.95]
    for words in (
        ["import", weights, "-o", model, *trial, "--scale", scale],
        ["compile", model, "-o", bundle],
        ["run", bundle, "--inputs", x, "-o", tmp_path / "o.npz"],
        ["parity", bundle, "--backends", "reference,engine", "--report", tmp_path / "r.html"],
        ["inspect", bundle],
    ):
        result = call(*words)
        assert result.exit_code == 0, result.output
    assert "all together" in result.stdout
    budget = json.loads(call("inspect", bundle, "--json").stdout)["report"]["budget"]
    assert (budget["total"], budget["absolute"]["total"]) == (None, 0)
    assert "results are all zero" in call.refused("compile", model, "-o", tmp_path / "n.qif", "--max-error", 0.01)


def test_shards_over_files(call: Any, kit: Any, tmp_path: Path) -> None:
    x, out, shards = tmp_path / "x.npy", tmp_path / "out.npz", tmp_path / "shards"
    np.save(x, np.random.default_rng(0).random((600, 3)))
    run = ["run", kit.bundle, "--inputs", x, "-o"]
    assert call(*run, tmp_path / "one.npz").exit_code == 0
    for number in (1, 2, 2):
        assert call(*run, out, "--shards", shards, "--shard", f"{number}/2").exit_code == 0
        assert not out.exists()
    assert call(*run, out, "--shards", shards).exit_code == 0
    assert out.read_bytes() == (tmp_path / "one.npz").read_bytes()
    assert (
        f"{shards}: shard 2/2 of engine was there already"
        in call(*run, out, "--shards", shards, "--shard", "2/2").stdout
    )
    parity = ["parity", kit.bundle, "--inputs", x, "--backends", "reference,engine", "--shards", shards]
    told = json.loads(call(*parity, "--shard", "1/2", "--json").stdout)
    assert told["computed"] == {"reference": True, "float": True, "engine": True}
    assert "shard 2 of 2 of reference is missing: run it with --shard" in call.refused(*parity)
    assert call(*parity, "--shard", "2/2").exit_code == 0
    assert "parity holds" in call(*parity).stdout


def test_wrong_shards_and_workers(call: Any, kit: Any, tmp_path: Path) -> None:
    run = ["run", kit.bundle, "--inputs", kit.inputs, "-o", tmp_path / "out.npz"]
    assert "--shard 1/2: it is written to a folder: name it with --shards" in call.refused(*run, "--shard", "1/2")
    assert "shard 'x': a number and how many" in call.refused(*run, "--shard", "x", "--shards", tmp_path / "s")
    assert "20 samples have at most 1 shards" in call.refused(*run, "--shard", "1/2", "--shards", tmp_path / "s")
    assert "has no shard of engine" in call.refused(*run, "--shards", tmp_path / "s")
    assert not (tmp_path / "s").exists()
    for command in (run, ["parity", kit.bundle], ["search", kit.model, "-o", tmp_path / "search"]):
        assert "jobs = 0: at least one" in call.refused(*command, "--jobs", 0)
        assert "need the address of a scheduler" in call.refused(*command, "--workers", "dask")
        assert "local workers have none" in call.refused(*command, "--scheduler", "tcp://127.0.0.1:9")
    line = call.refused("search", kit.model, "-o", tmp_path / "search", "--backend", "dask")
    assert line == "error: --backend dask: where settings are tried is --workers dask now"
    assert list(tmp_path.iterdir()) == []


def test_populations_that_send_nothing_have_no_errors(call: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = [0.01 * rng.normal(size=(4, 1)), rng.normal(size=(2, 4))]
    network = layered(weights, [np.zeros(4), np.zeros(2)], trial=3.0, encode=(0.05, 1.95))
    qif2hw.compile(network, rounding="nearest").save(tmp_path / "silent.qif")
    result = call("parity", tmp_path / "silent.qif", "--backends", "reference,engine")
    assert result.exit_code == 0
    assert "nan" not in result.stdout + result.stderr
    assert re.search(r"engine hidden1 +0 +0 +0 +0 +0 +- +- +-", result.stdout)
    json.loads(
        call("parity", tmp_path / "silent.qif", "--backends", "reference,engine", "--json").stdout,
        parse_constant=pytest.fail,
    )
