"""Seeds of random numbers: what numpy and torch both take."""

from qif2hw.errors import InputError

LARGEST_SEED = 2**63 - 1


def check_seed(seed: int) -> None:
    """`InputError` if a seed is below 0 or above `LARGEST_SEED`."""
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"seed = {seed}: a whole number from 0 to 2**63 - 1 is needed")
