"""The library as a user of Python sees it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import ordinary

import qif2hw
from qif2hw import api
from qif2hw.errors import InputError
from qif2hw_deploy import loihi2


def test_names_of_the_package() -> None:
    for name in qif2hw.__all__:
        assert getattr(qif2hw, name) is not None
    assert set(qif2hw.__all__) <= set(dir(qif2hw))
    with pytest.raises(AttributeError, match="no attribute 'zebra'"):
        qif2hw.zebra  # type: ignore[attr-defined]


def test_import_is_light() -> None:
    heavy = ("numpy", "torch", "numba", "onnx", "click", "lava", "matplotlib", "safetensors", "qif2hw_lava")
    code = f"import sys, qif2hw, qif2hw.backends; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_compile_load_run_check(tmp_path: Path) -> None:
    network = ordinary((2, 5, 2), seed=3)
    qif2hw.save(network, tmp_path / "m.onnx")
    assert qif2hw.load_model(tmp_path / "m.onnx") == network
    bundle = qif2hw.compile(tmp_path / "m.onnx", steps=128)
    assert bundle == qif2hw.compile(network, steps=128)
    typical = qif2hw.compile(network, steps=128, calibration=np.full((40, 2), 0.25))
    assert typical.options["calibration"] != bundle.options["calibration"] is None
    loaded = qif2hw.load(bundle.save(tmp_path / "m.qif"))
    x = np.random.default_rng(0).random((9, 2))
    run = loaded.run(x)
    np.testing.assert_array_equal(run.y, qif2hw.run(tmp_path / "m.qif", x).y)
    assert np.abs(run.y - loaded.run(x, "reference").y).max() < 0.05
    assert qif2hw.parity.check(loaded, x).backends == ("reference", "engine")


def test_golden_inputs_are_the_same_everywhere() -> None:
    x = api.golden_inputs(20)
    assert x.shape == (17, 20)
    np.testing.assert_array_equal(np.sort(x, axis=0), np.repeat(np.arange(17)[:, None] / 16, 20, axis=1))
    assert len({tuple(column) for column in x.T}) == 16


def test_wrong_arguments() -> None:
    network = ordinary((1, 2, 2))
    with pytest.raises(InputError, match=r"unknown option 'bits': known are target, weight_bits"):
        qif2hw.compile(network, bits=8)
    bundle = qif2hw.compile(network, steps=64)
    with pytest.raises(InputError, match=r"unknown backend 'gpu': known are engine, lava, loihi2, reference"):
        bundle.run([[0.5]], "gpu")
    with pytest.raises(InputError, match=r"backend 'engine' has no option 'mode': its options are keep"):
        bundle.run([[0.5]], mode="fused")
    with pytest.raises(InputError, match=r"backend 'lava' has no option 'speed': its options are mode, timeout"):
        bundle.run([[0.5]], "lava", speed=1)
    with pytest.raises(InputError, match=r"\(samples, 1\) is needed"):
        bundle.run([0.5])
    with pytest.raises(InputError, match="every value must be scaled"):
        bundle.run([[1.5]], "reference")
    with pytest.raises(InputError, match="nothing has run on a chip yet"):
        bundle.run([[0.5]], "loihi2")


def test_loihi2_is_never_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PARTITION", "BOARD", "NXSDKHOST"):
        monkeypatch.delenv(name, raising=False)
    reason = loihi2.missing()
    assert reason is not None
    for part in ("extension", "models of the neuron", "a board", "nothing has run on a chip yet"):
        assert part in reason
