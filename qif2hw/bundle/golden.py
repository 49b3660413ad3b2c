"""Golden inputs of a bundle, and what every execution of its program must give for them, bit for bit."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, frozen
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import MachineOutput, Run, StepSpikes
from qif2hw.ir.stepped import SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram

Arrays = dict[str, NDArray[Any]]

_SPIKES = ("sample", "neuron", "step", "lateness")


@dataclass(frozen=True, eq=False)
class Golden(ByValue):
    """Inputs of a `Program`, and the spikes that they must give.

    ``x`` has shape (samples, inputs); ``machine`` and ``step_spikes`` are those of a `Run`.
    """

    x: FloatArray
    machine: MachineOutput
    step_spikes: dict[str, StepSpikes]

    MACHINE: ClassVar[tuple[str, ...]] = ("step", "lateness", "flush")

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", frozen(self.x, np.float64))

    def __repr__(self) -> str:
        return f"Golden({len(self.x)} samples, {sum(len(s) for s in self.step_spikes.values())} spikes)"

    @classmethod
    def of(cls, x: FloatArray, run: Run) -> "Golden":
        """From a run of an integer backend on ``x`` (samples, inputs)."""
        assert run.machine is not None
        return cls(x, run.machine, run.step_spikes)

    def matches(self, run: Run) -> bool:
        """Whether a run on ``x`` gave exactly these spikes."""
        return run.machine == self.machine and run.step_spikes == self.step_spikes

    def arrays(self, program: Program) -> Arrays:
        """As arrays for a file: ``x`` (samples, inputs), outputs (samples, output neurons), of spikes (spikes,)."""
        arrays: Arrays = {"x": self.x}
        arrays |= {key: getattr(self.machine, key) for key in self.MACHINE}
        for k, population in enumerate(program.populations):
            spikes = self.step_spikes[population.name]
            arrays |= {f"spikes.{k}.{key}": getattr(spikes, key) for key in _SPIKES}
        return arrays

    @classmethod
    def read(cls, arrays: Arrays, program: Program) -> "Golden":
        """Inverse of `arrays`, of the same shapes; `InputError` names an array that is wrong."""
        names = [p.name for p in program.populations]
        _check_names(arrays, {"x", *cls.MACHINE} | {f"spikes.{k}.{key}" for k in range(len(names)) for key in _SPIKES})
        x = program.check_inputs(arrays["x"])
        outputs = sum(program.population(name).size for name in program.output_populations)
        for key, array in arrays.items():
            if key == "x":
                continue
            shape = (len(x), outputs) if key in cls.MACHINE else arrays[f"{key.rpartition('.')[0]}.sample"].shape
            if array.ndim != len(shape) or (key not in cls.MACHINE and array.ndim != 1):
                shape = ()
            _check_array(key, array, np.int32, shape)
        return cls(
            x,
            MachineOutput(*(arrays[key] for key in cls.MACHINE)),
            {name: StepSpikes(*(arrays[f"spikes.{k}.{key}"] for key in _SPIKES)) for k, name in enumerate(names)},
        )


@dataclass(frozen=True, eq=False)
class SteppedGolden(ByValue):
    """Inputs of a `SteppedProgram`, and what they must give.

    Parameters
    ----------
    x
        Inputs (samples, 1 or time steps, inputs).
    y
        Results (samples, outputs).
    spikes
        Whether neurons spiked, (samples, time steps, neurons) by population.
    """

    x: FloatArray
    y: FloatArray
    spikes: dict[str, NDArray[np.bool_]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", frozen(self.x, np.float64))

    def __repr__(self) -> str:
        return f"SteppedGolden({len(self.x)} samples, {sum(int(s.sum()) for s in self.spikes.values())} spikes)"

    @classmethod
    def of(cls, x: FloatArray, run: SteppedRun) -> "SteppedGolden":
        """From a run of an integer backend on ``x`` (samples, 1 or time steps, inputs)."""
        return cls(x, run.y, run.spikes)

    def matches(self, run: SteppedRun) -> bool:
        """Whether a run on ``x`` gave exactly these spikes and results."""
        same = set(run.spikes) == set(self.spikes)
        return (
            same
            and np.array_equal(run.y, self.y)
            and all(np.array_equal(run.spikes[name], fired) for name, fired in self.spikes.items())
        )

    def arrays(self, program: SteppedProgram) -> Arrays:
        """As arrays for a file; spikes (samples, time steps, bytes) are packed, eight neurons a byte."""
        names = [p.name for p in program.populations]
        packed = {f"spikes.{names.index(name)}": np.packbits(fired, axis=2) for name, fired in self.spikes.items()}
        return {"x": self.x, "y": self.y, **packed}

    @classmethod
    def read(cls, arrays: Arrays, program: SteppedProgram) -> "SteppedGolden":
        """Inverse of `arrays`, of the same shapes; `InputError` names an array that is wrong."""
        spiking = {f"spikes.{k}": p for k, p in enumerate(program.populations) if p.spiking}
        _check_names(arrays, {"x", "y", *spiking})
        x = program.check_inputs(arrays["x"])
        _check_array("y", arrays["y"], np.float64, (len(x), program.results))
        spikes = {}
        for key, population in spiking.items():
            shape = (len(x), program.clock.count, -(-population.size // 8))
            _check_array(key, arrays[key], np.uint8, shape)
            spikes[population.name] = np.unpackbits(arrays[key], axis=2, count=population.size).astype(bool)
        return cls(x, arrays["y"], spikes)


def _check_names(arrays: Arrays, wanted: set[str]) -> None:
    if set(arrays) != wanted:
        odd = min(set(arrays) ^ wanted)
        raise InputError(f"array '{odd}' is {'unknown' if odd in arrays else 'missing'}")


def _check_array(name: str, array: NDArray[Any], kind: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != kind or array.shape != shape:
        raise InputError(f"array '{name}' has type {array.dtype} and shape {array.shape}")
