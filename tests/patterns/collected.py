"""Every regular expression of the source, found in it, with the way in which it is used."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Final

from django.urls import URLPattern, URLResolver, get_resolver

from jobs.engine.redaction import Redactor

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("batchweb", "jobs")
SCRIPTS: Final = ROOT / "jobs/static/jobs/js"
METHODS: Final = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "compile"}
FIXED: Final = {"match", "fullmatch"}  # these begin at one place of a text, all others at each
ANYWHERE: Final = "sub"
# Files that make expressions of what they are given, each with what it makes of an example.
MADE: Final = {"jobs/engine/redaction.py": lambda: made_of(Redactor(["Sw/+\n blue", "tiny", "ab"]))}
VALIDATORS: Final = {"RegexValidator", "RegexField", "re_path"}


@dataclass(frozen=True, order=True)
class Expression:
    """A regular expression: the file it is in, itself, its flags, and the method that is called."""

    file: str
    pattern: str | bytes
    flags: int = 0
    way: str = ANYWHERE

    def __str__(self) -> str:
        return f"{self.file} {self.way} {str(self.pattern)[:60]!r}"


class NotFound(Exception):
    """A regular expression is made in a way that nobody can follow."""


def everything() -> list[Expression]:
    """All of Python, of JavaScript and of the addresses."""
    found = [*addresses(), *(one for path in modules() for one in of_module(path))]
    found += [one for path in sorted(SCRIPTS.glob("*.js")) for one in of_script(path.name, path.read_text())]
    # Only the own flags count: what was compiled tells of its alphabet, too.
    return list(dict.fromkeys(found))


def modules() -> list[Path]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in paths if "migrations" not in path.parts]


# Python


def of_module(path: Path) -> list[Expression]:
    """Those of one file. Raises NotFound."""
    sites = list(calls(tree_of(path)))
    if not sites:
        return []
    name = str(path.relative_to(ROOT))
    if name in MADE:
        return [Expression(name, pattern.pattern, pattern.flags) for pattern in MADE[name]()]
    module = vars(importlib.import_module(name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")))
    return of_names(name, module, sites, lambda variable: used(path, variable))


def made_of(redactor: Redactor) -> Iterator[re.Pattern[str]]:
    """What the redactor looks for secrets with."""
    for reader in filter(None, (redactor.forwards, redactor.backwards)):
        yield from (reader.heads, reader.cuts)
        yield from (re.compile(unit) for form in reader.forms for unit in form.rest)
    if redactor.words:
        yield redactor.words


def of_names(file: str, module: Mapping[str, Any], sites: list[ast.Call], ways: Any) -> list[Expression]:
    """What these calls compile, and what is found in the names of the module. Raises NotFound."""
    held = [
        Expression(file, pattern.pattern, pattern.flags, way)
        for variable, value in module.items()
        for pattern, method in patterns_in(value)
        for way in ([method] if method else ways(variable))
    ]
    known = {one.pattern for one in held}
    direct, missing = [], 0
    for site in sites:
        try:
            pattern, flags = evaluated(site, module)
        except NameError:
            missing += 1
            continue
        if pattern not in known:
            direct.append(Expression(file, pattern, flags, method_of(site)))
    written = {evaluated(site, module)[0] for site in sites if is_plain(site, module)}
    if missing and not known - written:
        raise NotFound(f"{file}: an expression is made where none can be seen; compile it in a name of the module.")
    return [*held, *direct]


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call that takes a regular expression first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (is_of_re(node.func) or getattr(node.func, "id", "") in VALIDATORS):
            yield node


def is_of_re(function: ast.expr) -> bool:
    """Whether this is a function of `re`, such as re.sub."""
    named = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return named and function.value.id == "re" and function.attr in METHODS  # type: ignore[attr-defined]


def is_plain(site: ast.Call, module: Mapping[str, Any]) -> bool:
    try:
        evaluated(site, module)
    except NameError:
        return False
    return True


def evaluated(site: ast.Call, module: Mapping[str, Any]) -> tuple[str | bytes, int]:
    """The expression that a call is given, and its flags. Raises NameError where a variable of a function is in it."""
    place = {"compile": 1, "sub": 4, "subn": 4, "split": 3}.get(method_of(site), 2)
    named = [keyword.value for keyword in site.keywords if keyword.arg == "flags"]
    flags = [*named, *site.args[place : place + 1]][:1]
    pattern, flag = (eval(code_of(node), dict(module)) for node in (site.args[0], *(flags or [ast.Constant(0)])))
    return pattern, int(flag)


def code_of(node: ast.expr) -> CodeType:
    return compile(ast.fix_missing_locations(ast.Expression(node)), "source", "eval")


def method_of(site: ast.Call) -> str:
    method = getattr(site.func, "attr", ANYWHERE)
    return method if method in METHODS - {"compile"} else ANYWHERE


def patterns_in(value: Any, depth: int = 4) -> Iterator[tuple[re.Pattern[Any], str]]:
    """The compiled expressions in a value of a module, with the method where it is one that is bound."""
    if isinstance(value, re.Pattern):
        yield value, ""
    elif isinstance(getattr(value, "__self__", None), re.Pattern):
        yield value.__self__, value.__name__
    elif depth and isinstance(value, (tuple, list, set, frozenset, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from patterns_in(one, depth - 1)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def used(path: Path, variable: str) -> list[str]:
    """How a name is used: match and fullmatch where nothing else is called anywhere."""
    found = {
        node.attr
        for source in ([path] if variable.startswith("_") else modules())
        for node in ast.walk(tree_of(source))
        if isinstance(node, ast.Attribute) and node.attr in METHODS and name_of(node.value) == variable
    }
    return sorted(found) if found and found <= FIXED else [ANYWHERE]


def name_of(node: ast.expr) -> str:
    """The name that stands before a method: of `NAME`, `module.NAME` and `NAME[key]`."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


# Addresses


def addresses() -> Iterator[Expression]:
    """What the addresses of requests are compared with."""
    waiting: list[URLPattern | URLResolver] = [get_resolver()]
    while waiting:
        one = waiting.pop()
        compiled = one.pattern.regex
        yield Expression("addresses", compiled.pattern, compiled.flags, "search")
        waiting += getattr(one, "url_patterns", [])


# JavaScript

_TOKEN: Final = re.compile(
    r"""
    //[^\n]*+ | /\*(?s:.*?)\*/ | "(?:[^"\\\n]|\\.)*+" | '(?:[^'\\\n]|\\.)*+' | `
    | (?P<regex>/(?![/*])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*+\])++/)(?P<flags>[a-z]*+)
    | (?P<made>new\s++RegExp\b|\bRegExp\() | \s++ | \w++ | .
    """,
    re.VERBOSE,
)
# After these a stroke divides nothing.
_BEFORE: Final = re.compile(r"[=(,:\[!&|?{};+\-*%<>~^`]|\b(?:return|typeof|case|in|of)")


def of_script(file: str, text: str) -> Iterator[Expression]:
    """Those of a script, which are written between strokes. Raises NotFound where one is made of a text."""
    at, before = 0, ";"
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise NotFound(f"{file}: cannot be read at {at}")
        if token["made"]:
            raise NotFound(f"{file}: an expression is made of a text")
        if token["regex"] and not _BEFORE.fullmatch(before):
            at, before = at + 1, "/"
            continue
        if token["regex"]:
            yield Expression(file, token["regex"][1:-1].replace("\\/", "/"), re.IGNORECASE * ("i" in token["flags"]))
        if token[0].strip() and not token[0].startswith(("//", "/*")):
            before = token[0]
        at = token.end()
