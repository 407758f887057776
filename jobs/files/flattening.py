"""Results as columns of a table: one for each key, `a.b` for the key b inside of the object a.

The columns have to be known before the first row is written, so the keys are collected while results are recorded, up
to a number and a depth. What has no column of its own is not lost: it stands, as JSON, in the column of the nearest
key above it, and in the end in the one that is named `result` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

# A key of the result itself, or the keys that lead to one inside of it.
Key: TypeAlias = str | tuple[str, ...]
# A column's place, None where there is none of that name, and the columns of the keys inside.
Branch: TypeAlias = tuple[int | None, "Tree"]
Tree: TypeAlias = dict[str, Branch]

WHOLE: Final = ""  # stands for results that are no objects, and for all that has no column
DEPTH: Final = 5  # keys that lead to a column
MOST: Final = 500  # columns of a job, but for WHOLE
LONGEST: Final = 200  # characters of a key that gets a column


def keys_of(fields: Mapping[str, Any]) -> tuple[Key, ...]:
    """The keys by which an object becomes columns, in its order; none where it is empty."""
    found: dict[Key, None] = {}
    _collect(fields, (), found)
    return tuple(found)


def _collect(fields: Mapping[str, Any], above: tuple[str, ...], found: dict[Key, None]) -> None:
    for key, value in fields.items():
        if len(found) > MOST:
            return
        path = (*above, key)
        if len(key) > LONGEST or path == (WHOLE,):
            found[WHOLE] = None
        elif isinstance(value, dict) and value and len(path) < DEPTH:
            _collect(value, path, found)
        else:
            found[path if above else key] = None


def known(stored: Iterable[Any]) -> list[Key]:
    """Keys as they come out of JSON, where those of several parts are lists."""
    return [tuple(key) if isinstance(key, list) else key for key in stored]


def joined(keys: Sequence[Key], more: Iterable[Key]) -> list[Key]:
    """The keys and what is new among the others; WHOLE in place of what is too much."""
    together = dict.fromkeys(keys)
    for key in more:
        together.setdefault(key if len(together) < MOST or key in together else WHOLE)
    return list(together)


def name(key: Key) -> str:
    """How the column of a key is called."""
    return ".".join(("result", *((key,) if isinstance(key, str) else key))) if key else "result"


class Spread:
    """Puts results into the cells of these columns."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys
        self._none: list[Any] = [None] * len(keys)
        self._whole = keys.index(WHOLE) if WHOLE in keys else None
        self._tree: Tree = {}
        for at, key in enumerate(keys):
            if key != WHOLE:
                self._grow((key,) if isinstance(key, str) else key, at)
        # The keys of a result that is spread a fast way: where nothing is nested, and all that it has has a place.
        nested = any(inner for _, inner in self._tree.values())
        self._known = frozenset() if nested else self._tree.keys()
        # The fastest, of a result with just these keys.
        self._whole_row = itemgetter(*keys) if len(keys) > 1 and not nested and self._whole is None else None

    def _grow(self, path: Sequence[str], at: int) -> None:
        tree = self._tree
        for key in path[:-1]:
            tree = tree.setdefault(key, (None, {}))[1]
        tree[path[-1]] = (at, tree.get(path[-1], (None, {}))[1])

    def __call__(self, value: Any) -> Sequence[Any]:
        """The cells of a result, None for empty ones. Raises ValueError where a part of it has no place."""
        if self._whole_row and type(value) is dict and len(value) == len(self._keys):
            try:
                return self._whole_row(value)  # type: ignore[no-any-return]
            except KeyError:
                pass
        if type(value) is dict and value and value.keys() <= self._known:
            return list(map(value.get, self._keys))
        cells = self._none.copy()
        rest = _place(value, self._tree, cells) or None if isinstance(value, dict) and value else value
        if rest is not None:
            if self._whole is None:
                raise ValueError("The columns of the result are not those that this table was begun with.")
            cells[self._whole] = rest
        return cells


def _place(fields: Mapping[str, Any], tree: Tree, cells: list[Any]) -> dict[str, Any]:
    """Fills the cells, and returns what has none."""
    rest = {}
    for key, value in fields.items():
        at, inner = tree.get(key, (None, None))
        if inner and isinstance(value, dict) and value:
            value = _place(value, inner, cells) or None
            if value is None:
                continue
        if at is None:
            rest[key] = value
        else:
            cells[at] = value
    return rest
