"""The command line of qif2hw: one file per command, thin."""

import sys

try:
    import qif2hw as _library  # noqa: F401  # refuses an environment in which it cannot work
except ValueError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
