"""Compiled kernels whose machine code is kept on disk, valid for the contents of every source they inline."""

from qif2hw.machinecode.kernels import Parallel, compiled, for_one_thread_and_all, interpreted
from qif2hw.machinecode.stamp import stamp

__all__ = ["Parallel", "compiled", "for_one_thread_and_all", "interpreted", "stamp"]
