"""A compiled network in another language: C99."""

from qif2hw.emit.c99 import to_c99

__all__ = ["to_c99"]
