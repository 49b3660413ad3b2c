"""What this machine is, and how busy: stands beside every figure that was measured on it."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import numba


def machine() -> dict[str, Any]:
    """Processor, cores, threads of the compiled kernels, load (1 minute), and the versions that speed depends on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numba", "torch")},
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
