import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_text.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_text", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("content", "after", "code"),
    [
        (b"a\nb\n", b"a\nb\n", 0),
        (b"", b"", 0),
        (b"a \t\r\nb\n\n", b"a\nb\n", 1),
        (b"a", b"a\n", 1),
        (b"<<<<<<< main\n", b"<<<<<<< main\n", 1),
        (b"Title\n=======\n", b"Title\n=======\n", 0),
        (b"x" * ((1 << 20) + 1), b"x" * ((1 << 20) + 1), 1),
    ],
)
def test_fixes_or_refuses(script: ModuleType, tmp_path: Path, content: bytes, after: bytes, code: int) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    assert script.main([str(path)]) == code
    assert path.read_bytes() == after
