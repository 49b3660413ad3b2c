"""Compiled kernels of training: numba and numpy, no torch."""
