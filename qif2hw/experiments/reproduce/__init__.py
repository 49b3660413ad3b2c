"""The results: every task, every method, one table."""

from qif2hw.experiments.reproduce.assemble import assemble
from qif2hw.experiments.reproduce.plan import Job, jobs
from qif2hw.experiments.reproduce.rows import Row
from qif2hw.experiments.reproduce.runs import kept, results
from qif2hw.experiments.reproduce.zoo_build import make_zoo

__all__ = ["Job", "Row", "assemble", "jobs", "kept", "make_zoo", "results"]
