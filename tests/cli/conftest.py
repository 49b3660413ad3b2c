"""A model, a bundle and inputs, made once; and a way to call the command line."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner, Result
from networks import ordinary

import qif2hw
from qif2hw.ir import onnx_io
from qif2hw_cli.main import cli


class Kit(NamedTuple):
    model: Path
    bundle: Path
    inputs: Path
    weights: Path


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    home = tmp_path_factory.mktemp("kit")
    found = Kit(home / "m.onnx", home / "m.qif", home / "x.npy", home / "w.npz")
    network = ordinary((3, 6, 5, 2), seed=1)
    onnx_io.save(network, found.model)
    qif2hw.compile(network, steps=256).save(found.bundle)
    np.save(found.inputs, np.random.default_rng(0).random((20, 3)))
    arrays = {f"w{k}": p.weight for k, p in enumerate(network.projections)}
    np.savez(found.weights, phi0=np.concatenate([p.phi0 for p in network.populations]), **arrays)
    return found


class Caller:
    """Calls the command line in this process."""

    def __call__(self, *arguments: object) -> Result:
        result = CliRunner().invoke(cli, [str(a) for a in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def refused(self, *arguments: object) -> str:
        """Call with bad input: exit code 2, nothing on stdout, one line on stderr, which is returned."""
        result = self(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]


@pytest.fixture(scope="session")
def call() -> Caller:
    return Caller()
