"""Whether kernels can be compiled for CUDA devices, and what is said where they cannot."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from qif2hw.nn.functional import cuda_device

numba = pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    for cached in (cuda_device.problem, cuda_device.available):
        cached.cache_clear()
    yield
    for cached in (cuda_device.problem, cuda_device.available):
        cached.cache_clear()


def unfit(*_: Any) -> Any:
    """As a numba-cuda that is older than numpy 2.5 does with numpy 2.5."""
    raise AttributeError("module 'numpy' has no attribute 'row_stack'\nand more")


def test_a_compiler_that_fails_is_named_and_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = SimpleNamespace(is_available=lambda: True, jit=lambda signature: unfit)
    monkeypatch.setattr(numba, "cuda", compiler, raising=False)
    said = "numba-cuda fails (AttributeError: module 'numpy' has no attribute 'row_stack'): other releases"
    assert cuda_device.problem().startswith(said)
    with pytest.warns(UserWarning, match="takes slower ways"):
        assert not cuda_device.available()


def test_a_compiler_that_compiles_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = SimpleNamespace(is_available=lambda: True, jit=lambda signature: lambda kernel: kernel)
    monkeypatch.setattr(numba, "cuda", compiler, raising=False)
    assert cuda_device.problem() == ""
    assert cuda_device.available()


def test_no_device_is_no_reason_to_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "cuda", SimpleNamespace(is_available=lambda: False), raising=False)
    assert "no CUDA device" in cuda_device.problem()
    assert not cuda_device.available()
