"""Refuse arguments of a layer that do not fit each other, and tracers that see none of what it computes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from qif2hw.errors import InputError

_is_exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", lambda: False)


def refuse_tracers() -> None:
    """`InputError` inside of ``torch.jit.trace``, ``torch.onnx.export`` and ``torch.export``: they see no kernels."""
    if torch.jit.is_tracing() or _is_exporting():  # type: ignore[attr-defined]
        raise InputError("torch cannot trace spiking neurons: qif2hw.save(module, 'model.onnx') writes them to ONNX")


DTYPES = (torch.float64, torch.float32)


def check(
    times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, trial: float, *,
    shape: tuple[int, ...] | None = None, encoded: bool = False,
) -> None:  # fmt: skip
    """Refuse arguments of a layer that do not fit each other.

    Parameters
    ----------
    times, psi, weight, phi0, trial
        As of `qif2hw.nn.functional.dense.layer`.
    shape
        (post, pre) of the synapses; that of ``weight`` if it is None.
    encoded
        Whether ``times`` are inputs (batch, pre), to be encoded into one spike each.

    Raises
    ------
    InputError
        On shapes that do not fit, element types that differ or are neither float64 nor float32, or a trial that is not
        a positive length.
    """
    given, dtype = (*times.shape, 1) if encoded else times.shape, times.dtype
    synapses = weight.shape if shape is None else shape
    fitting = len(given) == 3 and len(synapses) == 2 and synapses[1] == given[1]
    if not fitting or not (psi is None or psi.shape == given[:2]):
        middle = "" if psi is None else f"psi {tuple(psi.shape)}, "
        raise InputError(
            f"layer inputs: times {tuple(given)}, {middle}weight {tuple(synapses)} "
            "do not fit; (batch, pre, K), (batch, pre) and (post, pre) are needed"
        )
    if phi0.shape != synapses[:1]:
        raise InputError(f"layer inputs: phi0 has shape {tuple(phi0.shape)}, ({synapses[0]},) is needed")
    one_type = dtype == weight.dtype == phi0.dtype and (psi is None or psi.dtype == dtype)
    if not one_type or dtype not in DTYPES:
        raise InputError("layer inputs: times, psi, weight and phi0 need one type, float64 or float32")
    if not (math.isfinite(trial) and trial > 0):
        raise InputError(f"trial T = {trial:g}: a positive length is needed")
