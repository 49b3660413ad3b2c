"""Brian2Lava on a job, in this process: ``python -m qif2hw.bench.simulators.brian_on_lava FOLDER``."""

import sys
from pathlib import Path

from qif2hw.bench.simulators.brian import run

if __name__ == "__main__":
    run(Path(sys.argv[1]), on_lava=True)
