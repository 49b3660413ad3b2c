"""One option and one function for the number of threads, and results that do not depend on it."""

import json
import os
import subprocess
import sys

import numba
import pytest
import threadpoolctl
import torch

from qif2hw.errors import InputError
from qif2hw.thread_count import NAMES, at_most

SHOW = "import numba, torch; print([numba.get_num_threads(), torch.get_num_threads()])"


def blas() -> set[int]:
    return {lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"}


def test_pools_here_and_in_processes_that_are_started() -> None:
    before = numba.get_num_threads(), torch.get_num_threads(), blas(), {name: os.environ.get(name) for name in NAMES}
    with at_most(1):
        assert (numba.get_num_threads(), torch.get_num_threads(), blas()) == (1, 1, {1})
    assert before == (numba.get_num_threads(), torch.get_num_threads(), blas(), {n: os.environ.get(n) for n in NAMES})
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    code = f"""
import subprocess, sys
from qif2hw.thread_count import at_most
with at_most(1): subprocess.run([sys.executable, "-c", {SHOW!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1, 1]


def test_numbers_that_cannot_be_had() -> None:
    with pytest.raises(InputError, match="threads = 0: at least one"), at_most(0):
        pass
    most = numba.config.NUMBA_NUM_THREADS
    with pytest.raises(InputError, match="set NUMBA_NUM_THREADS before the start"), at_most(most + 1):
        pass


@pytest.mark.parametrize(
    ("given", "spin"), [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_do_not_spin_for_long_unless_asked_to(given: dict[str, str], spin: str | None) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import qif2hw, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", code], env=clean | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(spin)


@pytest.mark.slow
def test_the_same_bytes_on_any_number_of_threads() -> None:
    """Training, with float weights and on the grid, and compiling what it gives."""
    code = """
import hashlib
from dataclasses import replace
import numpy as np, qif2hw
from qif2hw.experiments import tasks
from qif2hw.train import train
for name, bits in (("ripple", None), ("parabola", 4), ("burgers_pinn", None)):
    result = train(tasks.get(name), steps=12, weight_bits=bits)
    bundle = qif2hw.compile(result.network, steps=128)
    y = bundle.run(np.random.default_rng(0).random((300, bundle.program.inputs)), "reference", clip=True).y
    for data in (*bundle.parts().values(), y.tobytes()): print(hashlib.sha256(data).hexdigest())
"""
    one, two = (
        subprocess.run([sys.executable, "-c", code], env=os.environ | dict.fromkeys(NAMES, n), capture_output=True)
        for n in ("1", "2")
    )
    assert one.returncode == two.returncode == 0, one.stderr + two.stderr
    assert one.stdout == two.stdout
