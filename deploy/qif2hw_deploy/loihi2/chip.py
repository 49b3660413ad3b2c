"""Whether a Loihi 2 is within reach: the Python with Lava, Intel's extension, the vendor's half, a board."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from qif2hw.errors import InputError
from qif2hw_deploy.loihi2.board import Board, find_board
from qif2hw_deploy.loihi2.half import GROUP
from qif2hw_lava.interpreter import VARIABLE, Interpreter, LavaMissing, find_interpreter
from qif2hw_lava.launch import package_environment

PACKAGE = Path(__file__).resolve().parents[1]
"""The package that the worker needs to see besides those of the Lava worker."""
PATIENCE = 120.0
"""Seconds for the chip's Python to say what it has."""
_HONESTY = "nothing has run on a chip yet, use the backend engine or lava"


@dataclass(frozen=True)
class Chip:
    """All that a run needs: where Lava and the vendor's half are, the half's delays in steps, the board."""

    python: Interpreter
    input_delay: int
    output_delay: int
    board: Board


def missing() -> str | None:
    """What a run on Loihi 2 needs and does not find, and how to supply it, in one line; None if nothing is missing."""
    try:
        find_chip()
    except InputError as error:
        return str(error)
    return None


def find_chip() -> Chip:
    """Look for everything that a run needs.

    Raises
    ------
    InputError
        If something is missing or wrong; one line names all of it, and how to supply it.
    """
    lacking = []
    answer: dict[str, object] = {"modules": None, "halves": None}
    try:
        python: Interpreter | None = find_interpreter()
    except LavaMissing:
        python = None
        lacking.append(f"a Python 3.10 with lava-nc 0.10 (in .venv-lava, or named by {VARIABLE})")
    if python is not None:
        answer = ask(python)
    place = "there" if python is None else f"in {python.path}"
    if answer["modules"] != []:
        modules = answer["modules"]
        absent = (
            f", of which it lacks {', '.join(map(str, modules))}" if isinstance(modules, list) and _some(answer) else ""
        )
        lacking.append(
            f"Intel's Lava extension for Loihi {place}{absent} (Intel gives it to members of its research community, "
            "INRC)"
        )
    if not answer["halves"]:
        lacking.append(
            f"models of the neuron for neuro cores {place}, which are not public (a package with a class under one "
            f"entry point of the group '{GROUP}', described in qif2hw_deploy.loihi2.half)"
        )
    try:
        board: Board | None = find_board()
    except InputError as error:
        board = None
        lacking.append(f"a board ({error})")
    if lacking or python is None or board is None:
        raise InputError(f"missing: {', and '.join(lacking)}; {_HONESTY}")
    if answer["problem"]:
        raise InputError(str(answer["problem"]))
    delays = answer["delays"]
    assert isinstance(delays, list)
    return Chip(python, int(delays[0]), int(delays[1]), board)


def _some(answer: dict[str, object]) -> bool:
    """Whether a part of the extension is there and a part is not."""
    return bool(answer["modules"]) and answer["modules"] != answer["all"]


def ask(python: Interpreter) -> dict[str, object]:
    """What `qif2hw_deploy.loihi2.probe` prints in another Python; a good answer is kept."""
    answer = _GOOD.get(python) or _ask(python)
    if "delays" in answer:
        _GOOD[python] = answer
    return answer


_GOOD: dict[Interpreter, dict[str, object]] = {}


def _ask(python: Interpreter) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="qif2hw-loihi2-") as name:
        try:
            done = subprocess.run(
                [python.path, "-m", "qif2hw_deploy.loihi2.probe"],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                stdin=subprocess.DEVNULL,
                cwd=name,
                env=package_environment(Path(name), [PACKAGE]),
            )
            answer: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
        except subprocess.TimeoutExpired:
            raise InputError(f"{python.path} does not say within {PATIENCE:g} s what it has for Loihi 2") from None
        except (ValueError, IndexError):
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"{python.path} cannot be asked what it has for Loihi 2 ({said})") from None
    return answer
