"""Every format that is read from files: valid ones, changes of them that reach deep checks, and what uses them."""

import contextlib

from fuzz_data import Inputs, Tables
from fuzz_format import Format
from fuzz_frameworks import Nir, Slayer
from fuzz_models import Bundles, Models, Weights
from fuzz_state import Checkpoints, Jobs, Proofs, Shards, Targets


def formats() -> dict[str, Format]:
    """All formats that can be read here, by name."""
    found: list[Format] = [Bundles(), Models(), Weights(), Inputs(), Tables(), Targets(), Shards(), Jobs(), Proofs()]
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401

        found.append(Checkpoints())
    with contextlib.suppress(ImportError):
        import h5py  # noqa: F401

        found.append(Slayer())
    with contextlib.suppress(ImportError):
        import nir  # noqa: F401

        found.append(Nir())
    return {one.name: one for one in found}
