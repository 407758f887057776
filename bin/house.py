"""`make house`: figures by which one sees whether a newcomer finds the way in the source. Fails where a goal is missed.

That imports go downwards only, and in no circle, `make check-layers` holds.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = 27  # directly in jobs/, once the API is there
LONGEST = 40  # lines of a function
LOOSE = 20  # public functions that return a dictionary whose keys nobody wrote down
MODULE = 500  # lines, from which on a module smells

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


def sources() -> list[Path]:
    """Python of the product, without the migrations."""
    return [path for path in tracked("jobs/*.py", "batchweb/*.py") if "migrations" not in path.parts]


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def loose(path: Path) -> list[str]:
    found = [f for f in functions(path) if f.returns and not f.name.startswith("_")]
    return [f"{path.relative_to(ROOT)}: {f.name}" for f in found if "dict[str, Any]" in ast.unparse(f.returns or f)]


def comments(path: Path) -> tuple[int, int]:
    """Comments, and lines with code on them."""
    with path.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
               tokenize.ENDMARKER)  # fmt: skip
    code = {token.start[0] for token in tokens if token.type not in skipped}
    return sum(token.type == tokenize.COMMENT for token in tokens), len(code)


def main() -> int:
    paths = sources()
    sizes = sorted(lines(f) for path in paths for f in functions(path))
    noted, code = map(sum, zip(*map(comments, paths), strict=True))
    untyped = [line for path in paths for line in loose(path)]
    entries = {path.relative_to(ROOT).parts[1] for path in tracked("jobs")}
    large = [f"{path.relative_to(ROOT)} {n}" for path in paths if (n := path.read_text().count("\n")) > MODULE]
    table = (
        ("entries directly in jobs/", len(entries), f"at most {ENTRIES}", len(entries) <= ENTRIES),
        ("source lines without migrations", sum(path.read_text().count("\n") for path in paths), "", True),
        ("function: median lines", statistics.median(sizes), "at most 8", statistics.median(sizes) <= 8),
        ("function: most lines", sizes[-1], f"at most {LONGEST}", sizes[-1] <= LONGEST),
        ("public functions that return dict[str, Any]", len(untyped), f"under {LOOSE}", len(untyped) < LOOSE),
        ("comments for 100 lines of code", round(100 * noted / code, 1), "about 5", True),
        ("modules over 500 lines", len(large), "none", not large),
    )  # fmt: skip
    told = [f"{name:45} {value:>8}   {goal}{'' if met else '   <-'}" for name, value, goal, met in table]
    told += [f"    {line}" for line in (*untyped, *large)] if "-v" in sys.argv else []
    sys.stdout.write("\n".join(told) + "\n")
    return 0 if all(met for *_, met in table) else 1


if __name__ == "__main__":
    sys.exit(main())
