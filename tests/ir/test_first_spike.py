"""The readout of the class by the first spike: its laws, its files, and its classes in every execution."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from networks import ordinary
from parity.conftest import other_engine

import qif2hw
from qif2hw import engine, parity, reference
from qif2hw.bundle import Bundle
from qif2hw.engine import encode, spec
from qif2hw.engine.host import finish, first_spike_order
from qif2hw.errors import InputError
from qif2hw.ir import FirstSpike, Host, Input, MachineOutput, Network, Output, Readout, onnx_io
from qif2hw.parity import sections
from qif2hw.reference.sensitivity import sensitivity
from qif2hw.workers import run_file

CLASSES = ("cat", "dog", "snake")
HOST = Host(
    tuple(Input(f"x{k}", -1.0, 3.0) for k in range(4)), tuple(Output(f"spike of {c}") for c in CLASSES), None, CLASSES
)


def classifier(*, host: Host | None = None, trial: float = 6.5, order: tuple[int, ...] = (0, 1, 2)) -> Network:
    """Four inputs, six hidden neurons, four at the output, three of which stand for a class."""
    rng = np.random.default_rng(0)
    network = ordinary((4, 6, 4))
    projections = tuple(replace(p, weight=2 * rng.normal(size=p.weight.shape)) for p in network.projections)
    last = replace(network.populations[-1], phi0=2.5 + rng.uniform(-0.5, 0.5, 4))
    return replace(
        network, trial=trial, projections=projections, populations=(*network.populations[:-1], last),
        outputs=(FirstSpike("output", np.array(order)),), host=host,
    )  # fmt: skip


def inputs(samples: int = 60) -> np.ndarray:
    return np.random.default_rng(1).random((samples, 4))


times = arrays.arrays(np.float64, (5, 4), elements=st.sampled_from([0.5, 1.0, 1.0 + 2**-40, 2.0, 7.0]))


@settings(max_examples=200, deadline=None)
@given(times, st.permutations(range(4)))
def test_the_class_is_the_first_in_the_order_of_the_times(t: np.ndarray, order: list[int]) -> None:
    readout = FirstSpike("p", np.array(order))
    y = readout.decode(t)
    np.testing.assert_array_equal(readout.label(y), np.argsort(y, axis=1, kind="stable")[:, 0])
    # Without ties the neurons may be listed in any order: the class is the same neuron.
    alone = (t == t.min(axis=1, keepdims=True)).sum(axis=1) == 1
    np.testing.assert_array_equal(np.array(order)[readout.label(y)][alone], t.argmin(axis=1)[alone])


BOUNDS = parity.Bounds(rms=0.5, certified=5.0)
"""For weights far larger than training makes them."""


@cache
def compiled() -> Bundle:
    """Inputs in [0, 1], classes by name."""
    host = replace(HOST, inputs=tuple(Input(f"x{k}") for k in range(4)))
    return qif2hw.compile(classifier(host=host), rounding="nearest")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whole_numbers_have_the_order_of_the_times(data: st.DataObject) -> None:
    program = compiled().program
    grid, depth = program.grid, program.populations[-1].depth
    steps = st.integers(-1, grid.trial_steps)
    step = np.array([[data.draw(steps) for _ in range(4)] for _ in range(3)])
    # Ordinary spikes lie inside the trial: those of a last step that reaches beyond it are late enough.
    step = np.where(step < 1, -1, step + depth)
    least = np.maximum(((step - depth) << grid.lateness_bits) - int(grid.trial / grid.tick), 0)
    late = np.array([[data.draw(st.sampled_from([0, 1, grid.ticks - 1])) for _ in range(4)] for _ in range(3)])
    late = np.where(step < 0, 0, np.clip(late, np.minimum(least, grid.ticks - 1), grid.ticks - 1))
    flush = np.array([[data.draw(st.sampled_from([0, 5, 5, grid.threshold - 1])) for _ in range(4)] for _ in range(3)])
    output = MachineOutput(*(a.astype(np.int32) for a in (step, late, flush >> program.populations[-1].flush_drop)))
    run = finish(program, "engine", output, {}, 0.0)
    order = first_spike_order(program, output)[:, program.first_spike.neuron]
    np.testing.assert_array_equal(np.argsort(order, axis=1, kind="stable"), np.argsort(run.raw, axis=1, kind="stable"))
    np.testing.assert_array_equal(run.label, run.raw.argmin(axis=1))


@pytest.mark.parametrize("trial", [6.5, 2.5])
def test_all_executions_have_its_classes(trial: float) -> None:
    """With a long trial, and one so short that pseudospikes decide many samples."""
    network = classifier(host=HOST, trial=trial)
    x = network.unscaled(inputs())
    bundle = qif2hw.compile(network)
    run, exact = bundle.run(x), reference.run(network, x)
    assert run.ordinary.all() == (trial == 6.5)
    assert len(np.unique(exact.label)) > 1
    np.testing.assert_array_equal(exact.label, exact.y.argmin(axis=1))
    np.testing.assert_array_equal(exact.y, exact.spike_time[:, :3])
    assert np.mean(run.label == exact.label) > 0.9
    step, late = encode(bundle.program, x)
    specified = finish(bundle.program, "spec", *spec.run(bundle.program, step, late), 0.0)
    assert specified.machine == run.machine
    np.testing.assert_array_equal(specified.label, run.label)
    assert engine.run(bundle.program, x, keep="counts").label.tolist() == run.label.tolist()
    again, _ = run_file.from_bytes(run_file.to_bytes(run, "key"))
    np.testing.assert_array_equal(again.label, run.label)


@pytest.mark.lava
@pytest.mark.parametrize("mode", ["fused", "modular"])
def test_lava_has_the_classes_of_the_engine(mode: str) -> None:
    bundle, x = compiled(), inputs(6)
    run, lava = bundle.run(x), bundle.run(x, "lava", mode=mode)
    assert lava.machine == run.machine
    np.testing.assert_array_equal(lava.label, run.label)


def test_files_keep_readout_and_classes(tmp_path: Path) -> None:
    network = classifier(host=HOST, order=(3, 0, 2))
    data = onnx_io.to_bytes(network)
    onnx.checker.check_model(onnx.load_from_string(data))
    assert onnx_io.from_bytes(data) == network
    assert onnx_io.to_bytes(onnx_io.from_bytes(data)) == data
    bundle = qif2hw.compile(network, rounding="nearest")
    loaded = qif2hw.load(bundle.save(tmp_path / "c.qif"))
    assert loaded == bundle
    assert loaded.program.classes == CLASSES
    assert classifier().classes == ("0", "1", "2")
    assert ordinary((4, 6, 4)).classes is None


def test_differences_classify_by_the_largest() -> None:
    names = ("left", "right")
    host = Host(tuple(Input(f"x{k}") for k in range(4)), tuple(Output(name) for name in names), None, names)
    network = replace(ordinary((4, 6, 4)), host=host)
    assert isinstance(network.outputs[0], Readout)
    assert onnx_io.from_bytes(onnx_io.to_bytes(network)) == network
    run = qif2hw.compile(network).run(inputs())
    np.testing.assert_array_equal(run.label, run.y.argmax(axis=1))
    assert reference.run(ordinary((4, 6, 4)), inputs()).label is None


def test_derivatives_are_those_of_the_times() -> None:
    network, x, h = classifier(trial=2.5), inputs(4), 1e-6
    found = sensitivity(network, x)
    assert found.value.shape == (4, 3)
    for k, projection in enumerate(network.projections):
        for place in [(0, 0), (3, 2)]:
            moved = []
            for side in (1, -1):
                weight = projection.weight.copy()
                weight[place] += side * h
                changed = list(network.projections)
                changed[k] = replace(projection, weight=weight)
                moved.append(reference.run(replace(network, projections=tuple(changed)), x).y)
            slope = (moved[0] - moved[1]) / (2 * h)
            np.testing.assert_allclose(
                found.weight[k][(slice(None), *place)].reshape(4, 3), slope, rtol=1e-5, atol=1e-6
            )


def test_parity_knows_classes_and_certifies() -> None:
    network = classifier(host=HOST)
    x = network.unscaled(inputs())
    bundle = qif2hw.compile(network)
    truth = np.array(CLASSES)[reference.run(network, x).label]
    report = parity.check(bundle, x, backends=("reference", "engine"), truth=truth, bounds=BOUNDS)
    assert report.ok
    assert report.certified is not None
    assert report.certified.first.to_dict(report.delta)["violated"] == 0
    found = report.to_dict()["classes"]
    assert found["names"] == list(CLASSES)
    assert found["accuracy"]["float"] == 1.0
    assert np.sum(found["confusion"]["engine"]) == len(x)
    assert np.trace(found["confusion"]["engine"]) == round(found["accuracy"]["engine"] * len(x))
    assert found["class_agreement"]["engine"] == 1 - report.changed_class("engine").mean()
    assert any(v.quantity == "samples in another class" for v in report.verdicts)
    page = parity.report.render(report)
    assert "is, taken for" in page
    assert "snake" in page
    unknown = parity.check(bundle, x, backends=("reference", "engine"), bounds=BOUNDS)
    assert unknown.confusion("engine") is None
    assert unknown.classes_to_dict()["accuracy"] is unknown.classes_to_dict()["confusion"] is None
    # A backend that is bit for bit equal has no accuracy of its own.
    again = parity.check(bundle, x, backends=("reference", "engine", other_engine()), truth=truth, bounds=BOUNDS)
    shown = [title for _, title in sections.tiles(again) if title.startswith("accuracy")]
    assert shown == [f"accuracy of {name}" for name in ("reference", "engine = lava (bit for bit)", "float")]
    # Another class for every sample: the matrix has nothing on its diagonal.
    other = (report.runs["engine"].label + 1) % 3
    wrong = parity.check(bundle, x, backends=("reference", "engine"), truth=other)
    assert wrong.accuracy("engine") == 0
    assert np.trace(wrong.confusion("engine")) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FirstSpike("output", np.array([1])), "at least two classes"),
        (lambda: FirstSpike("output", np.array([1, 1])), "a neuron of its own"),
        (lambda: replace(classifier(), outputs=(FirstSpike("output", np.array([0, 9])),)), "neuron 9 of 4"),
        (lambda: replace(classifier(), outputs=2 * classifier().outputs), "only output"),
        (lambda: replace(HOST, classes=("cat",)), "at least two"),
        (lambda: replace(HOST, classes=("cat", "cat", "dog")), "named 2 times"),
        (lambda: classifier(host=replace(HOST, classes=("cat", "dog"))), "names 2 classes"),
        (lambda: parity.check(compiled(), inputs(2), truth=["cat", "cow"]), "label 'cow'"),
        (lambda: parity.check(compiled(), inputs(2), truth=[0, 3]), "labels from 0 to 3"),
        (lambda: parity.check(compiled(), inputs(2), truth=[0.5, 1.0]), "whole numbers or names"),
    ],
)
def test_what_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


def test_a_damaged_description_of_classes_is_refused() -> None:
    model = onnx.load_from_string(onnx_io.to_bytes(classifier(host=HOST)))
    for classes in ("cat", [1, 2, 3], ["cat", "dog"], [["cat"], "dog", "snake"]):
        about = json.loads(model.metadata_props[0].value) | {"classes": classes}
        model.metadata_props[0].value = json.dumps(about)
        with pytest.raises(InputError):
            onnx_io.from_bytes(model.SerializeToString())
