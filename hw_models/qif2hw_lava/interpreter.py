"""Find a Python that can run Lava: this one, or another with Python 3.10 and lava-nc."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from qif2hw import errors
from qif2hw.errors import InputError

VARIABLE = "QIF2HW_LAVA_PYTHON"
"""Environment variable that names the interpreter; nothing else is tried when it is set."""

# Importing lava takes a second; looking for it takes 60 ms.  `lava` alone is a namespace package that lava-dl shares.
_QUESTION = """
import importlib.metadata as m, importlib.util as u, json, sys
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
installed = u.find_spec("lava") is not None and u.find_spec("lava.magma") is not None
print(json.dumps({"python": sys.version.split()[0], "lava": version("lava-nc") if installed else None,
                  "numpy": version("numpy"), "safetensors": version("safetensors")}))
"""


class LavaMissing(InputError):
    """No interpreter with lava-nc was found."""


@dataclass(frozen=True)
class Interpreter:
    """A Python with lava-nc.

    Parameters
    ----------
    path
        The executable.
    python, lava, numpy, safetensors
        Versions.
    """

    path: Path
    python: str
    lava: str
    numpy: str
    safetensors: str


def find_interpreter(named: str | os.PathLike[str] | None = None) -> Interpreter:
    """The interpreter to run Lava with.

    Tried in this order: ``named`` or what ``QIF2HW_LAVA_PYTHON`` names (then no other), this one, ``.venv-lava`` in
    the working directory, beside this environment and beside the source tree, ``python3.10`` on the path.

    Raises
    ------
    LavaMissing
        When none has lava-nc; the message says what was tried and how to install it.
    """
    by_variable = os.environ.get(VARIABLE)
    if named is not None or by_variable:
        path = os.fspath(named) if named is not None else str(by_variable)
        answer = ask(path)
        if isinstance(answer, str):
            raise LavaMissing(f"{path}{'' if named is not None else f' ({VARIABLE})'} cannot run Lava: {answer}")
        return answer
    tried = []
    for candidate in candidates():
        answer = ask(candidate)
        if not isinstance(answer, str):
            return answer
        tried.append(f"{candidate}: {answer}")
    raise LavaMissing(
        f"no Python that can run Lava ({'; '.join(tried)}); get one with "
        "`python3.10 -m venv .venv-lava && .venv-lava/bin/pip install lava-nc==0.10.0 'numpy<2' safetensors`, "
        f"or name one in {VARIABLE}"
    )


def candidates() -> list[str]:
    """Interpreters worth asking, without duplicates."""
    beside = [Path.cwd(), Path(sys.prefix).parent, Path(errors.__file__).resolve().parents[1]]
    paths = [
        sys.executable,
        *(str(folder / ".venv-lava" / "bin" / "python") for folder in beside),
        shutil.which("python3.10") or "",
    ]
    return list(dict.fromkeys(p for p in paths if p and Path(p).exists()))


def clean_environment() -> dict[str, str]:
    """The environment without the variables that configure this Python."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}


def ask(path: str) -> Interpreter | str:
    """The interpreter at ``path``, or one line about why it cannot run Lava."""
    # Not resolved: a link into an environment is that environment's Python only under its own name.
    program = Path(shutil.which(path) or path).absolute()
    try:
        done = subprocess.run(
            [program, "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            cwd=os.sep,  # a folder named lava beside us is not lava
            env=clean_environment(),
        )
    except OSError as error:
        return f"it does not start ({(error.strerror or type(error).__name__).lower()})"
    except subprocess.TimeoutExpired:
        return "it does not answer"
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        python, lava, numpy, safetensors = (answer[key] for key in ("python", "lava", "numpy", "safetensors"))
    except (ValueError, LookupError, TypeError):
        what = "is there but does not start" if done.returncode else "does not run as a Python"
        return f"it {what} ({_reason(done.stderr)})"
    if not python.startswith("3.10."):
        return f"Python {python}, lava-nc needs 3.10"
    if lava is None:
        return "no lava-nc"
    if numpy is None or int(numpy.split(".")[0]) >= 2:
        return f"numpy {numpy}, lava-nc needs numpy below 2"
    if safetensors is None:
        return "no safetensors"
    return Interpreter(program, python, lava, numpy, safetensors)


def _reason(printed: str) -> str:
    """What a program that is no Python, or a broken one, says: the line that helps."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()] or ["no message"]
    if lines[0].startswith("pyenv:"):
        return "pyenv has no such version"
    return lines[-1 if lines[0].startswith("Traceback") else 0]
