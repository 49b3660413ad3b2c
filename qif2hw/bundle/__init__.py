"""The bundle (``.qif``): a compiled network on disk, readable without this project.

A folder or a zip of seven parts; ``docs/bundle.md`` describes them.  No part is used before its size and
sha256 have been compared with the manifest.  The same model and options give the same bytes.  Loading the
program (`load_program`) needs numpy and safetensors; the source model also needs onnx.
"""

from qif2hw.bundle.artefact import AnyBundle, Bundle, SteppedBundle, load, load_any, load_program, make, versions
from qif2hw.bundle.container import FORMAT, MAX_BYTES, SCHEMA, check_writable, is_folder_of_bundles
from qif2hw.bundle.golden import Golden, SteppedGolden

__all__ = [
    "FORMAT",
    "MAX_BYTES",
    "SCHEMA",
    "AnyBundle",
    "Bundle",
    "Golden",
    "SteppedBundle",
    "SteppedGolden",
    "check_writable",
    "is_folder_of_bundles",
    "load",
    "load_any",
    "load_program",
    "make",
    "versions",
]
