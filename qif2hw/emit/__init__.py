"""A compiled network in another language: C99."""

from qif2hw.emit.c99 import c99

__all__ = ["c99"]
