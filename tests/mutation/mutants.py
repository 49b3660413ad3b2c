"""Mutants of a source file: one small change each, in the text of the file, so that kernels are compiled with it."""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "+"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
NAMES = {
    "all": "any",
    "any": "all",
    "ceil": "floor",
    "floor": "ceil",
    "max": "min",
    "maximum": "minimum",
    "min": "max",
    "minimum": "maximum",
}
"""Functions and methods that take each other's place."""


@dataclass(frozen=True)
class Mutant:
    """A change of a file: ``text[start:end]``, in bytes, becomes ``new``."""

    id: str
    """Of the file's name, the function as it stands, and the change: lasts while the function does."""
    file: str
    scope: str
    """The function or class, with those it stands in; empty at the top."""
    line: int
    start: int
    end: int
    old: str
    new: str

    def apply(self, source: bytes) -> bytes:
        """The file with the change."""
        assert source[self.start : self.end].decode() == self.old
        return source[: self.start] + self.new.encode() + source[self.end :]

    def lines(self, source: bytes) -> tuple[str, str]:
        """The changed line before and after; of a change over several lines the first one."""
        begin = source.rfind(b"\n", 0, self.start) + 1
        before, after = (text[begin:].split(b"\n")[0].decode() for text in (source, self.apply(source)))
        return before.strip(), after.strip()


def mutants(file: str, source: bytes) -> list[Mutant]:
    """All mutants of a source file, in its order."""
    starts = [0]
    for row in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))

    def span(node: ast.AST) -> tuple[int, int]:
        first, last = starts[node.lineno - 1], starts[node.end_lineno - 1]  # type: ignore[attr-defined]
        return first + node.col_offset, last + node.end_col_offset  # type: ignore[attr-defined]

    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for scope, body, node in _walk(ast.parse(source), "", None):
        whole = source if body is None else source[slice(*span(body))]
        for (start, end), new in _changes(node, source, span):
            old = source[start:end].decode()
            if old == new:
                continue
            key = "\0".join((file, scope, hashlib.sha256(whole).hexdigest(), old, new))
            seen[key] += 1
            digest = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()[:12]
            line = source.count(b"\n", 0, start) + 1
            found.append(Mutant(digest, file, scope, line, start, end, old, new))
    return sorted(found, key=lambda m: (m.start, m.end, m.new))


def sample(root: Path, files: list[str], seed: int) -> list[Mutant]:
    """All mutants of some files in a random order: the first of them are a sample, and stay so when others come."""
    every = [mutant for file in files for mutant in mutants(file, (root / file).read_bytes())]
    return sorted(every, key=lambda mutant: hashlib.sha256(f"{seed} {mutant.id}".encode()).digest())


def _walk(node: ast.AST, scope: str, body: ast.AST | None) -> Iterator[tuple[str, ast.AST | None, ast.AST]]:
    """Nodes whose value matters when the program runs, each with the name and the node of what it stands in.

    Left out: what types, decorators and assertions say, texts, and what is imported.
    """
    yield scope, body, node
    named = isinstance(node, ast.FunctionDef | ast.ClassDef)
    if named:
        scope, body = f"{scope}.{node.name}".lstrip("."), node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases") or (named and field == "keywords"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.AST):
                yield from _walk(child, scope, body)


def _changes(node: ast.AST, source: bytes, span) -> Iterator[tuple[tuple[int, int], str]]:
    """Places of the file and what is written there instead."""
    match node:
        case ast.BinOp():
            yield _between(node.left, node.op, node.right, source, span)
        case ast.Compare():
            for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
                yield _between(left, op, right, source, span)
        case ast.BoolOp():
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield _between(left, node.op, right, source, span)
        case ast.AugAssign():
            yield _between(node.target, node.op, node.value, source, span)
        case ast.UnaryOp():
            start, end = span(node)
            yield (start, end), source[slice(*span(node.operand))].decode()
        case ast.Constant(value=bool()):
            yield span(node), str(not node.value)
        case ast.Constant(value=int() | float()):
            yield span(node), str(node.value + 1)
        case ast.Name(id=name) if name in NAMES:
            yield span(node), NAMES[name]
        case ast.Attribute(attr=name) if name in NAMES:
            end = span(node)[1]
            yield (end - len(name), end), NAMES[name]
        case ast.If() | ast.IfExp() | ast.While():
            yield span(node.test), "False"
            if not isinstance(node, ast.While):
                yield span(node.test), "True"
        case ast.Break():
            yield span(node), "continue"
        case ast.Continue():
            yield span(node), "break"
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield span(node), "pass"
        case ast.Return(value=ast.AST()):
            yield span(node), "return None"


def _between(left: ast.AST, op: ast.AST, right: ast.AST, source: bytes, span) -> tuple[tuple[int, int], str]:
    """The place of an operator between two operands: brackets and line ends may stand beside it."""
    old, new = OPERATORS.get(type(op), ("@", "*"))
    start = source.index(old.encode(), span(left)[1], span(right)[0])
    return (start, start + len(old)), new
