"""Networks with millions of synapses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from networks import ordinary
import qif2hw

bundle = qif2hw.compile(ordinary((3, 1000, 1000, 2), 1), rounding=sys.argv[2])
kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fit, budget = bundle.report["fit"], bundle.report["budget"]
print(json.dumps({"GB": kib / 1e6, "fits": fit["fits"], "cores": fit["cores"], **budget,
                  "payload": bundle.report["ranges"]["payload_bits"], "rounding": bundle.report.get("adapt-rounding")}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("rounding", "error"), [("nearest", 0.005), ("adapt", 0.001)])
def test_a_million_synapses_in_two_gigabytes(rounding: str, error: float) -> None:
    home = str(Path(__file__).parents[1])
    result = subprocess.run([sys.executable, "-c", MEASURE, home, rounding], capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    assert found["fits"]
    assert found["cores"] == 8
    assert found["payload"] == 6
    assert found["total"] < error
    assert found["GB"] < 2
    if rounding == "adapt":
        assert found["rounding"]["error"] < found["rounding"]["plain_error"] / 20


STREAM = """
import json, sys, zipfile, numpy as np
from pathlib import Path
import onnx, qif2hw
from qif2hw.ir import onnx_io
from qif2hw.ir.npz import import_npz

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

def measured(work):
    # The kernel forgets the largest memory: what follows is that of this part alone.
    Path("/proc/self/clear_refs").write_text("5")
    made = work()
    peaks.append((memory("VmHWM") - base) / synapses)
    return made

def stream(sizes, folder):
    g = np.random.default_rng(0)
    layers = [(post, pre) for pre, post in zip(sizes, [*sizes[1:], 2])]
    given = folder / "w.npz"
    # As numpy.savez writes it, one row after the other.
    with zipfile.ZipFile(given, "w") as archive:
        for k, (post, pre) in enumerate(layers):
            with archive.open(f"w{k}.npy", "w", force_zip64=True) as file:
                header = {"descr": "<f8", "fortran_order": False, "shape": (post, pre)}
                np.lib.format.write_array_header_1_0(file, header)
                for row in range(post):
                    file.write(((g.random(pre) - 0.5) / pre**0.5).tobytes())
        with archive.open("phi0.npy", "w") as file:
            np.lib.format.write_array(file, np.full(sum(post for post, _ in layers), 3.0))
    network = measured(lambda: import_npz(given, trial=6.5, encode=(0.5, 6.0)))
    given.unlink()
    model = measured(lambda: onnx_io.save(network, folder / "m.onnx"))
    network = measured(lambda: onnx_io.load(model))
    bundle = measured(lambda: qif2hw.compile(network, rounding="nearest"))
    path = measured(lambda: bundle.save(folder / "m.qif"))
    assert bundle.report["fit"]["map"]
    spikes = bundle.golden
    del bundle, network
    again = measured(lambda: qif2hw.load(path))
    assert again.golden == spikes and again.network.synapse_count == sum(post * pre for post, pre in layers)
    model.unlink(), path.unlink()

sizes, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
synapses = max(a * b for a, b in zip(sizes, [*sizes[1:], 2]))
base, peaks = 0, []
stream([16] * len(sizes), folder)
stream(json.loads(sys.argv[3]), folder)  # machine code is made before the memory counts
base, peaks = memory("VmRSS"), []
stream(sizes, folder)
print(json.dumps(peaks))
"""


def _streamed(folder: Path, sizes: list[int], first: list[int]) -> list[float]:
    """Largest memory, bytes per synapse of the largest layer, of import, save, load, compile, bundle, and its load."""
    run = [sys.executable, "-c", STREAM, json.dumps(sizes), str(folder), json.dumps(first)]
    found: list[float] = json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs the memory of a process")


@needs_proc
@pytest.mark.slow
def test_millions_of_synapses_in_twice_the_memory_of_a_layer(tmp_path: Path) -> None:
    assert max(_streamed(tmp_path, [2000, 2000], [2000, 2000])) < 16


@needs_proc
@pytest.mark.long
@pytest.mark.parametrize("sizes", [[3200] * 11, [10_000, 10_000]], ids=["ten layers", "one layer"])
def test_a_hundred_million_synapses_in_twice_the_memory_of_a_layer(tmp_path: Path, sizes: list[int]) -> None:
    assert max(_streamed(tmp_path, sizes, [2000] * len(sizes))) < 16
