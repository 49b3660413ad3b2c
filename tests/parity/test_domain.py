"""A bound over the whole domain: more than every error that is found in it; resumed, it is the same."""

from pathlib import Path

import numpy as np
import pytest
from oracles.nets import random_layers
from parity.conftest import compiled

from qif2hw import engine, reference, zoo
from qif2hw.engine import encode
from qif2hw.errors import InputError
from qif2hw.parity import certify, certify_domain


def sampled(program, samples):
    x = np.random.default_rng(0).random((samples, program.inputs))
    return np.abs(engine.run(program, x).y - reference.run(program.network(), x).y)


def test_one_input_is_proven_and_resumed(tmp_path: Path) -> None:
    program = compiled(random_layers((1, 6, 2), 3), steps=64, payload_bits=4)
    found = certify_domain(program)
    assert found.share == 1
    largest = sampled(program, 20000).max()
    assert largest <= found.error <= 20 * largest
    # Every input falls into one of the cells that were looked at.
    x = np.random.default_rng(1).random((5000, 1))
    ticks = {tuple(t) for t in np.concatenate(encode(program, x), axis=1)}
    assert len(ticks) <= found.cells
    part = certify_domain(program, most=100, state=tmp_path / "s.json")
    assert part.tried == 100
    seen: list[int] = []
    whole = certify_domain(program, state=tmp_path / "s.json", progress=lambda done, _: seen.append(done))
    assert whole == found
    assert seen[-1] == found.cells
    other = compiled(random_layers((1, 6, 2), 4), steps=64, payload_bits=4)
    with pytest.raises(InputError, match="another program"):
        certify_domain(other, state=tmp_path / "s.json")
    with pytest.raises(InputError, match="a domain of 3 inputs"):
        certify_domain(compiled(random_layers((3, 6, 2), 3), steps=64))


def test_a_cell_holds_for_all_its_inputs() -> None:
    program = zoo.bundle("ricker").program
    rng = np.random.default_rng(0)
    x, half = rng.random((20, 2)), 0.5 * program.grid.tick
    span = program.encoders[0].latest - program.encoders[0].earliest
    found = certify(program, x, reach=half)
    for _ in range(5):
        near = np.clip(x + rng.uniform(-1, 1, x.shape) * 2 * half / span, 0, 1)
        # Those that the machine rounds to the same ticks.
        same = np.all(
            [(a == b).all(axis=1) for a, b in zip(encode(program, x), encode(program, near), strict=True)], axis=0
        )
        error = found.run.y - reference.run(program.network(), near).y
        assert same.any()
        assert (np.abs(error - found.result.estimate) <= found.result.radius)[same].all()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_parabola_is_proven() -> None:
    program = zoo.bundle("parabola").program
    found = certify_domain(program)
    largest = sampled(program, 20000).max()
    print(found, largest)
    assert found.share == 1
    assert largest <= found.error <= 20 * largest
