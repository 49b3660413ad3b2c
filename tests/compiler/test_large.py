"""A network with a million synapses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from networks import ordinary
import qif2hw

qif2hw.compile(ordinary((3, 8, 8, 2)))  # machine code is made once, not for each network
network = ordinary((3, 1000, 1000, 2), 1)
start = time.process_time()  # of all threads: other work on the machine does not count
bundle = qif2hw.compile(network, rounding=sys.argv[2])
seconds = time.process_time() - start
kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fit, budget = bundle.report["fit"], bundle.report["budget"]
print(json.dumps({"seconds": seconds, "GB": kib / 1e6, "fits": fit["fits"], "cores": fit["cores"], **budget,
                  "payload": bundle.report["ranges"]["payload_bits"], "rounding": bundle.report.get("adapt-rounding")}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("rounding", "seconds", "error"), [("nearest", 10, 0.005), ("adapt", 30, 0.001)])
def test_a_million_synapses_in_some_seconds_and_two_gigabytes(rounding: str, seconds: float, error: float) -> None:
    home = str(Path(__file__).parents[1])
    result = subprocess.run([sys.executable, "-c", MEASURE, home, rounding], capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    assert found["fits"]
    assert found["cores"] == 8
    assert found["payload"] == 6
    assert found["total"] < error
    assert found["GB"] < 2
    assert found["seconds"] < seconds
    if rounding == "adapt":
        assert found["rounding"]["error"] < found["rounding"]["plain_error"] / 20
