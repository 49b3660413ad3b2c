"""Trained networks that come with the package: compile and run them without training.

One for each task of `qif2hw.experiments.tasks`, in the ordinary regime, and classifiers in time steps (`STEPPED`); all
with weights on the 8-bit grid: ``NAME.onnx`` is the model, ``NAME.qif`` the compiled bundle.  Problems and errors are
in docs/results.md; ``qif2hw reproduce --zoo FOLDER`` trains them and writes these files.
"""

from pathlib import Path
from typing import Literal, overload

from qif2hw import bundle as bundles
from qif2hw.bundle import AnyBundle, Bundle, SteppedBundle
from qif2hw.errors import InputError
from qif2hw.ir import Network, onnx_io
from qif2hw.ir.stepped import AnyNetwork, SteppedNetwork

HOME = Path(__file__).parent
STEPPED = ("digits",)
"""Those with a stepped clock: images in, classes out."""


def names() -> tuple[str, ...]:
    """Names of the networks."""
    return tuple(sorted(path.stem for path in HOME.glob("*.onnx")))


def model(name: str) -> Path:
    """Path of a network's ONNX file, for ``qif2hw compile``; `InputError` if there is no such network."""
    return _path(name, ".onnx")


@overload
def network(name: Literal["digits"]) -> SteppedNetwork: ...  # type: ignore[overload-overlap]
@overload
def network(name: str) -> Network: ...
def network(name: str) -> AnyNetwork:
    """A float network; `InputError` if there is no such network."""
    return onnx_io.load_any(model(name))


@overload
def bundle(name: Literal["digits"]) -> SteppedBundle: ...  # type: ignore[overload-overlap]
@overload
def bundle(name: str) -> Bundle: ...
def bundle(name: str) -> AnyBundle:
    """A compiled network: ``qif2hw.zoo.bundle("ripple").run(x)``; `InputError` if there is no such network."""
    return bundles.load_any(_path(name, ".qif"))


def _path(name: str, suffix: str) -> Path:
    if name not in names():
        raise InputError(f"there is no network '{name}' in the zoo: known are {', '.join(names())}")
    return HOME / f"{name}{suffix}"


__all__ = ["HOME", "STEPPED", "bundle", "model", "names", "network"]
