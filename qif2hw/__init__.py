"""Put networks of QIF neurons on neuromorphic hardware without losing their spike times.

>>> import qif2hw
>>> bundle = qif2hw.compile("model.onnx", weight_bits=8, steps=512)  # doctest: +SKIP
>>> bundle.save("model.qif")  # doctest: +SKIP
>>> run = qif2hw.load("model.qif").run(x)  # doctest: +SKIP
>>> qif2hw.parity.check(bundle, x).ok  # doctest: +SKIP

Names are imported when they are first used: a program next to a chip needs numpy and safetensors only.
"""

import importlib
import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Any

# GNU's OpenMP reads it when it is loaded. Threads that wait for others which have no core would spin for milliseconds,
# and take from them what they wait for; 5000 rounds, a tenth of a millisecond, bridge the gaps of a quiet machine.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")

# numba reads it when it is imported; it would end in many lines, or count the threads itself.
_threads = os.environ.get("NUMBA_NUM_THREADS", "1")
if not (_threads.isdecimal() and int(_threads) > 0) and "numba" not in sys.modules:
    from qif2hw.errors import InputError as _InputError

    raise _InputError(f"NUMBA_NUM_THREADS = {_threads}: a number of threads, 1 or more, is needed, or unset it")

if TYPE_CHECKING:
    from qif2hw import parity as parity
    from qif2hw import physics as physics
    from qif2hw import zoo as zoo
    from qif2hw.api import compile as compile
    from qif2hw.api import load as load
    from qif2hw.api import load_model as load_model
    from qif2hw.api import run as run
    from qif2hw.api import save as save
    from qif2hw.bundle import Bundle as Bundle
    from qif2hw.errors import BackendError as BackendError
    from qif2hw.errors import InputError as InputError
    from qif2hw.ir import Network as Network

__all__ = [
    "BackendError",
    "Bundle",
    "InputError",
    "Network",
    "compile",
    "load",
    "load_model",
    "parity",
    "physics",
    "run",
    "save",
    "zoo",
]

_HOME = {
    "BackendError": "qif2hw.errors",
    "Bundle": "qif2hw.bundle",
    "InputError": "qif2hw.errors",
    "Network": "qif2hw.ir",
    "compile": "qif2hw.api",
    "load": "qif2hw.api",
    "load_model": "qif2hw.api",
    "run": "qif2hw.api",
    "save": "qif2hw.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("qif2hw")
    if name in ("parity", "physics", "zoo"):
        return importlib.import_module(f"qif2hw.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'qif2hw' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
