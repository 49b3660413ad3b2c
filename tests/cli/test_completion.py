"""Completion of commands, options and names in shells, through the scripts that docs/install.md names."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("qif2hw")


def completed(line: str, folder: Path) -> list[str]:
    """What bash offers at the end of a line, by the script that the program prints."""
    words = line.split(" ")
    call = (
        f'eval "$(_QIF2HW_COMPLETE=bash_source {PROGRAM})"\n'
        f"COMP_WORDS=({' '.join(words)} {'' if words[-1] else repr('')})\nCOMP_CWORD={len(words) - 1}\n"
        f'_qif2hw_completion {PROGRAM} "{words[-1]}" "{words[-2]}"\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = os.environ | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", call], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("qif2hw comp", ["compile"]),
        ("qif2hw compile --weight", ["--weight-bits"]),
        ("qif2hw emit m.qif --to c", ["c99"]),
        ("qif2hw jobs st", ["status"]),
    ],
)
def test_bash_completes(tmp_path: Path, line: str, offered: list[str]) -> None:
    assert completed(line, tmp_path) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: str) -> None:
    environment = os.environ | {"_QIF2HW_COMPLETE": f"{shell}_source"}
    script = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True).stdout
    assert f"_QIF2HW_COMPLETE={shell}_complete" in script
