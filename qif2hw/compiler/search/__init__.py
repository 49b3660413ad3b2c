"""Search: which precision where, for which error: the Pareto front over settings of the compiler."""

from qif2hw.compiler.search.bulk import run_bulk
from qif2hw.compiler.search.front import pareto, picture
from qif2hw.compiler.search.setting import COSTS, OBJECTIVES, Outcome, SearchProblem, Setting, evaluate
from qif2hw.compiler.search.study import Found, SearchOptions, search

__all__ = [
    "COSTS",
    "OBJECTIVES",
    "Found",
    "Outcome",
    "SearchOptions",
    "SearchProblem",
    "Setting",
    "evaluate",
    "pareto",
    "picture",
    "run_bulk",
    "search",
]
