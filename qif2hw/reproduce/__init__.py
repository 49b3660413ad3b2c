"""The results: every task, every method, one table."""

from qif2hw.reproduce.assemble import assemble
from qif2hw.reproduce.plan import Job, jobs
from qif2hw.reproduce.rows import Row
from qif2hw.reproduce.runs import kept, results
from qif2hw.reproduce.shipping import make_zoo

__all__ = ["Job", "Row", "assemble", "jobs", "kept", "make_zoo", "results"]
