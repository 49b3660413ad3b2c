"""The conformance kit: the engine and emitted C pass it through its files alone, and what differs is named."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from emitted import STRICT, native
from networks import ordinary, published, stepped_images

import qif2hw
from qif2hw import engine
from qif2hw.bundle import Bundle
from qif2hw.bundle.packing import unpack
from qif2hw.conformance import PARTS, check, make_kit
from qif2hw.discrete import SteppedQIF
from qif2hw.engine import fast, spec
from qif2hw.errors import InputError
from qif2hw.estimate import Core, count
from qif2hw.ir import Program

HERE = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = {
    "microcode": {"target": "loihi2-microcode", "steps": 64},
    "tables": {"form": "cotangent", "steps": 64, "lateness_moments": 1},
    "grid": {"form": "grid", "steps": 64, "table_bits": 5},
    "two moments": {"form": "plane", "steps": 64, "lateness_moments": 2},
    "packed": {"target": "loihi2-microcode", "steps": 64, "payload_bits": 2},
    "flush": {"target": "loihi2-microcode", "steps": 64},
}


def bundle_of(name: str) -> Bundle:
    sizes = (2, 5, 5, 2) if name == "packed" else (2, 9, 7, 2)
    network = published((2, 6, 5, 2)) if name == "flush" else ordinary(sizes, 3, 2.0)
    return qif2hw.compile(network, rounding="nearest", **CASES[name])


LONG = ("grid", "packed")


@pytest.fixture(scope="module", params=[pytest.param(n, marks=pytest.mark.long) if n in LONG else n for n in CASES])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    bundle, folder = bundle_of(request.param), tmp_path_factory.mktemp("kit")
    write(folder, make_kit(bundle))
    return bundle, folder


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_of("microcode")


@pytest.fixture(scope="module")
def kit(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("microcode")
    write(folder, make_kit(bundle))
    return folder


def write(folder: Path, parts: dict[str, bytes]) -> None:
    assert set(parts) == set(PARTS)
    for name, data in parts.items():
        (folder / name).write_bytes(data)


def table(path: Path) -> np.ndarray:
    return np.loadtxt(path, np.int64, delimiter=",", skiprows=1, ndmin=2)


def program_of(kit: Path) -> Program:
    arrays = safetensors.numpy.load((kit / "program.safetensors").read_bytes())
    return unpack(Program, json.loads((kit / "program.json").read_text()), arrays)


def by_the_engine(kit: Path, results: Path) -> None:
    """Results of the engine, from the kit's files."""
    program, about = program_of(kit), json.loads((kit / "kit.json").read_text())
    inputs = np.loadtxt(kit / "inputs.csv", np.int32, delimiter=",", ndmin=2)
    output, spikes = fast.run(program, inputs[:, ::2].copy(), inputs[:, 1::2].copy())
    rows = [
        (int(s.sample[n]), k, int(s.neuron[n]), int(s.step[n]), int(s.lateness[n]))
        for k, s in enumerate(spikes[p["name"]] for p in about["populations"])
        for n in range(len(s))
    ]
    save(results / "spikes.csv", rows)
    save(results / "outputs.csv", np.stack([output.step, output.lateness, output.flush], 2).reshape(len(inputs), -1))
    save(results / "traces.csv", traced(program, table(kit / "stimuli.csv")))


def traced(program: Program, stimuli: np.ndarray) -> list[tuple[int, ...]]:
    """Single neurons, one step of the specification after the other."""
    rows = []
    for trace, k, neuron, m, a0, a1, a2 in stimuli.tolist():
        population = program.populations[k]
        none = np.zeros(1, np.int64)
        if m == 1:
            state = spec.start(population, program.grid)[:, [neuron]]
            for before in range(1 - population.depth, 1):
                state = spec.step(population, program.grid, before, state, none, none, none).state
        sent = spec.step(population, program.grid, m, state, none + a0, none + a1, none + a2)
        state = sent.state
        second = int(state[1, 0]) if len(state) > 1 else 0
        rows.append((trace, m, int(sent.flag[0]), int(sent.payload[0]), int(state[0, 0]), second))
    return rows


def save(path: Path, rows: Any) -> None:
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in np.asarray(rows).tolist()))


