"""Trained networks and recordings of lava-dl's authors, which its wheel brings among its tests."""

import importlib.metadata
from pathlib import Path

import pytest


def wheel_file(name: str) -> Path:
    """A file of the wheel, by the end of its path; the test is skipped where lava-dl is not installed."""
    try:
        files = importlib.metadata.files("lava-dl")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("lava-dl is not installed (it needs Python 3.10)")
    assert files is not None
    return Path(str(next(file for file in files if str(file).endswith(f"netx/{name}")).locate()))
