"""What a parity check runs, in pieces that can be run shard by shard."""

from collections.abc import Mapping, Sequence
from typing import Any

from qif2hw.backends import Backend, options_for
from qif2hw.bundle import AnyBundle, Bundle
from qif2hw.workers.folder import Piece


def pieces(compiled: AnyBundle, backends: Sequence[Backend], options: Mapping[str, Any]) -> list[list[Piece]]:
    """What `qif2hw.parity.check` runs of a bundle, by backend."""
    found = []
    for backend in backends:
        given = options_for(backend.execution(compiled.program), options)
        network = compiled.program.network() if isinstance(compiled, Bundle) else compiled.network
        runs = [Piece(backend.name, backend, compiled.program if backend.runs == "program" else network, given)]
        if backend.name == "reference" and isinstance(compiled, Bundle):
            runs.append(Piece("float", backend, compiled.network))
        found.append(runs)
    return found
