"""Benchmarks: what training costs, against this machine's ceiling and against peers; what coarse time grids cost."""
