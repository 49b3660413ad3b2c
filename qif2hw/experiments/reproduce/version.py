"""Which code made a result: digests that change with what is computed, not with comments or docstrings."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

TRAINING = ("neuron", "nn", "tasks")
COMPILING = ("neuron", "ir", "compiler", "engine")
BASELINES = ("nn/task", "nn/adam", "baselines", "tasks")
# What computes spikes, gradients and updates counts; the loop around it does not: its schedule, batches and optimiser
# are recorded with each run.  So are a task's `Settings`.
_NOT_TRAINING = (
    "accelerator", "bench", "bench_structure", "checkpoint", "diagnosis", "eager", "freezing", "memory", "peers",
    "recurrent", "recurrent_kernel", "scaling", "schedule", "sparse", "sparse_kernel", "task", "training",
)  # fmt: skip


@lru_cache
def digest(parts: tuple[str, ...], task: str | None = None) -> str:
    """Digest of the code in files and folders of the package; of the tasks only the one named and what it imports."""
    spec = importlib.util.find_spec("qif2hw")
    assert spec is not None
    assert spec.origin is not None
    home = Path(spec.origin).parent
    whole = hashlib.sha256()
    own = "" if task is None else (home / "tasks" / f"{task}.py").read_text(encoding="utf-8")
    for path in sorted(_files(home, parts)):
        if (
            path.parent.name == "tasks"
            and path.stem != task
            and f"qif2hw.experiments.tasks.{path.stem} import" not in own
        ):
            continue
        whole.update(str(path.relative_to(home)).encode() + _code(path).encode())
    return whole.hexdigest()[:16]


def _files(home: Path, parts: Iterable[str]) -> Iterable[Path]:
    for part in parts:
        single = home / f"{part}.py"
        if single.exists():
            yield single
        else:
            yield from (p for p in (home / part).rglob("*.py") if part != "nn" or p.stem not in _NOT_TRAINING)


class _WithoutSettings(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "Settings":
            return ast.Constant(None)
        return self.generic_visit(node)


def _code(path: Path) -> str:
    tree = _WithoutSettings().visit(ast.parse(path.read_text(encoding="utf-8")))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [n for n in node.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return ast.dump(tree)
