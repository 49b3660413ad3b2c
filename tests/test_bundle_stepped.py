"""Bundles of networks with a stepped clock."""

from pathlib import Path

import numpy as np
import pytest
from networks import ordinary, stepped_images, whole_images, whole_inputs

import qif2hw
from qif2hw import backends
from qif2hw import bundle as bundles
from qif2hw.engine import stepped as engine
from qif2hw.errors import InputError
from qif2hw.ir import onnx_io
from qif2hw.reference import stepped as reference

X = np.random.default_rng(1).normal(0.3, 1, (40, 2, 8, 8))


def test_whole_numbers_and_delays_are_kept(tmp_path: Path) -> None:
    x = whole_inputs(9, 12)
    made = qif2hw.compile(whole_images(), calibration=x)
    again = bundles.load_any(made.save(tmp_path / "m.qif"))
    assert again == made
    assert again.golden.matches(again.run(x))  # type: ignore[arg-type]
    assert again.golden.matches(again.run(x, "reference"))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bundle() -> bundles.SteppedBundle:
    return qif2hw.compile(stepped_images(), calibration=X)


def test_saved_and_loaded(bundle: bundles.SteppedBundle, tmp_path: Path) -> None:
    path = bundle.save(tmp_path / "m.qif")
    again = bundles.load_any(path)
    assert again == bundle
    assert again.parts() == bundle.parts()
    assert qif2hw.compile(bundle.network, calibration=X).parts() == bundle.parts()
    folder = bundle.save(f"{tmp_path / 'folder'}/")
    assert bundles.load_any(folder) == bundle
    model = onnx_io.save(bundle.network, tmp_path / "m.onnx")
    assert qif2hw.compile(model, calibration=X) == bundle
    for read in (bundles.load, bundles.load_program):
        with pytest.raises(InputError, match=r"m\.qif: a bundle with a stepped clock"):
            read(path)
    assert qif2hw.load(path) == bundle
    assert qif2hw.load_model(model) == bundle.network
    assert len(repr(bundle).splitlines()) < 12


def test_runs_on_the_backends_that_can(bundle: bundles.SteppedBundle) -> None:
    assert bundle.golden.matches(bundle.run(bundle.golden.x))
    many = np.random.default_rng(2).normal(0.3, 1, (400, 2, 8, 8))
    exact = bundle.run(many, "reference")
    run = bundle.run(many)
    assert (run.label == exact.label).mean() > 0.9
    assert run.backend == "engine"
    for name in backends.names():
        if name not in ("engine", "reference", "lava"):
            with pytest.raises(InputError, match=f"backend '{name}'"):
                bundle.run(X, name)
    with pytest.raises(InputError, match="inputs have shape"):
        bundle.run(X[:, :1])


@pytest.mark.parametrize("backend", ["engine", "reference"])
def test_counts_alone_are_those_of_all_spikes(
    bundle: bundles.SteppedBundle, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks of one sample and of many, the last one smaller; progress goes up to all steps of all samples."""
    once = bundle.run(X, backend)
    for most in (1, 8, 64):
        monkeypatch.setattr(engine, "MOST_SAMPLES", most)
        monkeypatch.setattr(reference, "MOST_SAMPLES", most)
        whole = bundle.run(X, backend)
        assert set(whole.spikes) == set(whole.counts) == {"first", "second"}
        # Float sums depend on how many samples a product takes.
        np.testing.assert_allclose(whole.y, once.y, rtol=1e-12 * (backend == "reference"), atol=0)
        seen: list[tuple[int, int]] = []
        run = bundle.run(X, backend, keep="counts", progress=lambda done, total, seen=seen: seen.append((done, total)))
        assert run.spikes == {}
        assert np.array_equal(run.y, whole.y)
        assert np.array_equal(run.label, whole.label)
        for name, fired in whole.spikes.items():
            assert np.array_equal(run.counts[name], fired.sum(axis=(0, 1)))
            assert run.spikes_per_sample[name] == pytest.approx(fired.sum() / len(X))
            assert np.array_equal(once.spikes[name], fired)
        assert seen[-1] == (160, 160)
        assert len(seen) == -(-40 // most)
    with pytest.raises(InputError, match="keep = nothing: spikes and counts are possible"):
        bundle.run(X, backend, keep="nothing")


@pytest.mark.parametrize("part", ["golden.safetensors", "program.safetensors", "model.onnx"])
def test_a_damaged_part_is_named(bundle: bundles.SteppedBundle, tmp_path: Path, part: str) -> None:
    folder = Path(bundle.save(f"{tmp_path / 'm'}/"))
    data = bytearray((folder / part).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / part).write_bytes(data)
    with pytest.raises(InputError, match=part):
        bundles.load_any(folder)


def test_options_of_the_other_clock_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"unknown option .steps.: known are target, .* for a network with a stepped clock"
    ):
        qif2hw.compile(stepped_images(), calibration=X, steps=512)
    with pytest.raises(InputError, match=r"unknown option 'thresholds': .* for an event-driven network"):
        qif2hw.compile(ordinary((1, 4, 2)), thresholds="layer")
