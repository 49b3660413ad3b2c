"""One compiled network for the parity tests, and backends that give prepared runs."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.nets import random_layers

from qif2hw import engine, reference
from qif2hw.backends import Backend
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.ir import Network, Program, Run


@dataclass(frozen=True)
class Case:
    network: Network
    program: Program
    x: NDArray[np.float64]
    engine: Run
    reference: Run


def compiled(network: Network, **options: int) -> Program:
    """With weights rounded to the nearest: quick, and as good for parity."""
    return compile_network(network, CompileOptions(rounding="nearest", **options)).program


def prepared(name: str, run: Run, exact: bool = False) -> Backend:
    """A backend that gives the same run whatever it is given."""
    return Backend(name, "prepared", "program", lambda program, x: run, exact=exact)


def other_engine() -> Backend:
    """The engine under the name of another exact backend."""
    return Backend("lava", "the engine again", "program", lambda p, x: replace(engine.run(p, x), backend="lava"), True)


@pytest.fixture(scope="session")
def case() -> Case:
    network = random_layers((3, 20, 20, 2), 0)
    program = compiled(network)
    x = np.random.default_rng(0).uniform(size=(40, 3))
    return Case(network, program, x, engine.run(program, x), reference.run(program.network(), x))
