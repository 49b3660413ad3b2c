"""Check text files: no spaces at line ends, one newline at the end, no conflict markers, no file above a megabyte.

Fixes spaces and newlines in place, as the other hooks do, and exits with 1 if it changed or refused anything.
"""

import re
import sys
from pathlib import Path

MOST_BYTES = 1 << 20
_CONFLICT = re.compile(rb"^(?:<{7} |>{7} )", re.MULTILINE)


def problem_of(path: Path) -> str | None:
    """What is wrong with a file, after fixing what can be fixed; None if nothing was."""
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        return f"{len(content)} bytes: more than {MOST_BYTES}"
    if _CONFLICT.search(content):
        return "a conflict marker is left"
    fixed = re.sub(rb"[ \t\r]+$", b"", content, flags=re.MULTILINE).rstrip(b"\n")
    fixed += b"\n" if fixed else b""
    if fixed == content:
        return None
    path.write_bytes(fixed)
    return "line ends or the final newline were fixed"


def main(paths: list[str]) -> int:
    """Check files; 1 if one had a problem."""
    problems = {path: problem for path in paths if (problem := problem_of(Path(path)))}
    for path, problem in problems.items():
        print(f"{path}: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
