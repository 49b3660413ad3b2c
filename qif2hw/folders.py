"""Folders for results: none stays that nothing was put into."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qif2hw.files import check_writable, make_folder


@contextmanager
def made_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder, and those above it; of those that it made, empty ones are removed in the end.

    Raises
    ------
    InputError
        As `qif2hw.files.make_folder`.
    """
    path = Path(path)
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        yield make_folder(path)
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


def check_folder(path: str | os.PathLike[str], names: Collection[str] = ()) -> Path:
    """Whether a folder can be made later, and files ``names`` written into it: for what works long before it writes.

    Raises
    ------
    InputError
        If not.  What is made to find out does not stay.
    """
    with made_folder(path) as folder:
        for name in names:
            check_writable(folder / name)
    return folder
