"""A run in a file, with every bit of it: safetensors, whose array ``about`` is JSON text."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.spikes import MachineOutput, Run, Spikes, StepSpikes
from qif2hw.ir.stepped import AnyRun, SteppedRun

_SPIKES: dict[str, Any] = {"spikes": Spikes, "step_spikes": StepSpikes}


def to_bytes(run: AnyRun, key: str) -> bytes:
    """The bytes of a run; ``key`` says what it is the run of."""
    arrays: dict[str, NDArray[Any]] = {"y": run.y}
    about: dict[str, Any] = {"key": key, "backend": run.backend, "seconds": run.seconds, "counts": [*run.counts]}
    arrays |= {f"counts.{k}": count for k, count in enumerate(run.counts.values())}
    if isinstance(run, SteppedRun):
        about |= {"clock": "stepped", "spikes": [*run.spikes]}
        arrays |= {f"spikes.{k}": fired for k, fired in enumerate(run.spikes.values())}
    else:
        about |= {"clock": "trial", "machine": run.machine is not None}
        arrays |= {"spike_time": run.spike_time, "ordinary": run.ordinary}
        if run.raw is not run.y:
            arrays["raw"] = run.raw
        if run.label is not None:
            arrays["label"] = run.label
        if run.machine is not None:
            arrays |= _fields("machine", run.machine)
        for name in _SPIKES:
            found = getattr(run, name)
            about[name] = [*found]
            for k, spikes in enumerate(found.values()):
                arrays |= _fields(f"{name}.{k}", spikes)
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    return bytes(safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def from_bytes(data: bytes) -> tuple[AnyRun, str]:
    """The run and its key.

    Raises
    ------
    InputError
        If these are not the bytes of a run.
    """
    try:
        arrays = dict(safetensors.numpy.load(data))
        about = json.loads(arrays["about"].tobytes())
        run = _run(about, arrays)
        _check(run)
        return run, str(about["key"])
    except InputError:
        raise
    except (
        safetensors.SafetensorError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise InputError(f"not a run ({type(error).__name__}: {error})") from None


def _run(about: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> AnyRun:
    counts = {name: arrays[f"counts.{k}"] for k, name in enumerate(about["counts"])}
    backend, seconds = str(about["backend"]), float(about["seconds"])
    if about["clock"] == "stepped":
        spikes = {name: arrays[f"spikes.{k}"] for k, name in enumerate(about["spikes"])}
        return SteppedRun(backend, arrays["y"], spikes, seconds, counts)
    machine = _dataclass(MachineOutput, "machine", arrays) if about["machine"] else None
    found = {
        name: {p: _dataclass(kind, f"{name}.{k}", arrays) for k, p in enumerate(about[name])}
        for name, kind in _SPIKES.items()
    }
    return Run(
        backend, arrays["y"], arrays["spike_time"], arrays["ordinary"], found["spikes"], machine, found["step_spikes"],
        seconds, counts, arrays.get("raw", arrays["y"]), arrays.get("label"),
    )  # fmt: skip


def _check(run: AnyRun) -> None:
    """`InputError` unless the arrays belong together."""
    samples = len(run.y)
    whole: dict[str, Any] = {"y": (run.y, 2, "f")}
    lists: list[dict[str, Any]] = []
    if isinstance(run, SteppedRun):
        whole |= {name: (fired, 3, "b") for name, fired in run.spikes.items()}
    else:
        whole |= {"spike_time": (run.spike_time, 2, "f"), "ordinary": (run.ordinary, 2, "b")}
        if run.label is not None:
            whole |= {"label": (run.label, 1, "i")}
        if run.machine is not None:
            whole |= {f.name: (getattr(run.machine, f.name), 2, "i") for f in fields(run.machine)}
        lists = [vars(found) for name in _SPIKES for found in getattr(run, name).values()]
    for name, (array, axes, kind) in whole.items():
        if array.ndim != axes or array.dtype.kind != kind or len(array) != samples:
            raise InputError(f"not a run ({name!r} has shape {array.shape} and type {array.dtype})")
    for found in lists:
        if len({array.shape for array in found.values()}) > 1 or any(array.ndim != 1 for array in found.values()):
            raise InputError("not a run (spikes of different lengths)")
        if any(array.dtype.kind != ("f" if name == "time" else "i") for name, array in found.items()):
            raise InputError("not a run (spikes of another type)")
    if any(count.ndim != 1 or count.dtype.kind != "i" for count in run.counts.values()):
        raise InputError("not a run (counts of another type)")


def _fields(prefix: str, value: Any) -> dict[str, NDArray[Any]]:
    return {f"{prefix}.{f.name}": getattr(value, f.name) for f in fields(value)}


def _dataclass(kind: Any, prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    return kind(*(arrays[f"{prefix}.{f.name}"] for f in fields(kind)))
