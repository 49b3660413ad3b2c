"""The results: every task, every method, one table."""

from qif2hw.reproduce.assemble import assemble
from qif2hw.reproduce.plan import Job, jobs
from qif2hw.reproduce.rows import Row
from qif2hw.reproduce.runs import results

__all__ = ["Job", "Row", "assemble", "jobs", "results"]
