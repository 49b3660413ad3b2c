"""Lava's own Processes for the synapses of a projection.  Imports lava: only the worker loads this."""

import numpy as np
from lava.magma.core.process.ports.ports import AbstractPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import block_diag, csr_matrix

from qif2hw.ir import synapses as kinds
from qif2hw.ir.program import ProgramProjection

CONV_NUMBER = 127
"""Lava's Conv keeps kernel, stride, padding, dilation and the number of groups in 8 bits."""
CONV_SUM = (1 << 23) - 1
"""Its sums wrap in 24 bits."""


def connect(
    source: OutPort, projection: ProgramProjection, *, message_bits: int, copies: int = 1, largest: int = 1
) -> AbstractPort:
    """Connect ``source`` to the synapses of a projection; returns the port of their sums, (copies * neurons,).

    A sum leaves one step after what it adds up has arrived, times ``2^exponent`` where the exponent is not negative.

    Parameters
    ----------
    source
        Sends (copies * sources,).
    projection
        Its synapses become a Dense, a Sparse or a Conv; a convolution that Lava's Conv cannot do exactly, or of several
        copies, is listed in a Sparse.
    message_bits
        0: synapses see whether anything came; otherwise its value.
    copies
        Networks side by side.
    largest
        Largest magnitude of what is sent.
    """
    synapses = projection.synapses
    if isinstance(synapses, kinds.Conv2d) and copies == 1 and _is_exact(projection, synapses, largest):
        process = _conv(projection, synapses, message_bits)
        # Lava's order is width, height, channels; ours the reverse.
        source.reshape(synapses.in_shape).transpose((2, 1, 0)).connect(process.s_in)
        return process.a_out.transpose((2, 1, 0)).flatten()
    process = _matrix(projection, copies, message_bits)
    source.connect(process.s_in)
    return process.a_out


def _matrix(projection: ProgramProjection, copies: int, message_bits: int) -> AbstractProcess:
    """A Dense or Sparse of ``copies`` networks side by side.

    The sign mode is given: Lava's guess from weights of which none is positive would turn -256 into -255.
    """
    weight, synapses = projection.weight.astype(np.int64), projection.synapses
    if isinstance(synapses, kinds.Dense):
        process, weights = Dense, np.kron(np.eye(copies, dtype=np.int64), weight)
    else:
        post, pre, place = synapses.edges()
        # Lava works with int32 here; explicit zeros are synapses too.
        indptr = np.searchsorted(post, np.arange(synapses.shape[0] + 1))
        own = csr_matrix((weight.ravel()[place].astype(np.int32), pre, indptr), synapses.shape)
        process, weights = Sparse, block_diag([own] * copies, "csr")
    return process(
        weights=weights,
        num_message_bits=message_bits,
        num_weight_bits=8,
        weight_exp=max(0, projection.exponent),
        sign_mode=SignMode.MIXED,
        name=_name(projection),
    )


def _conv(projection: ProgramProjection, synapses: kinds.Conv2d, message_bits: int) -> AbstractProcess:
    """A Conv: it turns kernels round, and its model ignores the exponent of the weights."""
    kernel = projection.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1).astype(np.int32)
    channels, height, width = synapses.in_shape
    return Conv(
        weight=kernel << max(0, projection.exponent),
        input_shape=(width, height, channels),
        padding=synapses.padding[::-1],
        stride=synapses.stride[::-1],
        dilation=synapses.dilation[::-1],
        groups=synapses.groups,
        num_message_bits=message_bits,
        name=_name(projection),
    )


def _name(projection: ProgramProjection) -> str:
    return f"{projection.pre} -> {projection.post}"


def _is_exact(projection: ProgramProjection, synapses: kinds.Conv2d, largest: int) -> bool:
    numbers = (*synapses.kernel, *synapses.stride, *synapses.padding, *synapses.dilation, synapses.groups)
    most = int(synapses.sums(np.abs(projection.weight.astype(np.int64))).max()) * largest << max(0, projection.exponent)
    return max(numbers) <= CONV_NUMBER and most <= CONV_SUM
