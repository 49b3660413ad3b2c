"""The plugin of pytest, in a pytest of its own; the assertions it rests on."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import ordinary

import qif2hw
from qif2hw import parity
from qif2hw.errors import InputError
from qif2hw.ir import onnx_io
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.parity import Bounds, drift
from qif2hw.testing import assert_golden, assert_parity

# The entry point may be installed or not: the module is named, so that it is there once.
PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:qif2hw",
    "-p",
    "qif2hw.testing.plugin",
    "-p",
    "no:cacheprovider",
)

TESTS = """
import qif2hw

def bundle():
    return qif2hw.compile("m.onnx", steps=64, rounding="nearest")

def test_parity(qif2hw_parity):
    qif2hw_parity(bundle())

def test_golden(golden_bundle):
    golden_bundle(bundle(), "goldens/m.qif")
"""


@pytest.fixture(scope="module")
def network() -> qif2hw.Network:
    return ordinary((2, 5, 2), 1)


@pytest.fixture(scope="module")
def bundle(network: qif2hw.Network) -> qif2hw.Bundle:
    return qif2hw.compile(network, steps=64, rounding="nearest")


def test_default_inputs_are_those_of_the_host() -> None:
    """From the whole domain, in the user's units, where an input has several channels."""
    fields = Host((Input("age", 20.0, 80.0, fields=ReceptiveFields(4)),), (Output("y"),))
    bundle = qif2hw.compile(replace(ordinary((4, 5, 2), 1), host=fields), steps=64, rounding="nearest")
    assert assert_parity(bundle, bounds=Bounds(rms=10, certified=10)).samples == 64
    x = parity.default_inputs(bundle, 64)
    assert x.shape == (64, 1)
    assert 20 <= x.min() < 30
    assert 70 < x.max() <= 80


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYTEST, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_goldens_and_properties(network: qif2hw.Network, tmp_path: Path) -> None:
    onnx_io.save(network, tmp_path / "m.onnx")
    (tmp_path / "test_it.py").write_text(TESTS)
    first = call(tmp_path)
    assert first.returncode == 1, first.stdout
    assert "no golden bundle; pytest --update-goldens writes it" in first.stdout
    assert "1 failed, 1 passed" in first.stdout
    assert call(tmp_path, "--update-goldens").returncode == 0
    second = call(tmp_path, "--junit-xml=out.xml", "-W", "error")
    assert second.returncode == 0, second.stdout
    properties = {p.get("name"): p.get("value") for p in ET.parse(tmp_path / "out.xml").iter("property")}
    assert properties["golden bundle"] == "goldens/m.qif"
    assert properties["engine: certificates that the reference contradicts"] == "0"
    assert float(properties["engine: first spikes of the output neurons, RMS error"]) > 0


def test_assert_parity(bundle: qif2hw.Bundle) -> None:
    assert assert_parity(bundle).ok
    with pytest.raises(AssertionError, match="parity is broken\nengine: first spikes of the output neurons, RMS error"):
        assert_parity(bundle, np.random.default_rng(0).random((5, 2)), bounds=Bounds(rms=1e-6))


def test_assert_golden(network: qif2hw.Network, bundle: qif2hw.Bundle, tmp_path: Path) -> None:
    path = tmp_path / "g.qif"
    with pytest.raises(AssertionError, match="no golden bundle"):
        assert_golden(bundle, path)
    assert_golden(bundle, path, update=True)
    assert_golden(bundle, path)
    finer = qif2hw.compile(network, steps=128, rounding="nearest")
    with pytest.raises(AssertionError, match=r"not what the golden bundle gives\n.*\nsteps: 64 -> 128"):
        assert_golden(finer, path)
    assert_golden(finer, path, within=0.2)


def test_drift(network: qif2hw.Network, bundle: qif2hw.Bundle) -> None:
    same = drift(bundle, bundle)
    assert same.same_program
    assert same.within(0.0)
    assert (same.options, same.weights, same.phases) == ({}, {}, {})
    other = qif2hw.compile(ordinary((2, 5, 2), 2), steps=64, rounding="nearest")
    found = drift(bundle, other)
    assert not found.same_network
    assert found.weights == {"input->hidden1": 10, "hidden1->output": 10}
    y = bundle.run(bundle.golden.x).y
    expected = np.linalg.norm(other.run(bundle.golden.x).y - y) / np.linalg.norm(y)
    assert found.result.relative == pytest.approx(expected)
    assert found.to_dict()["result"]["relative"] == pytest.approx(expected)
    with pytest.raises(InputError, match="2 and 3 inputs"):
        drift(bundle, qif2hw.compile(ordinary((3, 5, 2), 2), steps=64, rounding="nearest"))
