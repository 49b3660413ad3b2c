"""Steps of single neurons from any registers, at every boundary: emitted C and specification are equal."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emitted import SANITIZED, native
from networks import ordinary, stepped_images, whole_images
from numpy.typing import NDArray

import qif2hw
from qif2hw.bundle import AnyBundle
from qif2hw.compiler.passes.ranges import load_of
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.engine import plane, spec
from qif2hw.engine.stepped import spec as stepped_spec
from qif2hw.ir import PlaneVector, Program, ProgramPopulation
from qif2hw.ir.ptc import STATE_MAX, VECTOR_BITS
from qif2hw.ir.stepped_program import CubaStep, PlaneStep, SteppedProgram

ONE_STEP = Path(__file__).parent / "one_step"
SAMPLES = 4000


def steps(bundle: AnyBundle, folder: Path, rows: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    """What a program of the folder ``one_step`` gives, row by row."""
    native(bundle, None, folder)
    # The machine of event-driven networks is included, for its functions are its own.
    left_out = {"network.c", "selftest.c", "golden.c"} | ({"machine.c"} if name == "trial" else set())
    sources = [path.name for path in folder.glob("*.c") if path.name not in left_out]
    build = ["gcc", "-std=c99", *SANITIZED["gcc"].split(), "-I.", "-o", "one", ONE_STEP / f"{name}.c", *sources]
    subprocess.run(build, cwd=folder, check=True)
    text = "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())
    done = subprocess.run(["./one"], cwd=folder, input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return np.array([line.split(",") for line in done.stdout.splitlines()], np.int64)


def near(rng: np.random.Generator, places: list[int], low: int, high: int, count: int) -> NDArray[np.int64]:
    """Integers in a range, half of them within two of one of the places."""
    anywhere = rng.integers(low, high + 1, count)
    close = rng.choice(places, count) + rng.integers(-2, 3, count)
    return np.clip(np.where(rng.random(count) < 0.5, close, anywhere), low, high)


def states(rng: np.random.Generator, program: Program, p: ProgramPopulation) -> NDArray[np.int64]:
    """Registers, (2, samples); of a phase the second repeats the first."""
    grid = program.grid
    if not isinstance(p.ptc, PlaneVector):
        overshoot = grid.overshoot(p.depth)
        edges = [getattr(p.ptc, "edge", 0), 0, grid.threshold // 2, grid.threshold, overshoot]
        places = [*edges, *(e - grid.increment for e in edges), grid.threshold - grid.increment + overshoot]
        places += [grid.threshold - edges[0], grid.threshold - edges[0] - grid.increment]
        phase = near(rng, places, -grid.increment, grid.threshold - 1, SAMPLES)
        return np.stack([phase, phase])
    long = near(rng, [1 << VECTOR_BITS], 1 << (VECTOR_BITS - 1), 1 << VECTOR_BITS, SAMPLES)
    short = rng.integers(0, 3, SAMPLES)
    angle = near(rng, [0], -(1 << VECTOR_BITS), 1 << VECTOR_BITS, SAMPLES)
    sign = rng.choice([-1, 1], SAMPLES)
    upright = np.stack([angle, long])
    # Beside the axis, on both sides of what a step turns.
    turn = p.ptc.sine * (long >> 1) >> (VECTOR_BITS - 1)
    flat = np.stack([sign * long, np.clip(np.where(short > 0, np.abs(angle) >> 18, turn + (angle >> 20)), 0, long)])
    return np.where(rng.random(SAMPLES) < 0.5, upright, flat)


@pytest.mark.parametrize(
    ("form", "moments", "target"),
    [
        ("cotangent", 1, "loihi2"),
        ("cotangent", 2, "loihi2"),
        ("plane", 1, "loihi2"),
        ("plane", 2, "loihi2"),
        ("grid", 1, "loihi2"),
        ("plane", 1, "loihi2-microcode"),
    ],
)
def test_steps_of_a_trial(tmp_path: Path, form: str, moments: int, target: str) -> None:
    network = ordinary((2, 5, 4, 2), 3, 8.0)
    bundle = qif2hw.compile(
        network, target=target, form=form, lateness_moments=moments, steps=100, table_bits=5, rounding="nearest"
    )
    program, rng, given, due = bundle.program, np.random.default_rng(0), [], []
    last = program.grid.trial_steps
    for k, p in enumerate(program.populations):
        load = load_of(program.incoming(p.name)).largest
        state, neuron = states(rng, program, p), rng.integers(0, p.size, SAMPLES)
        local = rng.choice([0, 1, 2, last - 1, last, last, last, last + 1, last + 1, last + 2], SAMPLES)
        senders = [q.pre for q in program.incoming(p.name) if program.depth[q.pre] > 0]
        drop = max((program.population(name).flush_drop for name in senders), default=0)
        flush = load * ((program.grid.threshold >> drop) + 1)
        weights = near(rng, [0, load, -load], -load, load, SAMPLES) * (rng.random(SAMPLES) < 0.9)
        late = np.where(local > last, min(flush, STATE_MAX), load * (program.grid.ticks - 1))
        payloads, squares = (rng.integers(-late, late + 1) * (rng.random(SAMPLES) < 0.8) for _ in range(2))
        given.append(np.stack([np.full(SAMPLES, k), neuron, local, *state, weights, payloads, squares], axis=1))
        found = np.empty((SAMPLES, 4), np.int64)
        registers = 2 if form == "plane" else 1
        for m in np.unique(local):
            at = local == m
            sent = spec.step(p, program.grid, int(m), state[:registers, at], weights[at], payloads[at], squares[at])
            found[at] = np.stack([sent.flag, sent.payload, sent.state[0], sent.state[-1]], axis=1)
        due.append(found)
    got, wanted = steps(bundle, tmp_path, np.concatenate(given), "trial"), np.concatenate(due)
    np.testing.assert_array_equal(got, wanted)
    local = np.concatenate(given)[:, 2]
    assert 0.05 < wanted[local == last, 0].mean() < 0.95
    assert (wanted[local == last + 1, 1] > 0).mean() > 0.5


def test_plane_vectors_at_the_axis(tmp_path: Path) -> None:
    bundle = qif2hw.compile(ordinary((1, 2, 2), 1), form="plane", steps=64, rounding="nearest")
    rng, long = np.random.default_rng(0), 1 << VECTOR_BITS
    x, y = near(rng, [0, long, -long], -long, long, SAMPLES), near(rng, [0], -long, long, SAMPLES)
    a0, a1, a2 = (near(rng, [0], -(1 << 17), 1 << 17, SAMPLES) for _ in range(3))
    drop = rng.choice([0, 0, 1, 5], SAMPLES)
    parts = [plane.shear(x, y, a0, a1, a2, int(bits)) for bits in (0, 1, 5)]
    sheared = tuple(
        np.select([drop == 0, drop == 1], [zero, one], five) for zero, one, five in zip(*parts, strict=True)
    )
    wanted = np.stack([*sheared, *plane.normalise(*sheared), *plane.cross(x, y)], axis=1)
    np.testing.assert_array_equal(steps(bundle, tmp_path, np.stack([x, y, a0, a1, a2, drop], axis=1), "plane"), wanted)


STEPPED: dict[str, Any] = {
    "plane": stepped_images(SteppedQIF(0.25, 0.0, 0.5), spread=30.0),
    "euler": stepped_images(SteppedQIF(0.25, 0.0, 0.5, kind="euler"), spread=30.0),
    "leak": stepped_images(SteppedLIF(0.5), spread=30.0),
    "cuba": whole_images(),
}


@pytest.mark.parametrize("kind", STEPPED)
def test_steps_of_networks_in_time_steps(tmp_path: Path, kind: str) -> None:
    network = STEPPED[kind]
    bundle = qif2hw.compile(network, calibration=np.zeros((1, network.inputs)))
    program: SteppedProgram = bundle.program
    rng, given, due = np.random.default_rng(0), [], []
    for k, p in enumerate(program.populations):
        own, neuron = p.arithmetic, rng.integers(0, p.size, SAMPLES)
        channel = neuron // (p.size // p.channels)
        threshold = getattr(own, "threshold", None)
        edge = int(threshold.max()) if threshold is not None else 1000
        first = near(rng, [0, edge, -edge], -2 * edge, edge, SAMPLES)
        second = rng.integers(1 << 12, 1 << 13, SAMPLES)
        x = near(rng, [0, edge, -edge], -3 * edge, 3 * edge, SAMPLES)
        if isinstance(own, PlaneStep):
            first = np.minimum(first, own.threshold[channel] - 1)
        if isinstance(own, CubaStep):
            first, second = (near(rng, [0, STATE_MAX, -STATE_MAX], -STATE_MAX, STATE_MAX, SAMPLES) for _ in range(2))
            x = np.where(rng.random(SAMPLES) < 0.5, x, rng.integers(-(1 << 30), 1 << 30, SAMPLES))
        given.append(np.stack([np.full(SAMPLES, k), neuron, first, second, x], axis=1))
        # All neurons with the registers of one sample, of which one is looked at.
        count = len(stepped_spec.start(p))
        state = np.broadcast_to(np.stack([first, second])[:count, :, None], (count, SAMPLES, p.size))
        after, fired = stepped_spec.step(p, state, np.broadcast_to(x[:, None], (SAMPLES, p.size)))
        at = np.arange(SAMPLES), neuron
        due.append(np.stack([fired[at], after[0][at], after[1][at] if count == 2 else second], axis=1))
    got, wanted = steps(bundle, tmp_path, np.concatenate(given), "stepped"), np.concatenate(due)
    np.testing.assert_array_equal(got, wanted)
    assert 0.02 < wanted[:, 0].mean() < 0.98
