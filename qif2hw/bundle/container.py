"""The outside of a bundle: named parts and a manifest in a folder or a zip, verified before they are read."""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeAlias

from qif2hw import files
from qif2hw.errors import InputError
from qif2hw.files import BROKEN_ZIP, Region, check_replaceable, open_file, reason, write_by, write_folder
from qif2hw.ir.large import LARGE, Pieces, bytes_of, size_of

FORMAT = "qif2hw bundle"
SCHEMA = 1
MAX_BYTES = 256 * 2**20
"""Limit of what is compressed, unpacked; what lies in a file as it is may be as large as the file."""

_BLOCK = 1 << 22
"""Bytes that are copied at a time."""

MANIFEST = "manifest.json"
PARTS = (
    "README.txt",
    "golden.safetensors",
    "model.onnx",
    "program.json",
    "program.safetensors",
    "report.json",
)

Json: TypeAlias = dict[str, Any]


def to_json(value: Json) -> bytes:
    """The one way in which a bundle writes JSON."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def from_json(data: bytes) -> Json:
    """A JSON object; `InputError` if the text is none."""

    def refuse(constant: str) -> None:
        raise InputError(f"it holds {constant}, which is no JSON")

    try:
        value = json.loads(data.decode(), parse_constant=refuse)
    except InputError:
        raise
    except (ValueError, RecursionError):
        raise InputError("not a JSON text, or a damaged one") from None
    if not isinstance(value, dict):
        raise InputError("not a JSON object")
    return value


@contextmanager
def naming(path: str | os.PathLike[str], part: str) -> Iterator[None]:
    """Name the bundle and the part in an `InputError` from inside."""
    try:
        yield
    except InputError as error:
        # Names come from the file and may hold line breaks; an error is one line.
        raise InputError(f"{os.fspath(path)}: part '{part}': {' '.join(str(error).split())}") from None


def is_folder_of_bundles(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder that is no bundle itself."""
    return os.path.isdir(path) and not (Path(path) / MANIFEST).exists()  # noqa: PTH112  # see `_is_folder`


