"""What a format is to the fuzzer, and the small networks whose files are changed."""

import io
import json
from abc import ABC, abstractmethod
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import mutate
import numpy as np
from mutate import Rng, pick
from networks import branched, listed, ordinary, stepped_images, whole_images, whole_inputs

import qif2hw

SAMPLES = 3


class Format(ABC):
    """A format: valid files, changes of them, and their use."""

    name: ClassVar[str]
    ending: ClassVar[str]

    @cached_property
    @abstractmethod
    def valid(self) -> list[bytes]:
        """Valid files."""

    @abstractmethod
    def changed(self, rng: Rng, data: bytes) -> bytes:
        """A file that is changed in its meaning, not in its form."""

    @abstractmethod
    def use(self, path: Path) -> None:
        """Do all that is done with such a file."""

    def case(self, seed: int) -> bytes:
        """The file of a case: the same for the same seed."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        data = pick(rng, self.valid)
        if rng.integers(4) == 0:
            return mutate.raw(rng, data)
        for _ in range(int(rng.integers(1, 4))):
            data = self.changed(rng, data)
        return data


@lru_cache
def bundles() -> list[Any]:
    """Small bundles of all arithmetics, with one and two moments, sparse and branched; and of both kinds of images."""
    made: list[Any] = []
    for form in ("cotangent", "grid", "plane"):
        for moments in (1, 2) if form != "grid" else (1,):
            options = {"steps": 32, "table_bits": 3, "form": form, "lateness_moments": moments, "rounding": "nearest"}
            made.append(qif2hw.compile(ordinary((2, 3, 2)), **options))
    made.append(qif2hw.compile(listed(branched()), steps=40, table_bits=2, rounding="nearest"))
    frames = np.random.default_rng(0).random((SAMPLES, 2, 8, 8))
    made.append(qif2hw.compile(stepped_images(steps=2), calibration=frames))
    made.append(qif2hw.compile(whole_images(steps=3), calibration=whole_inputs(SAMPLES)))
    return made


def as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def as_npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
