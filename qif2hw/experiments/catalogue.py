"""Names of the tasks and their regimes, known without importing what computes them."""

from qif2hw.errors import InputError

TASKS: tuple[str, ...] = (
    "parabola",
    "ricker",
    "ripple",
    "poisson_operator",
    "poisson_pinn",
    "burgers_pinn",
    "navier_stokes_pinn",
)
IMAGE_TASKS: tuple[str, ...] = ("digits", "fashion_mnist")
"""Tasks of networks in time steps."""
FIRST_SPIKE_TASKS: tuple[str, ...] = ("digits_first_spike", "fashion_mnist_first_spike")
"""Tasks of classification by the first spike, in the ordinary regime."""
REGIMES = ("ordinary", "published")


def check(task: str, regime: str = "ordinary") -> None:
    """Raise `InputError`, naming those there are, where there is no such task or regime."""
    if regime not in REGIMES:
        raise InputError(f"there is no regime '{regime}': known are {', '.join(REGIMES)}")
    if task not in (*TASKS, *FIRST_SPIKE_TASKS, *IMAGE_TASKS):
        known = ", ".join((*TASKS, *FIRST_SPIKE_TASKS, *IMAGE_TASKS))
        raise InputError(f"there is no task '{task}': known are {known}")