def test_the_engine_passes(made: tuple[Bundle, Path], tmp_path: Path) -> None:
    bundle, kit = made
    by_the_engine(kit, tmp_path)
    program, x = program_of(kit), bundle.golden.x
    due = json.loads((kit / "golden_counters.json").read_text())
    cores = [Core(core["population"], core["first"], core["stop"]) for core in due["cores"]]
    counts = count(program, engine.run(program, x), x, cores)
    found = [
        {name: int(getattr(counts, name)[k].sum()) for name in ("syn_ops", "dendrite_updates", "axon_out", "spikes_in")}
        for k in range(len(cores))
    ]
    (tmp_path / "counters.json").write_text(json.dumps({"cores": found}))
    outcome = check(kit, tmp_path)
    assert outcome.ok, outcome.first
    assert outcome.missing == ()
    assert all(part.rows > 0 for part in outcome.parts)


def test_emitted_c_passes(made: tuple[Bundle, Path], tmp_path: Path) -> None:
    bundle, kit = made
    folder, results = tmp_path / "program", tmp_path / "results"
    results.mkdir()
    program = native(bundle, bundle.golden.x, folder, flags=STRICT)
    assert (folder / "inputs.csv").read_bytes() == (kit / "inputs.csv").read_bytes()
    program.make("network")
    for name, flags in (("spikes", ["--spikes"]), ("outputs", [])):
        done = subprocess.run(["./network", *flags, kit / "inputs.csv"], cwd=folder, capture_output=True, check=True)
        (results / f"{name}.csv").write_bytes(done.stdout)
    left_out = {"machine.c", "network.c", "selftest.c", "golden.c"}
    sources = [path.name for path in folder.glob("*.c") if path.name not in left_out]
    build = ["gcc", "-std=c99", "-I.", "-o", "trace", HERE / "trace.c", *sources]
    subprocess.run(build, cwd=folder, check=True)
    stimuli = (kit / "stimuli.csv").read_bytes().partition(b"\n")[2]
    done = subprocess.run(["./trace"], cwd=folder, input=stimuli, capture_output=True, check=True)
    (results / "traces.csv").write_bytes(done.stdout)
    outcome = check(kit, results)
    assert outcome.ok, outcome.first
    assert outcome.missing == ("counters",)


OPERATIONS: dict[str, Callable[..., int]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "negative": lambda a: -a,
    "absolute": abs,
    "left_shift": lambda a, b: a << b,
    "right_shift": lambda a, b: a >> b,
    "maximum": max,
    "minimum": min,
    "less": lambda a, b: int(a < b),
    "less_equal": lambda a, b: int(a <= b),
    "greater": lambda a, b: int(a > b),
    "greater_equal": lambda a, b: int(a >= b),
    "equal": lambda a, b: int(a == b),
    "not_equal": lambda a, b: int(a != b),
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "invert": lambda a: 1 - a,
    "select": lambda condition, a, b: a if condition else b,
    "clip": lambda a, low, high: min(max(a, low), high),
    "bit_length": lambda a: a.bit_length(),
}
"""The operations of the kit, as its page of the documentation defines them: none divides."""


def knot_before(x: int, first: int, mantissa: int) -> int:
    """The largest knot that is not above ``x``, by searching."""
    position, k, spacing = 0, 0, 1 << (first - mantissa)
    while position + spacing <= x:
        position, k = position + spacing, k + 1
        if k % (1 << mantissa) == 0 and k > 1 << mantissa:
            spacing *= 2
    return k


def follow(path: dict[str, Any], inputs: dict[str, int], tables: dict[str, np.ndarray]) -> dict[str, int]:
    """Do the operations of a path."""
    values = dict(inputs)

    def value(argument: str | int) -> int:
        return values[argument] if isinstance(argument, str) else argument

    for one in path["operations"]:
        name, arguments = one["operation"], one["arguments"]
        if name == "entry":
            result = int(tables[arguments[0]][tuple(map(value, arguments[1:]))])
        elif name == "knot_before":
            result = knot_before(*map(value, arguments))
        else:
            result = OPERATIONS[name](*map(value, arguments))
        assert -(1 << one["bits"] - 1) <= result < 1 << one["bits"] - 1, one
        values[one["result"]] = result
    return {name: value(argument) for name, argument in path["outputs"].items()}


