"""A bundle, inputs, and a Slurm cluster of one node."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from networks import ordinary

import qif2hw

sys.path.insert(0, str(Path(__file__).parent))
from cluster import Cluster, why_not


class Files(NamedTuple):
    bundle: Path
    inputs: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    home = tmp_path_factory.mktemp("files")
    found = Files(home / "m.qif", home / "x.npy")
    qif2hw.compile(ordinary((3, 6, 5, 2), seed=1), steps=128, rounding="nearest").save(found.bundle)
    np.save(found.inputs, np.random.default_rng(0).random((1000, 3)))
    return found


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    yield found
    found.close()


@pytest.fixture
def slurm(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    for name, value in running.variables.items():
        monkeypatch.setenv(name, value)
    return running