def with_manifest(parts: Mapping[str, Pieces], about: Json) -> dict[str, Pieces]:
    """All parts of a bundle, the manifest first; ``about`` holds its entries besides sizes and sha256."""
    listed = {name: {"size": size_of(data), "sha256": _digest(bytes_of(data))} for name, data in sorted(parts.items())}
    manifest = {"format": FORMAT, "schema": SCHEMA, **about, "parts": listed}
    return {MANIFEST: to_json(manifest | {"sha256": _sha256(to_json(manifest))}), **parts}


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` if no bundle can be written later under ``path``."""
    if _is_folder(path):
        check_replaceable(path, (MANIFEST, *PARTS))
    else:
        files.check_writable(path)


def write(path: str | os.PathLike[str], parts: Mapping[str, Pieces]) -> Path:
    """Write parts: to a folder if ``path`` ends in ``/`` or is a folder already, else to a zip."""
    if _is_folder(path):
        return write_folder(path, {n: d if isinstance(d, bytes) else partial(_fill, d) for n, d in parts.items()})
    return write_by(path, partial(_zip, parts))


def _is_folder(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).endswith(("/", os.sep)) or os.path.isdir(path)  # noqa: PTH112  # False of a name that is too long


def read(path: str | os.PathLike[str]) -> tuple[Json, dict[str, Region]]:
    """Manifest and parts of a bundle, every part verified; large ones are copied to files without a name.

    Raises
    ------
    InputError
        If this is no bundle, or a part is missing, unknown, too large or damaged; the message names the part.
    """
    path = Path(path)
    parts = _read_folder(path) if os.path.isdir(path) else _read_zip(path)  # noqa: PTH112  # see `_is_folder`
    if MANIFEST not in parts:
        raise InputError(f"{path}: not a qif2hw bundle ('{MANIFEST}' is missing)")
    for name in parts:
        if name != MANIFEST and name not in PARTS:
            raise InputError(f"{path}: unknown part {name!r}")
    with naming(path, MANIFEST):
        manifest = _manifest(parts.pop(MANIFEST).read())
    for name in PARTS:
        if name not in parts:
            raise InputError(f"{path}: part '{name}' is missing")
        with naming(path, name):
            listed = manifest["parts"][name]
            if parts[name].size != listed["size"]:
                raise InputError(f"damaged ({parts[name].size} bytes, the manifest says {listed['size']})")
            if _digest(parts[name].blocks()) != listed["sha256"]:
                raise InputError("damaged (its sha256 is not the manifest's)")
    return manifest, parts


def _manifest(data: bytes) -> Json:
    manifest = from_json(data)
    if manifest.get("format") != FORMAT:
        raise InputError("not a manifest of a qif2hw bundle")
    if manifest.get("schema") != SCHEMA:
        raise InputError(f"schema version {manifest.get('schema')!r}, this qif2hw reads version {SCHEMA}")
    sealed = {key: value for key, value in manifest.items() if key != "sha256"}
    # Compared as bytes too: JSON leaves freedom (spaces, escapes) in which a changed byte could hide.
    if to_json(manifest) != data or manifest.get("sha256") != _sha256(to_json(sealed)):
        raise InputError("damaged (its sha256 does not fit its text)")
    parts, options, versions = (manifest.get(key) for key in ("parts", "options", "versions"))
    if not (isinstance(parts, dict) and isinstance(options, dict) and isinstance(versions, dict)):
        raise InputError("'parts', 'options' and 'versions' are needed")
    if sorted(parts) != sorted(PARTS):
        odd = min(set(parts) ^ set(PARTS))
        raise InputError(f"it lists the unknown part '{odd}'" if odd in parts else f"it does not list '{odd}'")
    for name, listed in parts.items():
        if not (isinstance(listed, dict) and set(listed) == {"size", "sha256"}):
            raise InputError(f"size and sha256 of '{name}' are needed")
    return manifest


def _read_folder(path: Path) -> dict[str, Region]:
    parts = {}
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    for name in names:
        if name != MANIFEST and name not in PARTS:
            parts[name] = Region.of(b"")
            continue
        part = path / name
        if part.is_symlink() or not part.is_file():
            raise InputError(f"{path}: part '{name}' is no regular file")
        with open_file(part) as file, naming(path, name):
            parts[name] = _copy(file, os.fstat(file.fileno()).st_size)
    return parts


def _read_zip(path: Path) -> dict[str, Region]:
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            return _members(path, archive, file.seek(0, os.SEEK_END))
    except InputError:
        raise
    except BROKEN_ZIP:
        if path.suffix == ".onnx":
            raise InputError(f"{path}: a model, a bundle is needed: qif2hw compile makes one of it") from None
        raise InputError(f"{path}: not a qif2hw bundle, or a damaged one (neither a folder nor a whole zip)") from None


def _members(path: Path, archive: zipfile.ZipFile, on_disk: int) -> dict[str, Region]:
    parts: dict[str, Region] = {}
    total = {zipfile.ZIP_STORED: 0, zipfile.ZIP_DEFLATED: 0}
    for member in archive.infolist():
        name = member.filename
        if name in parts:
            raise InputError(f"{path}: part '{name}' is there twice")
        if name != MANIFEST and name not in PARTS:
            raise InputError(f"{path}: unknown part {name!r}")
        with naming(path, name):
            if member.flag_bits & 1 or member.compress_type not in total:
                raise InputError("encrypted, or compressed in another way than deflate")
        total[member.compress_type] += member.file_size
        if total[zipfile.ZIP_DEFLATED] > MAX_BYTES or total[zipfile.ZIP_STORED] > on_disk:
            raise InputError(
                f"{path}: part '{name}' is too large (the limit of what is compressed is {MAX_BYTES} bytes)"
            )
        with naming(path, name):
            try:
                with archive.open(member) as file:
                    parts[name] = _copy(file, member.file_size)
            except BROKEN_ZIP:
                raise InputError("damaged (it does not unpack)") from None
    return parts


def _copy(file: IO[bytes], size: int) -> Region:
    """Bytes of an open file, which can change once they are verified: large ones in a file of their own."""
    try:
        copy: IO[bytes] = tempfile.TemporaryFile() if size >= LARGE else io.BytesIO()  # noqa: SIM115
        # Never more than the size it claims: what unpacks to more is damaged.
        left = size + 1
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            copy.write(block)
            left -= len(block)
        copy.flush()
    except OSError as error:
        raise InputError(f"cannot be read ({reason(error)})") from None
    return Region(copy)


def _zip(parts: Mapping[str, Pieces], file: BinaryIO) -> None:
    # Stored: the bytes of deflate depend on the zlib at hand, and weights hardly shrink.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            member.external_attr = 0o644 << 16
            member.file_size = size_of(data)
            with archive.open(member, "w") as opened:
                _fill(data, opened)


def _fill(data: Pieces, file: IO[bytes]) -> None:
    for block in bytes_of(data):
        file.write(block)


def _sha256(data: bytes) -> str:
    return _digest([data])


def _digest(blocks: Iterable[bytes | memoryview]) -> str:
    found = hashlib.sha256()
    for block in blocks:
        found.update(block)
    return found.hexdigest()
