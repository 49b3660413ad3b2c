"""Docstrings of public functions name the shapes of the arrays that they take and give."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from pages import ROOT

ARRAYS = re.compile(r"\b(?:\w*Arrays?|ArrayLike|Tensor)\b")
SHAPE = re.compile(
    r"\([][\w.+*/` -]*(?:,[][\w.+*/` -]*)+\)"  # (samples, inputs), (n,), (T N, ...)
    r"|(?<!wrong )(?<!another )\bshapes?\b|element by element"
    r"|[Aa]rguments(?: and \w+)?(?: are| as)?(?: those)? of `"  # of a function that names them
)


def names_shape(text: str) -> bool:
    """Whether a docstring names a shape, or says where it stands."""
    return SHAPE.search(" ".join(text.split())) is not None


def functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Public functions of a module or a class; overloads and setters have the docstring of another one."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            decorators = {ast.unparse(one).rpartition(".")[2] for one in node.decorator_list}
            if not decorators & {"overload", "setter"}:
                yield node


def takes_or_gives_arrays(function: ast.FunctionDef) -> bool:
    """Whether an annotation of the function names a type of arrays."""
    arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    annotations = [function.returns, *(a.annotation for a in arguments)]
    return any(ARRAYS.search(ast.unparse(one)) for one in annotations if one is not None)


def without_shape(sources: dict[str, str]) -> list[str]:
    """Functions of modules, by path, that lack a shape; an override may leave it to the method of its base class."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    every = [one for tree in trees.values() for one in tree.body if isinstance(one, ast.ClassDef)]

    def documented(owner: ast.AST, function: ast.FunctionDef) -> bool:
        if not isinstance(owner, ast.ClassDef):
            return names_shape(ast.get_docstring(function) or "")
        own = any(f.name == function.name and names_shape(ast.get_docstring(f) or "") for f in functions(owner.body))
        bases = {ast.unparse(base).partition("[")[0] for base in owner.bases} - {owner.name}
        return own or any(documented(one, function) for one in every if one.name in bases)

    return [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in trees.items()
        for owner in (tree, *(one for one in tree.body if isinstance(one, ast.ClassDef) and one.name[0] != "_"))
        for function in functions(owner.body)
        if takes_or_gives_arrays(function) and not documented(owner, function)
    ]


def test_public_functions_name_the_shapes_of_their_arrays() -> None:
    sources = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for pattern in ("qif2hw/**/*.py", "*/qif2hw_*/**/*.py")
        for path in sorted(ROOT.glob(pattern))
    }
    assert {path.split("qif2hw", 1)[0] for path in sources} == {"", "cli/", "deploy/", "hw_models/"}
    assert not without_shape(sources)


def test_a_missing_shape_is_seen() -> None:
    lines = [
        "class Base:",
        "    def named(self, x: FloatArray) -> None:",
        "        '''Of ``x`` (samples, inputs).'''",
        "    def bare(self) -> NDArray[np.int64]:",
        "        '''On arrays of a wrong shape: an error.'''",
        "class Derived(Base):",
        "    def named(self, x: FloatArray) -> None: ...",
        "    def bare(self) -> NDArray[np.int64]: ...",
        "@overload",
        "def free(x: Tensor) -> None: ...",
        "def free(x: Tensor | None = None) -> None: ...",
        "def element(x: Tensor) -> None:",
        "    '''Twice ``x``; element by element.'''",
        "def none(x: int) -> None: ...",
        "def _private(x: Tensor) -> None: ...",
    ]
    assert without_shape({"a": "\n".join(lines)}) == ["a:11 free", "a:4 bare", "a:8 bare"]
