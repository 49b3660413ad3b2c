"""Classes of a network: which one a sample is of, and what they are called."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.host_part.host import Hosted
from qif2hw.ir.readout import ReadFromFirstSpikes


class Classifies(ReadFromFirstSpikes, Hosted):
    """Accessors of a network whose results may be those of classes.

    With a first-spike readout the class is that of the first spike; with other readouts, if the host's part names
    classes, that of the largest output.  Of equals the first counts.
    """

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, their numbers where the host's part has none; None of a network without classes."""
        if self.host is not None and self.host.classes is not None:
            return self.host.classes
        return None if self.first_spike is None else tuple(map(str, range(self.first_spike.size)))

    def label(self, raw: FloatArray, y: FloatArray) -> NDArray[np.int64] | None:
        """The class (samples,) of results ``raw`` (samples, results) and solution ``y`` (samples, outputs)."""
        if self.first_spike is not None:
            return self.first_spike.label(raw)
        return None if self.classes is None else y.argmax(axis=1)

    def check_host(self) -> None:
        """`InputError` if the host's part does not fit."""
        super().check_host()
        classes, columns = self.classes, self.results if self.first_spike is not None else self.solutions
        if classes is not None and len(classes) != columns:
            what = "first-spike readout" if self.first_spike is not None else "solution"
            raise InputError(f"the host names {len(classes)} classes, the {what} has {columns} columns")


def check_labels(labels: object, samples: int, names: Sequence[str]) -> IntArray:
    """Classes as int64 (samples,), of their numbers from 0 on or of their ``names``; `InputError` on anything else."""
    array = np.asarray(labels)
    if array.shape != (samples,) or array.dtype.kind not in "iuU":
        raise InputError(
            f"labels {array.shape} of type {array.dtype}: whole numbers or names of classes, ({samples},), are needed"
        )
    if array.dtype.kind == "U":
        unknown = sorted(set(array.tolist()) - set(names))
        if unknown:
            raise InputError(f"label '{unknown[0]}': the network has the classes {', '.join(names)}")
        array = np.array([names.index(name) for name in array.tolist()], np.int64)
    if array.size and (array.min() < 0 or array.max() >= len(names)):
        raise InputError(f"labels from {array.min()} to {array.max()}: the network has classes 0 to {len(names) - 1}")
    return array.astype(np.int64)
