"""Writes `docs/reference/modules.md` from the docstrings: `python -m tests.docs.generate_reference`.

The source is read and not imported, so that the page is the same on every Python. It stands beside the test that holds
the page to it; `docs/` has pages alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.page import DOCS, ROOT

TARGET = DOCS / "reference" / "modules.md"
COMMAND = "python -m tests.docs.generate_reference"

_PUBLIC = (
    "config.py",
    "errors.py",
    "facade.py",
    "media.py",
    "structured.py",
    "tools.py",
    "application",
    "domain",
    "testing",
)
_INNER_PARTS = ROOT / "dipeo" / "testing" / "simulator"
"""Of this package, only those modules are shown from which it publishes a name."""

_MAX_COLUMNS = 100
_HEAD = f"""\
# Modules

The modules that applications, tests and ports of your own build on, as their docstrings describe them.
[Public names](api.md) is the shorter page: what `import dipeo` gives, and what stays where it is.

This page is generated. After a change in a docstring or a signature, write it again with
`{COMMAND}`.
"""

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def page() -> str:
    """The whole page."""
    paths = list(_sources())
    names = [_module_name(path) for path in paths]
    index = "\n".join(f"- [{name}](#{name.replace('.', '')})" for name in names)
    sections = [_section(path, set(names)) for path in paths]
    return "\n".join([_HEAD, index, "", "\n".join(sections)]).rstrip("\n") + "\n"


# --- which modules -----------------------------------------------------------------------------------------------


def _sources() -> Iterator[Path]:
    package = ROOT / "dipeo"
    for entry in _PUBLIC:
        found = [package / entry] if entry.endswith(".py") else (package / entry).rglob("*.py")
        shown = [path for path in found if _is_shown(path)]
        yield from sorted(shown, key=_module_name)


def _is_shown(path: Path) -> bool:
    if any(part.startswith("_") for part in _module_name(path).split(".")):
        return False
    if not path.is_relative_to(_INNER_PARTS) or path == _INNER_PARTS / "__init__.py":
        return True
    return _module_name(path) in _published_from(_tree(_INNER_PARTS / "__init__.py"))


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _tree(path: Path) -> ast.Module:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        # A quoted type is quoted for the sake of imports; a reader wants the type.
        if isinstance(node, ast.AnnAssign):
            node.annotation = _unquoted(node.annotation)
        if isinstance(node, ast.arg) and node.annotation:
            node.annotation = _unquoted(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            node.returns = _unquoted(node.returns)
    return tree


def _unquoted(annotation: ast.expr) -> ast.expr:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _published_from(tree: ast.Module) -> dict[str, list[str]]:
    """The names that a module publishes from others: those in `__all__`, and those imported `as` themselves."""
    listed = {name for node in tree.body if isinstance(node, ast.Assign) for name in _all_in(node)}
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dipeo."):
            names = [alias.name for alias in node.names if alias.name in listed or alias.name == alias.asname]
            if names:
                found[node.module] = sorted({*found.get(node.module, []), *names})
    return found


def _all_in(node: ast.Assign) -> list[str]:
    is_all = any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    return list(ast.literal_eval(node.value)) if is_all else []


# --- a module ----------------------------------------------------------------------------------------------------


def _section(path: Path, shown: set[str]) -> str:
    tree = _tree(path)
    lines = [f"## {_module_name(path)}", "", *_prose(ast.get_docstring(tree))]
    for module, names in _published_from(tree).items():
        home = f"[{module}](#{module.replace('.', '')})" if module in shown else f"`{module}`"
        lines += [f"From {home}: {', '.join(f'`{name}`' for name in names)}.", ""]
    if constants := list(_fields(tree.body)):
        lines += [*_fenced(constants), ""]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | _Function) and _is_public(node.name):
            stub = _class_stub(node) if isinstance(node, ast.ClassDef) else _signature(node)
            title = node.name if isinstance(node, ast.ClassDef) else f"{node.name}()"
            lines += [f"### {title}", "", *_prose(ast.get_docstring(node)), *_fenced(stub), ""]
    return "\n".join(lines)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _fenced(lines: list[str]) -> list[str]:
    return ["```py", *lines, "```"]


def _prose(docstring: str | None) -> list[str]:
    """A docstring as Markdown; a paragraph that is laid out by hand keeps its layout."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", docstring or ""):
        if re.search(r"\n\s|[├└│]", paragraph):
            lines += ["```text", *paragraph.splitlines(), "```", ""]
        elif paragraph:
            lines += [*_escaped(paragraph).splitlines(), ""]
    return lines


def _escaped(text: str) -> str:
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([<*\[])", r"\\\1", piece) for piece in pieces)


# --- code --------------------------------------------------------------------------------------------------------


def _class_stub(node: ast.ClassDef) -> list[str]:
    bases = [ast.unparse(base) for base in [*node.bases, *node.keywords]]
    head = f"class {node.name}({', '.join(bases)}):" if bases else f"class {node.name}:"
    members = list(_fields(node.body))
    for child in node.body:
        if isinstance(child, _Function) and (_is_public(child.name) or child.name == "__init__"):
            members += [*([""] if members else []), *_signature(child), *_quoted(ast.get_docstring(child))]
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    return [*decorators, head, *(f"    {line}".rstrip() for line in members or ["..."])]


def _quoted(docstring: str | None) -> list[str]:
    if not docstring:
        return []
    first, *rest = docstring.splitlines()
    if not rest:
        return [f'    """{first}"""']
    return [f'    """{first}', *(f"    {line}".rstrip() for line in rest), '    """']


def _fields(body: list[ast.stmt]) -> Iterator[str]:
    """The public names that are assigned, without a type those in capitals alone; what stands below is a comment."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, line = node.target.id, f"{node.target.id}: {ast.unparse(node.annotation)}{_default(node.value)}"
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            name, line = node.targets[0].id, f"{node.targets[0].id}{_default(node.value)}"
        else:
            continue
        if not _is_public(name):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            yield from (f"# {text.strip()}" for text in str(following.value.value).strip().splitlines())
        yield line


def _default(value: ast.expr | None) -> str:
    """What a field is when it is not given: `...` where it is made, or is too long to be shown."""
    if value is None:
        return ""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "field":
        given = {keyword.arg: keyword.value for keyword in value.keywords}
        if "factory" in given:
            return " = ..."
        return _default(given.get("default"))
    text = ast.unparse(value)
    return f" = {text}" if len(text) <= _MAX_COLUMNS // 2 or "|" in text else " = ..."


def _signature(node: _Function) -> list[str]:
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    parts = list(_parameters(node.args))
    line = f"{word} {node.name}({', '.join(parts)}){result}"
    if len(line) <= _MAX_COLUMNS:
        return [*decorators, line]
    return [*decorators, f"{word} {node.name}(", *(f"    {part}," for part in parts), f"){result}"]


def _parameters(given: ast.arguments) -> Iterator[str]:
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    for place, (argument, default) in enumerate(zip(positional, defaults, strict=True), start=1):
        yield _parameter(argument, default)
        if place == len(given.posonlyargs):
            yield "/"
    if given.vararg:
        yield f"*{_parameter(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _parameter(argument, default)
    if given.kwarg:
        yield f"**{_parameter(given.kwarg, None)}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return ast.unparse(argument)
    sign = " = " if argument.annotation else "="
    return f"{ast.unparse(argument)}{sign}{ast.unparse(default)}"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
