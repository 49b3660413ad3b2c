"""Trained networks that come with the package: compile and run them without training.

One for each task of `qif2hw.experiments.tasks`, in the ordinary regime, for some another, more exact one whose inputs
are encoded by receptive fields (``TASK_fields``), and classifiers in time steps (`STEPPED`); all with weights on the
8-bit grid: ``NAME.onnx`` is the model, ``NAME.qif`` the bundle with the target ``loihi2``, and but for the classifiers
``NAME-microcode.qif`` that with ``loihi2-microcode``.  Problems and errors are in docs/results.md;
``qif2hw reproduce --zoo FOLDER`` trains them and writes these files.
"""

from pathlib import Path
from typing import Literal, overload

from qif2hw import bundle as bundles
from qif2hw.bundle import AnyBundle, Bundle, SteppedBundle
from qif2hw.errors import InputError
from qif2hw.ir import Network, onnx_io
from qif2hw.ir.stepped import AnyNetwork, SteppedNetwork
from qif2hw.zoo import description

HOME = Path(__file__).parent
STEPPED = ("digits",)
"""Those with a stepped clock: images in, classes out."""
ENCODED = "_fields"
"""What stands behind a task's name in that of its network with receptive fields."""
TARGETS = {"loihi2": "", "loihi2-microcode": "-microcode"}
"""Targets of the bundles, with what stands behind a network's name in the bundle's."""


def names(stepped: bool | None = None) -> tuple[str, ...]:
    """Names of the networks: of all, or of those with (``stepped=True``) or without a stepped clock."""
    every = sorted(path.stem for path in HOME.glob("*.onnx"))
    return tuple(name for name in every if stepped is None or (name in STEPPED) == stepped)


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
def bundle(name: Literal["digits"], target: str = ...) -> SteppedBundle: ...  # type: ignore[overload-overlap]
@overload
def bundle(name: str, target: str = ...) -> Bundle: ...
def bundle(name: str, target: str = "loihi2") -> AnyBundle:
    """A compiled network: ``qif2hw.zoo.bundle("ripple").run(x)``.

    Parameters
    ----------
    name
        Of the network.
    target
        One of `TARGETS`; networks with a stepped clock have the first alone.

    Raises
    ------
    InputError
        If there is no such network, or none for this target.
    """
    known = tuple(TARGETS)[:1] if name in STEPPED else tuple(TARGETS)
    if target not in known:
        raise InputError(f"the zoo has no bundle of '{name}' for the target '{target}': known are {', '.join(known)}")
    return bundles.load_any(_path(name, f"{TARGETS[target]}.qif"))


def describe() -> str:
    """All networks, two lines each: layers and clock; inputs with ranges and units, and outputs with units."""
    return "\n".join(description.describe(name, network(name)) for name in names())


def _path(name: str, suffix: str) -> Path:
    if name not in names():
        raise InputError(f"there is no network '{name}' in the zoo: known are {', '.join(names())}")
    return HOME / f"{name}{suffix}"


__all__ = ["ENCODED", "HOME", "STEPPED", "TARGETS", "bundle", "describe", "model", "names", "network"]
