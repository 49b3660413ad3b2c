"""CUDA devices: whether kernels can be compiled for them, and running one on torch's stream."""

import warnings
from functools import lru_cache
from typing import Any

from torch import Tensor, cuda


@lru_cache
def available() -> bool:
    """Whether numba can compile for the CUDA devices of this machine."""
    try:
        from numba import cuda as compiler
    except ImportError:
        return False
    # Small batches are no mistake.
    warnings.filterwarnings("ignore", ".*Grid size")
    return bool(compiler.is_available())


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
