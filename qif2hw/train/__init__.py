"""Training: tasks, the loop, schedules, optimisers, weights that go onto the hardware's grid."""

from qif2hw.train.diagnosis import Diagnosis, diagnose
from qif2hw.train.goal import Goal
from qif2hw.train.loop import Progress, train
from qif2hw.train.result import TrainResult
from qif2hw.train.schedule import Stage, plan
from qif2hw.train.task import Samples, Settings, Task, relative_l2

__all__ = [
    "Diagnosis",
    "Goal",
    "Progress",
    "Samples",
    "Settings",
    "Stage",
    "Task",
    "TrainResult",
    "diagnose",
    "plan",
    "relative_l2",
    "train",
]
