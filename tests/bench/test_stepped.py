"""The benchmark of networks in time steps."""

import json
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from qif2hw.bench.stepped import NETWORK, TWIN, EagerNeurons, _lava_dl_is_there, bench, figures, images, network
from qif2hw.errors import InputError
from qif2hw.nn.discrete import SteppedNeurons
from qif2hw_cli.main import cli


def test_all_ways_run_the_same_network() -> None:
    """Plain neurons give the scores of compiled ones, and the integers nearly all classes of the float reference."""
    model, bundle = network()
    eager = nn.Sequential(*(EagerNeurons(m) if isinstance(m, SteppedNeurons) else m for m in model))
    x = images(64)
    with torch.inference_mode():
        scores = model(torch.from_numpy(x))
        assert torch.equal(eager(torch.from_numpy(x)), scores)
    run, reference = bundle.run(x), bundle.run(x, "reference")
    assert (reference.y.argmax(axis=1) == scores.argmax(dim=1).numpy()).mean() > 0.95
    for name, fired in run.spikes.items():
        assert (fired != reference.spikes[name]).mean() < 0.1
        assert 0.02 < fired.mean() < 0.5


def test_command() -> None:
    printed = CliRunner().invoke(cli, ["bench", "stepped", "--quick", "--no-peers", "--json"])
    assert printed.exit_code == 0, printed.output
    result = json.loads(printed.stdout)
    detail = result["detail"]["stepped"]
    assert [r["what"] for r in detail["rows"]] == ["engine", "torch, compiled neurons", "torch, plain neurons"]
    assert detail["absent"] == {"SLAYER, netx": "not asked for"}
    ratio = result["figures"][f"stepped: torch, plain neurons against engine, {NETWORK}"]
    assert ratio["unit"] == "ratio"
    assert ratio["value"] == detail["ratios"][f"torch, plain neurons against engine, {NETWORK}"]["wall"] > 0
    assert result["machine"]["load"] >= 0


def test_wrong_batch() -> None:
    with pytest.raises(InputError, match="batch = 0"):
        bench(batch=0)


@pytest.mark.long
@pytest.mark.lava
def test_peers() -> None:
    """On one network: Lava, SLAYER and netx, which must give the engine's spikes."""
    if not _lava_dl_is_there():
        pytest.skip("lava-dl needs Python 3.10")
    # lava-dl wants to be imported before anything uses multiprocessing.
    program = (
        "import json; from qif2hw.bench.stepped import *; "
        "print(json.dumps(bench(Effort(16, 0.0, (1, 4), (1, 2)), batch=8)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["absent"] == {}
    assert [r["what"] for r in result["rows"] if r["network"] == TWIN] == ["engine", "SLAYER", "netx"]
    assert result["ratios"][f"netx against engine, {TWIN}"]["cpu"] > 1
    assert len(figures(result)) == len(result["rows"]) + len(result["ratios"])
