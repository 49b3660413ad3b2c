"""CUDA devices: whether kernels can be compiled for them, and running one on torch's stream."""

import warnings
from functools import lru_cache
from typing import Any

from torch import Tensor, cuda


@lru_cache
def problem() -> str:
    """Why numba cannot compile for the CUDA devices of this machine; empty if it can."""
    try:
        from numba import cuda as compiler
    except ImportError:
        return "numba-cuda is needed (pip install numba-cuda)"
    # Small batches are no mistake.
    warnings.filterwarnings("ignore", ".*Grid size")
    if not compiler.is_available():
        return "numba finds no CUDA device (is numba-cuda installed?)"
    try:
        compiler.jit("void(int32[::1])")(_nothing)
    except Exception as error:  # whatever comes of releases of numba-cuda, numpy and the driver that do not fit
        found = str(error).strip().partition("\n")[0]
        return f"numba-cuda fails ({type(error).__name__}: {found}): other releases of it or of numpy are needed"
    return ""


def _nothing(_: Any) -> None:
    """Kernel that does nothing."""


@lru_cache
def available() -> bool:
    """Whether numba can compile for the CUDA devices of this machine; warns where it is installed and fails."""
    if problem().startswith("numba-cuda fails"):
        warnings.warn(f"{problem()}. What runs on the CUDA device takes slower ways", stacklevel=2)
    return not problem()


def launch(kernel: Any, blocks: int | tuple[int, int], threads: int, *arguments: Tensor | float) -> None:
    """Run a kernel with these arguments on torch's current stream; in numba's simulator, on tensors of the CPU."""
    from numba import cuda as compiler

    first = next(argument for argument in arguments if isinstance(argument, Tensor))
    if first.is_cpu:
        kernel[blocks, threads](*(a.detach().numpy() if isinstance(a, Tensor) else a for a in arguments))
        return
    device = first.device
    with compiler.gpus[device.index or 0]:
        stream = compiler.external_stream(cuda.current_stream(device).cuda_stream)
        arrays = [
            compiler.as_cuda_array(a.detach(), sync=False) if isinstance(a, Tensor) else a for a in arguments
        ]  # fmt: skip
        kernel[blocks, threads, stream](*arrays)
