"""Small faults for a module, one at a time: each is the module's syntax tree with one thing in it changed.

What is changed: conditions, comparisons, boolean and arithmetic operators, numbers, texts, arguments, what is returned
and assigned, what `except` catches, what a loop goes through; and statements are left out. What is not: annotations,
decorators, docstrings, names of type variables, what is called while the module is imported, arguments of log calls,
and words for people, which are f-strings and texts with a blank in them: the wording of a message is not behaviour.
"""

import ast
import copy
import difflib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Final

from attrs import field, frozen

Function = ast.FunctionDef | ast.AsyncFunctionDef

_OPPOSITES: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_RENAMED: Final = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "startswith": "endswith",
    "endswith": "startswith",
    "removeprefix": "removesuffix",
}
_UNWRAPPED: Final = {"shield", "copy", "list", "tuple"}
"""Calls that protect their one argument; without them the argument is used as it is."""

_ARGUMENTS_KEPT: Final = {"isinstance", "len"}
_LEFT_ALONE: Final = {"_LOG.exception", "TypeVar"}


@frozen
class Mutant:
    """One fault: where it is, what stood there, what stands there now, and the module that has it."""

    path: Path
    function: str
    line: int
    last_line: int
    before: str
    after: str
    code: CodeType = field(repr=False, eq=False)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What the mutant is, wherever in the module it stands."""
        return (self.path.stem, self.function, self.before, self.after)


def mutants_of(path: Path, only: Callable[[str], bool] = lambda function: True) -> list[Mutant]:
    """All mutants of a module, in the order of its lines, in the functions whose qualified name is wanted."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: dict[tuple[int, str, str], Mutant] = {}
    for place in _places(tree):
        if not only(place.function):
            continue
        for changed in _changes(place):
            mutant = _mutant(path, tree, place, changed)
            if mutant is not None:
                found.setdefault((mutant.line, mutant.before, mutant.after), mutant)
    return sorted(found.values(), key=lambda mutant: mutant.line)


@frozen
class _Place:
    """A node of the tree, the statement that it belongs to, and the function or class (with a dot) around it."""

    node: ast.AST
    statement: ast.stmt
    function: str
    is_test: bool = False
    """Whether the node alone decides a branch: then the branch is taken always and never, and that is enough."""

    @property
    def is_import_time(self) -> bool:
        return not self.function or self.function.endswith(".")


def _places(tree: ast.Module) -> Iterator[_Place]:
    for statement in tree.body:
        yield from _places_below(statement, statement, "")


def _places_below(node: ast.AST, statement: ast.stmt, function: str, *, is_test: bool = False) -> Iterator[_Place]:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr) or _is_docstring(node):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) in _LEFT_ALONE:
        return
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__slots__" for t in node.targets):
        return
    inner = function
    if isinstance(node, Function | ast.ClassDef):
        # A class's own body, and the defaults of a function, are computed when the module is imported.
        inner = f"{function}{node.name}" + ("." if isinstance(node, ast.ClassDef) else "")
    yield _Place(node, statement, inner, is_test)
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "bases", "keywords"} and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                below = child if isinstance(child, ast.stmt) else statement
                yield from _places_below(child, below, inner, is_test=name == "test")


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str | type(...))
    )


def _mutant(path: Path, tree: ast.Module, place: _Place, changed: ast.AST) -> Mutant | None:
    # What is looked up in the memo is taken for already copied: the tree is copied, and this one node replaced.
    memo: dict[int, object] = {id(place.node): changed}
    statement = changed if place.node is place.statement else copy.deepcopy(place.statement, memo)
    before, after = ast.unparse(place.statement), ast.unparse(statement)
    lines = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "-+"]
    if not lines:
        return None
    mutated = copy.deepcopy(tree, {id(place.node): changed})
    ast.fix_missing_locations(mutated)
    try:
        code = compile(mutated, str(path), "exec")
    except (SyntaxError, ValueError):
        return None
    node = place.node if isinstance(place.node, ast.expr | ast.stmt) else place.statement
    return Mutant(
        path=path,
        function=place.function.rstrip("."),
        line=node.lineno,
        last_line=node.lineno if isinstance(node, ast.stmt) and hasattr(node, "body") else node.end_lineno or 0,
        before=" ".join(line[2:].strip() for line in lines if line[0] == "-"),
        after=" ".join(line[2:].strip() for line in lines if line[0] == "+"),
        code=code,
    )


