"""Compiled kernels as one torch function: allocate, run, make more room for spikes, refuse bad times, choose threads.

A `Kernel` defines how its buffers are made and how it runs forward and backward; what all kernels share stands here.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from operator import ge
from typing import Any, ClassVar

import numba
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.nn.functional.first_order import JETS, first_order
from qif2hw.nn.functional.thread_choice import Choice, masked

WORTH_THREADS = 1_000_000
"""Updates (input spikes times neurons times samples) of a pass above which all threads pay, even if others work too."""

MOST_SUMMED = 2**22
"""Weights that chunks sum side by side at most: partial sums of all of them fit a third cache, 32 MB in float64."""

BAD_TIME = "an input spike time is negative or not a number: it must lie in [0, T] or be inf"


class Kernel(ABC):
    """One pass through compiled code: its buffers, its forward and its backward run.

    Made for every pass from the tensors that take gradients; a constructor calls `divide`.
    """

    zeros_for_none: ClassVar[bool] = True
    """Whether `backward` gets zeros, or None, for results that the loss does not depend on."""

    second_derivatives: ClassVar[str] = JETS
    """Line of the error that differentiating a gradient raises."""

    chunks: int = 1
    """Parts of the batch: kernels run them in parallel and add up their gradients in a fixed order."""

    parallel: bool = False
    """Whether to run on all threads, if they are faster; no bit of a result depends on it."""

    choice: Choice | None = None
    """What is known about all threads and one, where they are worth a question."""

    threads: int | None = None
    """Number of threads of this pass; None for all."""

    def divide(self, batch: int, cells: int, work: int) -> None:
        """Choose `chunks` and `parallel` from the samples, the weights that a chunk sums, and the updates of a pass."""
        # Depends on sizes alone: every bit of a gradient is the same on any number of threads.
        most = max(1, MOST_SUMMED // max(cells, 1))
        if most < 64:
            # Equal shares for two, four and eight threads.
            most = 2 ** (most.bit_length() - 1)
        self.chunks = max(1, min(batch // 8, 64, most))
        self.parallel = work > WORTH_THREADS
        if self.parallel and self.choice is None:
            self.choice = _choices.setdefault((type(self), int(work).bit_length()), Choice())
            self.threads = self.choice.threads()
            # Until the pass ends.
            numba.set_num_threads(self.threads)

    @abstractmethod
    def forward(self, rooms: tuple[int, ...]) -> Sequence[int]:
        """Allocate buffers for these numbers of spikes (of a neuron, in each layer) and run.

        Returns
        -------
        sequence of int
            The numbers that were needed; above its room where results are incomplete, -1 for a bad input time.
        """

    def read_again(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Those of the constructor's tensors, of any shapes, that `backward` reads.

        Autograd refuses it if they were changed since.
        """
        return tensors

    @abstractmethod
    def results(self) -> tuple[Any, ...]:
        """Tensors for autograd to follow, and any other values."""

    @abstractmethod
    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        """Gradients to the tensors of the constructor, from those to the results.

        ``needed`` says for which tensors; the others may be None.  Each has the shape of its tensor.
        """


_choices: dict[tuple[type, int], Choice] = {}
"""By kind of kernel and binary order of the updates of a pass."""


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, make: Callable[..., Kernel], rooms: tuple[int, ...], *tensors: Tensor | None
    ) -> tuple[Any, ...]:
        if numba.config.DISABLE_JIT:
            raise InputError("NUMBA_DISABLE_JIT is set: a layer needs compiled kernels, unset it (or use path='eager')")
        with masked():
            kernel = make(*tensors)
            while True:
                begin = time.perf_counter()
                needed = kernel.forward(rooms)
                if kernel.choice is not None:
                    kernel.choice.note(kernel.threads, time.perf_counter() - begin)
                if min(needed, default=0) < 0:
                    raise InputError(BAD_TIME)
                if all(map(ge, rooms, needed)):
                    break
                rooms = tuple(_doubled(room, n) for room, n in zip(rooms, needed, strict=True))
        ctx.set_materialize_grads(kernel.zeros_for_none)
        ctx.kernel = kernel
        ctx.save_for_backward(*kernel.read_again([t for t in tensors if t is not None]))
        return kernel.results()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        # Raises if one of them was changed in place.
        origins = ctx.saved_tensors
        with torch.no_grad(), masked(ctx.kernel.threads):
            found = ctx.kernel.backward(ctx.needs_input_grad[2:], *grads)
        return None, None, *first_order(found, origins, ctx.kernel.second_derivatives)


def _doubled(room: int, needed: int) -> int:
    while room < needed:
        room *= 2
    return room


run: Callable[..., tuple[Any, ...]] = _Pass.apply
"""``run(make, rooms, *tensors)``: the results of ``make(*tensors)``, a `Kernel`, with gradients to the tensors.

``rooms`` are the numbers of spikes to begin with; they are doubled until all spikes fit.  Raises `InputError` on a bad
input time.
"""


def array(tensor: Tensor) -> FloatArray:
    """Values of a tensor on the CPU as a contiguous array of its shape, without a copy where there is one already."""
    return tensor.detach().contiguous().numpy()
