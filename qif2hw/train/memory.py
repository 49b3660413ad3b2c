"""How the C library gives memory back to the system."""

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
_LARGEST_THRESHOLD = 32 * 2**20


def keep_pages() -> None:
    """Let this process keep the memory it frees (glibc only; elsewhere nothing happens).

    By default every tensor above 128 kB comes as fresh pages from the system and goes back to it: touching them costs
    more than the arithmetic of a training step.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2 * _LARGEST_THRESHOLD)
