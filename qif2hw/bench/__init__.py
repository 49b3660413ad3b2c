"""Benchmarks: time of training against the ceiling of this machine and against peers; error of coarse time grids."""
