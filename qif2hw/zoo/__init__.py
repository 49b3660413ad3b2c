"""Trained networks that come with the package: compile and run them without training.

One for each task of `qif2hw.experiments.tasks`, in the ordinary regime, with weights on the 8-bit grid: ``NAME.onnx``
is the model, ``NAME.qif`` the bundle with the target ``loihi2``, ``NAME-microcode.qif`` that with ``loihi2-microcode``.
Problems and errors are in docs/results.md; ``qif2hw reproduce --zoo FOLDER`` trains them and writes these files.
"""

from pathlib import Path

from qif2hw import bundle as bundles
from qif2hw.bundle import Bundle
from qif2hw.errors import InputError
from qif2hw.ir import Network, onnx_io

HOME = Path(__file__).parent
TARGETS = {"loihi2": "", "loihi2-microcode": "-microcode"}
"""Targets of the bundles, with what stands behind a network's name in the bundle's."""


def names() -> tuple[str, ...]:
    """Names of the networks."""
    return tuple(sorted(path.stem for path in HOME.glob("*.onnx")))


def model(name: str) -> Path:
    """Path of a network's ONNX file, for ``qif2hw compile``; `InputError` if there is no such network."""
    return _path(name, ".onnx")


def network(name: str) -> Network:
    """A float network; `InputError` if there is no such network."""
    return onnx_io.load(model(name))


def bundle(name: str, target: str = "loihi2") -> Bundle:
    """A compiled network: ``qif2hw.zoo.bundle("ripple").run(x)``.

    Parameters
    ----------
    name
        Of the network.
    target
        One of `TARGETS`.

    Raises
    ------
    InputError
        If there is no such network, or none for this target.
    """
    if target not in TARGETS:
        raise InputError(f"the zoo has no bundles for the target '{target}': known are {', '.join(TARGETS)}")
    return bundles.load(_path(name, f"{TARGETS[target]}.qif"))


def _path(name: str, suffix: str) -> Path:
    if name not in names():
        raise InputError(f"there is no network '{name}' in the zoo: known are {', '.join(names())}")
    return HOME / f"{name}{suffix}"


__all__ = ["HOME", "TARGETS", "bundle", "model", "names", "network"]
