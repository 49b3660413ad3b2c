"""netx knows the QIF neuron; what it sends is in test_parity.py."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from slayer_files import wheel_file

from qif2hw.errors import InputError

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")
from qif2hw_lava import LavaError, LavaTimeout
from qif2hw_slayer import netx, netx_run
from qif2hw_slayer.netx import Network


def test_registration(trained: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "get_neuron_params", staticmethod(netx._neuron_params_of_netx))
    path = trained("exact").path
    with pytest.raises(AttributeError):  # netx knows no such type, and returns None for it
        Network(net_config=str(path))
    netx.register()
    netx.register()
    assert len(Network(net_config=str(path), reset_interval=7)) == 3
    assert len(Network(net_config=str(trained("cuba").path))) == 3


def test_wrong_calls_are_refused(trained: Callable[[str], Any], tmp_path: Path) -> None:
    net = trained("euler")
    with pytest.raises(InputError, match="there is no such file"):
        netx_run.run(tmp_path / "none.net", net.x)
    with pytest.raises(InputError, match=r"inputs of shape \(5, 7, 64\): spikes 0 and 1"):
        netx_run.run(net.path, net.x * 0.5)
    with pytest.raises(InputError, match=r"the network takes \(64,\) per step"):
        netx_run.run(net.path, net.x[..., 1:])
    with pytest.raises(InputError, match="time steps = 5: the inputs have them"):
        netx_run.run(net.path, net.x, time_steps=5)
    biases, mnist = np.zeros((2, 784)), wheel_file("mnist.net")
    for wrong in (biases[None], biases + 0.5, biases + 4096):
        with pytest.raises(InputError, match=r"whole numbers up to 4095 in size, .* are needed"):
            netx_run.run(mnist, wrong)
    with pytest.raises(InputError, match=r"inputs of shape \(2, 783\): the network takes \(784,\)$"):
        netx_run.run(mnist, biases[:, 1:])
    with pytest.raises(InputError, match="give their number, at least 2"):
        netx_run.run(mnist, biases, time_steps=1)
    with pytest.raises(InputError, match="timeout = 0"):
        netx_run.run(net.path, net.x, timeout=0)
    with pytest.raises(LavaTimeout, match=r"did not finish within 0\.01 s"):
        netx_run.run(net.path, net.x, timeout=0.01)


@pytest.mark.slow
def test_lava_can_be_imported_after_multiprocessing_was_used() -> None:
    """Lava alone cannot."""
    for module, code in (("lava.magma.runtime.runtime", 1), ("qif2hw_slayer.netx", 0)):
        program = f"import multiprocessing; multiprocessing.Lock(); import {module}"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr


@pytest.mark.slow
@pytest.mark.lava
def test_failures_of_netx_are_reported(tmp_path: Path) -> None:
    broken = tmp_path / "broken.net"
    with h5py.File(broken, "w"):
        pass
    with pytest.raises(LavaError, match="object 'layer' doesn't exist"):
        netx_run.run(broken, np.ones((1, 2, 64)))
