"""What this installation has, and what it lacks."""

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from qif2hw import backends
from qif2hw.data.images import FASHION_MNIST
from qif2hw.host import machine
from qif2hw.machinecode.cache import folder

NO_EXTRAS = ("dev", "docs")
"""Extras of those who work on qif2hw itself."""

PROGRAMS = {
    "C compiler": (("cc", "gcc", "clang"), "build what `qif2hw emit` writes", "apt-get install gcc"),
    "C compiler for Cortex-M4": (
        ("arm-none-eabi-gcc",), "build it for a microcontroller",
        "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ),
    "emulator for Cortex-M4": (("qemu-system-arm",), "run that without a board", "apt-get install qemu-system-arm"),
    "Slurm": (("sbatch",), "`qif2hw submit`", "apt-get install slurm-client, on a machine of the cluster"),
}  # fmt: skip
"""Programs by what they are: names that are looked for, what needs them, and what brings them (Debian's packages)."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Parameters
    ----------
    what
        What it is.
    found
        Version, place or state; None if it is missing.
    needed_for
        What does not work without it.
    remedy
        The command that brings it; None where nothing is missing.
    """

    what: str
    found: str | None
    needed_for: str = ""
    remedy: str | None = None


def findings() -> Iterator[Finding]:
    """Look for everything, one after the other; nothing is changed and nothing is compiled."""
    about = machine()
    yield Finding("Python", f"{about['python']}, {sys.executable}")
    yield Finding("qif2hw", importlib.metadata.version("qif2hw"))
    yield Finding("processor", f"{about['processor']}, {about['cores']} cores, load {about['load']:.1f}")
    yield Finding("threads of compiled kernels", f"{about['threads']} (NUMBA_NUM_THREADS)")
    yield _machine_code()
    yield from _extras()
    for backend in map(backends.get, backends.names()):
        reason = backend.missing()
        found = f"ready: {backend.title}" if reason is None else None
        yield Finding(f"backend {backend.name}", found, f"running on {backend.title}", reason)
    yield _distribution("lava-dl", "training in SLAYER and netx", "pip install --no-deps lava-dl==0.6.0 (Python 3.10)")
    for what, (names, purpose, remedy) in PROGRAMS.items():
        path = next(filter(None, map(shutil.which, names)), None)
        yield Finding(what, path, purpose, None if path else remedy)
    data = FASHION_MNIST if FASHION_MNIST.is_dir() else None
    yield Finding(
        "Fashion-MNIST", str(data) if data else None, "`qif2hw train fashion_mnist` without --data",
        None if data else "apt-get install dataset-fashion-mnist",
    )  # fmt: skip


def _machine_code() -> Finding:
    home = os.environ.get("NUMBA_CACHE_DIR") or folder()
    if home is None:
        remedy = "set NUMBA_CACHE_DIR or XDG_CACHE_HOME to a folder that can be written"
        return Finding("folder of machine code", None, "starts that do not compile anew", remedy)
    return Finding("folder of machine code", str(home))


def _extras() -> Iterator[Finding]:
    """Extras of this distribution, each with its distributions or those that are missing."""
    needs: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("qif2hw") or ():
        named = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        older = re.search(r"python_version < ['\"]3\.(\d+)['\"]", line)
        if named is not None and (older is None or sys.version_info[1] < int(older[1])):
            needs.setdefault(named[1], []).append(re.split(r"[^\w.-]", line, maxsplit=1)[0])
    for extra, names in sorted(needs.items()):
        if extra in NO_EXTRAS:
            continue
        versions = {name: _version(name) for name in names}
        lacking = [name for name, version in versions.items() if version is None]
        yield Finding(
            f"extra {extra}",
            None if lacking else ", ".join(f"{name} {version}" for name, version in versions.items()),
            f"what it is for: README, Install; missing: {', '.join(lacking)}" if lacking else "",
            f"pip install 'qif2hw[{extra}]' (from a checkout: pip install '.[{extra}]')" if lacking else None,
        )


def _distribution(name: str, purpose: str, remedy: str) -> Finding:
    version = _version(name)
    return Finding(name, version, purpose, None if version else remedy)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