def test_the_operations_alone_make_the_traces(made: tuple[Bundle, Path]) -> None:
    _, kit = made
    about = json.loads((kit / "kit.json").read_text())
    populations = json.loads((kit / "operations.json").read_text())["populations"]
    registers = json.loads((kit / "registers.json").read_text())["populations"]
    arrays = safetensors.numpy.load((kit / "program.safetensors").read_bytes())
    last = about["grid"]["trial_steps"]
    due = table(kit / "golden_traces.csv").tolist()
    state: dict[str, int] = {}
    for given, wanted in zip(table(kit / "stimuli.csv").tolist(), due, strict=True):
        _, k, neuron, m, a0, a1, a2 = given
        own = {path["name"]: path for path in populations[k]["paths"]}
        tables = {}
        for name, values in arrays.items():
            head, _, rest = name.partition(".ptc.")
            if head == f"populations.{k}" and rest.partition(".")[0] in ("to_potential", "to_phase", "shift", "twist"):
                short, values = rest.partition(".")[0], values.astype(np.int64)
                tables |= {short: values, f"{short}.rise": np.diff(values, append=values[..., -1:])}
        names = [register["name"] for register in registers[k]["neuron_registers"]]

        if m == 1:
            state = {register["name"]: register["start"][neuron] for register in registers[k]["neuron_registers"]}
            if names == ["phase"]:
                for _ in range(registers[k]["depth"]):
                    state = {
                        "phase": follow(own["step"], state | dict.fromkeys(("a0", "a1", "a2"), 0), tables)["phase"]
                    }
        path = own["step" if m < last else "last" if m == last else "flush"]
        found = follow(path, state | {"a0": a0, "a1": a1, "a2": a2}, tables)
        state = {name: found[name] for name in names}
        assert [found["flag"], found["payload"], state[names[0]], state.get("y", 0)] == wanted[2:], given


def test_traces_show_what_the_protocol_asks_for(kit: Path) -> None:
    about = json.loads((kit / "kit.json").read_text())
    for k in range(len(about["populations"])):
        shown = set().union(*(t["shows"] for t in about["traces"] if t["population"] == k))
        assert {
            "spike", "lateness", "excitation", "inhibition", "late input", "flush", "input in the step of a spike",
            "renormalised by a left shift", "renormalised by a right shift",
        } <= shown  # fmt: skip
    every = set().union(*(t["shows"] for t in about["traces"]))
    assert {"spike in the trial's last step", "spike undone by the trial's end", "flush with an input"} <= every


def test_nothing_divides_and_products_keep_40_bits(kit: Path) -> None:
    for population in json.loads((kit / "operations.json").read_text())["populations"]:
        for path in population["paths"]:
            assert {one["operation"] for one in path["operations"]} <= set(OPERATIONS)
            assert max(one["bits"] for one in path["operations"]) <= 40


def test_it_is_the_same_every_time(bundle: Bundle, kit: Path) -> None:
    again = make_kit(bundle)
    assert {name: (kit / name).read_bytes() for name in PARTS} == again


def golden_results(kit: Path, results: Path) -> None:
    for name in ("traces.csv", "spikes.csv", "outputs.csv", "counters.json"):
        shutil.copy(kit / f"golden_{name}", results / name)


def change(path: Path, row: int, column: int, by: int = 1) -> list[int]:
    """Change one number of a table; returns the row as it was."""
    lines = path.read_text().splitlines()
    values = [int(value) for value in lines[row + 1].split(",")]
    changed = values.copy()
    changed[column] += by
    lines[row + 1] = ",".join(map(str, changed))
    path.write_text("\n".join(lines))
    return values


def test_golden_files_are_results(kit: Path, tmp_path: Path) -> None:
    golden_results(kit, tmp_path)
    assert check(kit, tmp_path).ok


def test_the_first_difference_is_named(kit: Path, tmp_path: Path) -> None:
    golden_results(kit, tmp_path)
    counters = json.loads((tmp_path / "counters.json").read_text())
    counters["cores"][1]["syn_ops"] += 1
    (tmp_path / "counters.json").write_text(json.dumps(counters))
    assert check(kit, tmp_path).first.startswith("counters: core 1 (population 'hidden2', neurons 0 to 6), syn_ops: ")
    old = change(tmp_path / "outputs.csv", 3, 5)
    assert check(kit, tmp_path).first == (
        f"outputs: sample 3, output neuron 1, register flush: {old[5]} is due, {old[5] + 1} was found"
    )
    trace = change(tmp_path / "traces.csv", 200, 4)
    change(tmp_path / "traces.csv", 300, 5)
    about = json.loads((kit / "kit.json").read_text())
    shown = about["traces"][trace[0]]
    neuron, name = shown["neuron"], about["populations"][shown["population"]]["name"]
    assert check(kit, tmp_path).first == (
        f"trace {trace[0]}, population '{name}', neuron {neuron}, local step {trace[1]}, register x: "
        f"{trace[4]} is due, {trace[4] + 1} was found"
    )


