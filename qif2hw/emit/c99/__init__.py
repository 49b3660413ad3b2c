"""The integer machine of a bundle as a self-contained C99 program.

The code is fixed: ``common``, ``trial`` and ``stepped`` hold the specification of each clock in C.  What is generated
are sizes and constants: ``sizes.h``, ``data.c`` and ``golden.c``.
"""

from pathlib import Path

from numpy.typing import ArrayLike

from qif2hw.bundle import AnyBundle, Bundle
from qif2hw.emit.c99 import stepped, trial

_CODE = Path(__file__).parent


def to_c99(bundle: AnyBundle, x: ArrayLike | None = None) -> dict[str, bytes]:
    """The files of a C99 program that runs a compiled network; the same bundle gives the same bytes.

    Parameters
    ----------
    bundle
        Of either clock.
    x
        Inputs (samples, inputs) as `qif2hw.run` takes them; they are written to ``inputs.csv`` as the host encodes
        them, in integers.

    Returns
    -------
    dict
        Contents by file name: ``Makefile``, ``qif.h`` and the rest.

    Raises
    ------
    InputError
        On inputs of a wrong shape or wrong values.
    """
    given = None if x is None else bundle.network.check_inputs(x)
    if isinstance(bundle, Bundle):
        folder, made = "trial", trial.parts(bundle.program, bundle.golden, given)
        left_out = trial.unused(bundle.program)
    else:
        folder, made = "stepped", stepped.parts(bundle.program, bundle.golden, given)
        left_out = set()
    code = [path for name in ("common", folder) for path in sorted((_CODE / name).iterdir()) if path.is_file()]
    fixed = {path.name: path.read_bytes() for path in code if path.name not in left_out}
    return fixed | {name: text.encode() for name, text in made.items()}


__all__ = ["to_c99"]
