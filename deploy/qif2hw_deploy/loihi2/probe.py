"""``python -m qif2hw_deploy.loihi2.probe``: print as JSON what this Python has for Loihi 2.

``modules`` are those of Intel's extension that are missing, ``all`` those that are looked for, ``halves`` the entry
points of the vendor's half.  Where all is there, the half is loaded: ``problem`` is why it cannot be used, ``delays``
what it says about the adapters.
"""

import importlib.util
import json
import sys

from qif2hw.errors import InputError
from qif2hw_deploy.loihi2 import half

MODULES = (
    "lava.magma.core.model.nc.model",
    "lava.magma.core.model.c.model",
    "lava.proc.embedded_io.spike",
    "lava.proc.dense.ncmodels",
    "lava.proc.sparse.ncmodel",
    "lava.utils.loihi2_profiler",
)
"""What the adapter imports of the extension, by the names that public code uses."""


def main() -> None:
    """Look, and print."""
    modules = [module for module in MODULES if not _installed(module)]
    answer: dict[str, object] = {"modules": modules, "all": list(MODULES), "halves": half.entries(), "problem": None}
    if not modules and answer["halves"]:
        try:
            found = half.load()
        except InputError as error:
            answer["problem"] = str(error)
        else:
            answer["delays"] = [found.input_delay, found.output_delay]
    # What others printed while they were imported is on a line before.
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    main()
