"""CUBA neurons against Lava's own: the code of its process model, run on plain arrays in a Python that has it."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from qif2hw.engine.stepped import spec
from qif2hw.ir.stepped_program import CubaStep, SteppedProgramPopulation
from qif2hw_lava import Interpreter

pytestmark = pytest.mark.lava

TOP = 1 << 23
STEPS, NEURONS = 6, 50

# Steps of PyLifModelBitAcc from given states, for each case: what it holds and whether it fired.
SCRIPT = """
import sys
from types import SimpleNamespace
import numpy as np
from lava.proc.lif.models import PyLifModelBitAcc as Lava

cases = np.load(sys.argv[1])
u, v, fired = [], [], []
for k, (du, dv, threshold, bias) in enumerate(cases["parameters"]):
    model = SimpleNamespace(
        u=cases["start"][k, 1].astype(np.int32), v=cases["start"][k, 0].astype(np.int32), du=du - 1, dv=dv, ds_offset=1,
        dm_offset=0, effective_bias=np.int32(bias << 6), max_uv_val=1 << 23, decay_shift=12, decay_unity=4096,
        act_shift=6, vth_shift=6, vth=np.int32(threshold))
    Lava.scale_threshold(model)
    for given in cases["given"][k]:
        Lava.subthr_dynamics(model, given.astype(np.int32))
        spikes = Lava.spiking_activation(model)
        Lava.reset_voltage(model, spikes)
        u.append(model.u.copy()), v.append(model.v.copy()), fired.append(spikes)
np.savez(sys.argv[2], u=u, v=v, fired=fired)
"""


def test_steps_are_those_of_lava(lava: Interpreter, tmp_path: Path) -> None:
    """Any state, inputs up to those at which currents wrap around and voltages saturate."""
    rng = np.random.default_rng(0)
    cases = 300
    parameters = np.stack(
        [
            rng.choice([1, 128, 1024, 4096, *rng.integers(1, 4097, 20)], cases),
            rng.choice([0, 1, 128, 4096, *rng.integers(0, 4097, 20)], cases),
            rng.choice([0, 25, 80, 131071, *rng.integers(0, 131072, 20)], cases),
            rng.integers(-4096, 4096, cases),
        ],
        axis=1,
    )
    size = rng.choice([3, 1000, 100_000], cases)
    start = rng.integers(-TOP + 1, TOP, (cases, 2, NEURONS)) // rng.choice([1, 10_000], cases)[:, None, None]
    given = rng.integers(-size, size + 1, (STEPS, NEURONS, cases)).transpose(2, 0, 1)
    np.savez(tmp_path / "cases.npz", parameters=parameters, start=start, given=given)
    command = [lava.path, "-c", SCRIPT, tmp_path / "cases.npz", tmp_path / "lava.npz"]
    subprocess.run([str(part) for part in command], check=True)
    expected = np.load(tmp_path / "lava.npz")
    row, wrapped, spiked = 0, 0, 0
    for (du, dv, threshold, bias), state, inputs in zip(parameters, start, given, strict=True):
        own = CubaStep(np.array([du]), np.array([dv]), np.array([threshold << 6]))
        population = SteppedProgramPopulation("p", (1, 5, 10), own, np.array([bias << 6]), np.ones(1))
        registers = state[:, None]
        for x in inputs:
            before = registers[1]
            registers, fired = spec.step(population, registers, (x[None] << 6) + (bias << 6))
            assert np.array_equal(registers[0, 0], expected["v"][row])
            assert np.array_equal(registers[1, 0], expected["u"][row])
            assert np.array_equal(fired[0] > 0, expected["fired"][row])
            wrapped += int((np.abs(registers[1] - before) > TOP).sum())
            spiked += int(fired.sum())
            row += 1
    assert wrapped > 100
    assert 0.05 < spiked / (row * NEURONS) < 0.95
