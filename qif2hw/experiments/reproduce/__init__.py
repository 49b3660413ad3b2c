"""The results: every task, every method, one table."""

from qif2hw.experiments.reproduce.assemble import assemble
from qif2hw.experiments.reproduce.plan import Experiment, experiments
from qif2hw.experiments.reproduce.rows import Finished, Row
from qif2hw.experiments.reproduce.runs import kept, results
from qif2hw.experiments.reproduce.zoo_build import make_zoo, zoo_files

__all__ = ["Experiment", "Finished", "Row", "assemble", "experiments", "kept", "make_zoo", "results", "zoo_files"]
