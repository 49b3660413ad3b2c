"""What the source paper reports, in percent: Wan, Karniadakis, Stinis, arXiv:2511.06614, Table 1."""

PAPER: dict[tuple[str, str], dict[str, float]] = {
    ("parabola", "y"): {
        "qif": 0.609,
        "lif-direct-32": 3.118,
        "lif-direct-64": 1.803,
        "lif-direct-128": 1.451,
        "lif-conv": 20.95,
        "lif-cal": 4.582,
    },
    ("ricker", "y"): {"qif": 1.313, "lif-conv": 25.0, "lif-cal": 12.99},
    ("ripple", "y"): {"qif": 1.463, "lif-direct": 2.43},
    ("poisson_operator", "u"): {
        "qif": 2.730,
        "lif-direct-32": 19.77,
        "lif-direct-64": 15.72,
        "lif-direct-128": 8.885,
    },
    ("poisson_pinn", "u"): {"qif": 0.125},
    ("burgers_pinn", "u"): {"qif": 2.418},
    ("navier_stokes_pinn", "u"): {"qif": 4.009, "lif-cal-64": 3.554},
    ("navier_stokes_pinn", "v"): {"qif": 3.301, "lif-cal-64": 4.493},
}
"""By task and quantity: error by method; ``lif-conv``, ``lif-cal`` and ``lif-direct`` are the best of their kind."""


def paper_percent(task: str, quantity: str, method: str) -> float | None:
    """The paper's error to compare a method with, in percent; None where it has none.

    A bipolar network is compared with the paper's direct one; where the paper gives only the best of a kind, with that.
    """
    known = PAPER.get((task, quantity), {})
    if method.startswith("qif-"):
        return known.get("qif")
    method = method.replace("lif-if-", "lif-")
    return known.get(method, known.get(method.rpartition("-")[0]))