def _changes(place: _Place) -> Iterator[ast.AST]:
    node = place.node
    if not (place.is_test and _is_equality(node)):
        yield from _value_changes(node)
    if isinstance(node, ast.Call) and not place.is_import_time:
        yield from _call_changes(node)
    if isinstance(node, ast.ExceptHandler):
        yield from _handler_changes(node)
    if isinstance(node, ast.stmt) and not place.is_import_time:
        yield from _statement_changes(node)


def _is_equality(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return not any(isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for operator in node.ops)
    return isinstance(node, ast.UnaryOp)


def _value_changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=operators):
            for index, operator in enumerate(operators):
                opposite = _OPPOSITES[type(operator)]()
                yield _with(node, ops=[*operators[:index], opposite, *operators[index + 1 :]])
        case ast.BoolOp(op=operator, values=values):
            yield _with(node, op=_OPPOSITES[type(operator)]())
            for index in range(len(values)):
                rest = values[:index] + values[index + 1 :]
                yield rest[0] if len(rest) == 1 else _with(node, values=rest)
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in _OPPOSITES:
            yield _with(node, op=_OPPOSITES[type(operator)]())
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield body
            yield orelse
        case ast.Constant(value=value):
            yield from _other_constants(value)
        case ast.comprehension(ifs=[_, *_]):
            yield _with(node, ifs=[])
        case _:
            pass


def _other_constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"XX")
    elif isinstance(value, str) and " " not in value:
        yield ast.Constant(value + "XX")


def _call_changes(call: ast.Call) -> Iterator[ast.AST]:
    name = ast.unparse(call.func)
    if isinstance(call.func, ast.Name) and name in _RENAMED:
        yield _with(call, func=ast.Name(_RENAMED[name], ast.Load()))
    if isinstance(call.func, ast.Attribute) and call.func.attr in _RENAMED:
        yield _with(call, func=_with(call.func, attr=_RENAMED[call.func.attr]))
    if name.split(".")[-1] in _UNWRAPPED and len(call.args) == 1:
        yield call.args[0]
    if name in _ARGUMENTS_KEPT:
        return
    for index, argument in enumerate(call.args):
        if not _is_wording(argument) and not isinstance(argument, ast.Starred):
            yield _with(call, args=[*call.args[:index], ast.Constant(None), *call.args[index + 1 :]])
    for index, keyword in enumerate(call.keywords):
        if not _is_wording(keyword.value):
            nothing = _with(keyword, value=ast.Constant(None))
            yield _with(call, keywords=[*call.keywords[:index], nothing, *call.keywords[index + 1 :]])


def _is_wording(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None or (isinstance(node.value, str) and " " in node.value)
    return isinstance(node, ast.JoinedStr)


def _handler_changes(handler: ast.ExceptHandler) -> Iterator[ast.AST]:
    yield _with(handler, type=ast.Tuple([], ast.Load()))
    if isinstance(handler.type, ast.Tuple):
        caught = handler.type.elts
        for index in range(len(caught)):
            yield _with(handler, type=ast.Tuple(caught[:index] + caught[index + 1 :], ast.Load()))


def _statement_changes(statement: ast.stmt) -> Iterator[ast.AST]:
    match statement:
        case ast.If(test=_) | ast.While(test=_):
            for value in (True, False):
                yield _with(statement, test=ast.Constant(value))
        case ast.For():
            yield _with(statement, iter=ast.Tuple([], ast.Load()))
        case ast.Return(value=None) | ast.Break() | ast.Raise() | ast.Delete() | ast.AugAssign() | ast.Expr():
            yield ast.Pass()
        case ast.Return(value=value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield _with(statement, value=ast.Constant(None))
        case (
            ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(target=ast.Name(), value=ast.expr() as value)
        ):
            if not (isinstance(value, ast.Constant) and value.value is None):
                yield _with(statement, value=ast.Constant(None))
        case ast.Assign() | ast.AnnAssign(value=ast.expr()):
            yield ast.Pass()
        case _:
            pass


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