def test_spikes_that_differ_are_named_in_the_order_of_time(kit: Path, tmp_path: Path) -> None:
    golden = (kit / "golden_spikes.csv").read_text().splitlines()
    header, rows = golden[0], sorted(golden[1:], key=lambda line: [int(line.split(",")[k]) for k in (0, 3, 1, 2)])
    sample, population, neuron, step, late = map(int, rows[5].split(","))
    where = f"sample {sample}, step {step}, population 'hidden{population + 1}', neuron {neuron}, register"

    def first(lines: list[str]) -> str:
        (tmp_path / "spikes.csv").write_text("\n".join([header, *lines]))
        return check(kit, tmp_path).first

    assert first(rows[::-1]) == ""
    assert first(rows[:5] + rows[6:-1]) == f"{where} flag: a spike is due, none was found"
    assert first([*rows, rows[5]]) == f"{where} flag: a spike is not due"
    changed = f"{sample},{population},{neuron},{step},{late + 1}"
    assert first([*rows[:5], changed, *rows[6:-1]]) == f"{where} lateness: {late} is due, {late + 1} was found"
    assert first(rows[:-1]).endswith("register flag: a spike is due, none was found")
    assert first([f"{sample},99,0,0,0", *rows]) == (
        f"sample {sample}, step 0, population 'number 99', neuron 0, register flag: a spike is not due"
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("spikes.csv", "0,1,2\n", "spikes.csv: line 1: 5 integers are needed: sample, population"),
        ("spikes.csv", "sample,population,neuron,step,lateness\n0,0,0,1,x\n", "spikes.csv: line 2: 5 integers"),
        ("spikes.csv", f"0,0,0,1,{1 << 70}\n", "spikes.csv: line 1: 5 integers"),
        ("traces.csv", "", ""),
        ("counters.json", "[]", "counters.json: not a JSON object"),
        ("counters.json", '{"cores": 3}', "counters.json: a list 'cores' of objects is needed"),
    ],
)
def test_results_of_another_form(kit: Path, tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    if not message:
        assert check(kit, tmp_path).first.endswith("local step 1: the step is missing")
        return
    with pytest.raises(InputError, match=message) as error:
        check(kit, tmp_path)
    assert "\n" not in str(error.value)


def test_wrong_folders(kit: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of traces\.csv, spikes\.csv, outputs\.csv, counters\.json is there"):
        check(kit, tmp_path)
    with pytest.raises(InputError, match="no folder of results"):
        check(kit, tmp_path / "nothing")
    with pytest.raises(InputError, match=r"kit\.json is missing"):
        check(tmp_path, tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(kit, copy)
    golden_results(kit, tmp_path)
    change(copy / "golden_spikes.csv", 0, 4)
    with pytest.raises(InputError, match=r"golden_spikes.csv: missing or changed since the kit was made"):
        check(copy, tmp_path)
    (copy / "kit.json").write_text('{"format": "other"}')
    with pytest.raises(InputError, match="no qif2hw conformance kit of schema 1"):
        check(copy, tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"traces": [{}]},
        {"traces": {}},
        {"traces": [{"trace": 0, "population": 99, "neuron": 0}]},
        {"traces": [{"trace": 0, "population": "a", "neuron": 0}]},
        {"populations": [3]},
        {"outputs": [{"neurons": 1 << 60}]},
        {"outputs": [{"neurons": 2.5}]},
        {"outputs": None},
    ],
    ids=str,
)
def test_a_damaged_kit(kit: Path, tmp_path: Path, changed: dict[str, object]) -> None:
    copy, results = tmp_path / "copy", tmp_path / "results"
    shutil.copytree(kit, copy)
    results.mkdir()
    golden_results(kit, results)
    about = json.loads((copy / "kit.json").read_text())
    (copy / "kit.json").write_text(json.dumps(about | changed))
    with pytest.raises(InputError, match=r"kit\.json: damaged$"):
        check(copy, results)


def test_registers_that_are_not_those_of_the_kit(kit: Path, tmp_path: Path) -> None:
    copy, results = tmp_path / "copy", tmp_path / "results"
    shutil.copytree(kit, copy)
    results.mkdir()
    golden_results(kit, results)
    change(results / "traces.csv", 0, 4)
    assert "is due" in check(copy, results).parts[0].difference
    (copy / "registers.json").write_text("{}")
    with pytest.raises(InputError, match=r"registers\.json: missing or changed since the kit was made"):
        check(copy, results)


def test_a_stepped_clock_is_refused() -> None:
    network = stepped_images(SteppedQIF(0.25, 0.0, 0.5))
    bundle = qif2hw.compile(network, calibration=np.zeros((1, network.inputs)))
    with pytest.raises(InputError, match="this bundle has a stepped clock"):
        make_kit(bundle)
