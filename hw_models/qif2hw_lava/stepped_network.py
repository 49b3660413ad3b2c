"""From the job folder of a stepped network through its run on Lava.  Imports lava: only the worker loads this."""

from pathlib import Path

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from qif2hw_lava.processes.stepped import SteppedNetwork
from qif2hw_lava.stepped import read_job


def execute(folder: Path) -> AbstractProcess:
    """Run a job; its Process, which is returned to be stopped, leaves the results in the folder."""
    job = read_job(folder)
    process = SteppedNetwork(program=job.program, x=job.x, copies=job.copies, job=str(folder))
    process.run(condition=RunSteps(num_steps=job.steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    return process
