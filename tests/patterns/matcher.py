"""A backtracking matcher that counts its steps, for what `re` does not tell: how much work a text makes.

It takes the parse tree of the standard library, so that it knows every expression that `re` knows, and tries what can
be tried in the same order. A step is one instruction; none of them looks at more than one character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple, TypeAlias

MOST = 3_000_000  # steps, after which no end is waited for

Span: TypeAlias = tuple[int, int]
Test: TypeAlias = Callable[[str], bool]
Marks: TypeAlias = dict[int, int]  # where groups begin (2 × number) and end, and where rounds of repeats began (< 0)
State: TypeAlias = tuple[int, int, Marks]  # the next instruction, the place in the text, the marks
Instruction: TypeAlias = Callable[["Program", State], State | None]

ANYWHERE: Test = lambda _: True  # noqa: E731


class TooMuchWork(Exception):
    """More than MOST steps."""


class Found(NamedTuple):
    """The matches in a text, and how many steps it took to find them and that there are no others."""

    spans: list[Span]
    steps: int


class Program:
    """An expression as instructions. Bytes are taken for the characters of Latin-1."""

    def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
        self.tree = parser.parse(pattern, flags)
        self.flags = self.tree.state.flags | (re.ASCII if isinstance(pattern, bytes) else 0)
        self.code: list[Instruction] = []
        self.waiting: list[State] = []
        self.text = ""
        self.steps = 0
        self._rounds = 0
        self._sequence(self.tree, self.flags)
        self.code.append(_end)

    def run(self, text: str, way: str) -> Found:
        """The matches as `way` finds them: match and fullmatch at the beginning, search one, all others all.

        Raises TooMuchWork.
        """
        self.text, self.steps = text, 0
        if way in ("match", "fullmatch"):
            end = self._match(0, 0, len(text) if way == "fullmatch" else 0)
            return Found([] if end is None else [(0, end)], self.steps)
        return Found(list(self._search(once=way == "search")), self.steps)

    def _search(self, once: bool) -> Iterator[Span]:
        at = least = 0
        while at <= len(self.text):
            end = self._match(0, at, at + least)
            if end is None:
                at, least = at + 1, 0
                continue
            yield at, end
            if once:
                return
            # Where nothing was matched something may be matched yet.
            at, least = end, int(at == end)

    def _match(self, start: int, at: int, least: int = 0) -> int | None:
        found = self.attempt((start, at, {}), least)
        return found[1] if found else None

    def attempt(self, state: State, least: int = 0) -> State | None:
        """The first way from here to the end of the instructions that ends no sooner than at `least`."""
        outside, self.waiting = self.waiting, [state]
        try:
            while self.waiting:
                found = self._follow(self.waiting.pop())
                if found and found[1] >= least:
                    return found
            return None
        finally:
            self.waiting = outside

    def _follow(self, state: State) -> State | None:
        following: State | None = state
        while following and following[0] >= 0:
            self.steps += 1
            if self.steps > MOST:
                raise TooMuchWork
            following = self.code[following[0]](self, following)
        return following

    # Compiling

    def _sequence(self, tree: Any, flags: int) -> None:
        for kind, value in tree:
            COMPILERS[kind](self, value, flags)

    def _character(self, test: Test) -> None:
        self.code.append(_one(test))

    def _branch(self, value: Any, flags: int) -> None:
        ends = []
        for tree in value[1][:-1]:
            split = self._hole()
            self._sequence(tree, flags)
            ends.append(self._hole())
            self.code[split] = _split(split + 1, len(self.code))
        self._sequence(value[1][-1], flags)
        for end in ends:
            self.code[end] = _jump(len(self.code))

    def _group(self, value: Any, flags: int) -> None:
        number, added, removed, tree = value
        if number is not None:
            self.code.append(_mark(2 * number))
        self._sequence(tree, (flags | added) & ~removed)
        if number is not None:
            self.code.append(_mark(2 * number + 1))

    def _repeat(self, value: Any, flags: int, lazy: bool = False) -> None:
        least, most, tree = value
        for _ in range(least):
            self._sequence(tree, flags)
        if most is sre.MAXREPEAT:
            self._endless(tree, flags, lazy)
            return
        splits = []
        for _ in range(most - least):
            splits.append(self._hole())
            self._sequence(tree, flags)
        for split in splits:
            self.code[split] = _split(split + 1, len(self.code), lazy)

    def _endless(self, tree: Any, flags: int, lazy: bool) -> None:
        self._rounds -= 1
        number, split = self._rounds, self._hole()
        self.code.append(_mark(number))
        self._sequence(tree, flags)
        self.code += [_moved(number), _jump(split)]
        self.code[split] = _split(split + 1, len(self.code), lazy)

    def _lazy(self, value: Any, flags: int) -> None:
        self._repeat(value, flags, lazy=True)

    def _possessive(self, value: Any, flags: int) -> None:
        self._atomic([(sre.MAX_REPEAT, value)], flags)

    def _atomic(self, tree: Any, flags: int) -> None:
        hole = self._hole()
        self._sequence(tree, flags)
        self.code.append(_end)
        self.code[hole] = _alone(hole + 1, len(self.code))

    def _look(self, value: Any, flags: int, wanted: bool = True) -> None:
        direction, tree = value
        hole = self._hole()
        self._sequence(tree, flags)
        self.code.append(_end)
        behind = tree.getwidth()[0] if direction < 0 else 0
        self.code[hole] = _look(hole + 1, len(self.code), behind, wanted)

    def _look_not(self, value: Any, flags: int) -> None:
        self._look(value, flags, wanted=False)

    def _place(self, value: Any, flags: int) -> None:
        self.code.append(_at(place_test(value, flags)))

    def _same(self, number: int, flags: int) -> None:
        self.code.append(_same(number))

    def _hole(self) -> int:
        self.code.append(_end)
        return len(self.code) - 1


# Instructions


def _end(_: Program, state: State) -> State:
    return (-1, *state[1:])


def _one(test: Test) -> Instruction:
    known = cache(test)

    def one(program: Program, state: State) -> State | None:
        here, at, marks = state
        return (here + 1, at + 1, marks) if at < len(program.text) and known(program.text[at]) else None

    return one


def _split(first: int, second: int, lazy: bool = False) -> Instruction:
    def split(program: Program, state: State) -> State:
        program.waiting.append((first if lazy else second, *state[1:]))
        return (second if lazy else first, *state[1:])

    return split


def _jump(there: int) -> Instruction:
    return lambda _, state: (there, *state[1:])


def _mark(number: int) -> Instruction:
    return lambda _, state: (state[0] + 1, state[1], state[2] | {number: state[1]})


def _moved(number: int) -> Instruction:
    # A repeat of nothing would go on for ever.
    return lambda _, state: None if state[2][number] == state[1] else (state[0] + 1, *state[1:])


def _at(test: Callable[[str, int], bool]) -> Instruction:
    return lambda program, state: (state[0] + 1, *state[1:]) if test(program.text, state[1]) else None


def _alone(start: int, after: int) -> Instruction:
    def alone(program: Program, state: State) -> State | None:
        found = program.attempt((start, *state[1:]))
        return (after, *found[1:]) if found else None

    return alone


def _look(start: int, after: int, behind: int, wanted: bool) -> Instruction:
    def look(program: Program, state: State) -> State | None:
        _, at, marks = state
        found = program.attempt((start, at - behind, marks)) if at >= behind else None
        if (found is not None) != wanted:
            return None
        return after, at, found[2] if found else marks

    return look


def _same(number: int) -> Instruction:
    def same(program: Program, state: State) -> State | None:
        here, at, marks = state
        if 2 * number + 1 not in marks:
            return None
        text = program.text[marks[2 * number] : marks[2 * number + 1]]
        program.steps += len(text)
        return (here + 1, at + len(text), marks) if program.text.startswith(text, at) else None

    return same


# Characters and places


def literal_test(value: int, flags: int) -> Test:
    """Whether a character is this one."""
    wanted = chr(value)
    if not flags & re.IGNORECASE:
        return wanted.__eq__
    same = re.compile(re.escape(wanted), re.IGNORECASE | (flags & re.ASCII))
    return lambda character: same.fullmatch(character) is not None


def set_test(items: Any, flags: int) -> Test:
    """Whether a character is in a set, as the parser has it."""
    negated = items[0][0] is sre.NEGATE
    tests = [_member_test(kind, value, flags) for kind, value in items if kind is not sre.NEGATE]
    return lambda character: any(test(character) for test in tests) != negated


def _member_test(kind: Any, value: Any, flags: int) -> Test:
    if kind is sre.LITERAL:
        return literal_test(value, flags)
    if kind is sre.CATEGORY:
        return category_test(value, flags)
    low, high = value
    plain: Test = lambda character: low <= ord(character) <= high  # noqa: E731
    if not flags & re.IGNORECASE:
        return plain
    return lambda character: any(
        len(one) == 1 and plain(one) for one in (character, character.lower(), character.upper())
    )


def category_test(name: Any, flags: int) -> Test:
    """Whether a character is a digit, white space or of a word, or is none."""
    letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[str(name).rsplit("_", 1)[-1]]
    known = re.compile(f"\\{letter.upper() if '_NOT_' in str(name) else letter}", flags & re.ASCII)
    return lambda character: known.fullmatch(character) is not None


def place_test(name: Any, flags: int) -> Callable[[str, int], bool]:
    """Whether a place in a text is a beginning, an end or a boundary."""
    lines = flags & re.MULTILINE
    word = category_test("CATEGORY_WORD", flags)

    def boundary(text: str, at: int) -> bool:
        return (at > 0 and word(text[at - 1])) != (at < len(text) and word(text[at]))

    return {
        sre.AT_BEGINNING: lambda text, at: at == 0 or (lines and text[at - 1] == "\n"),
        sre.AT_BEGINNING_STRING: lambda text, at: at == 0,
        sre.AT_END: lambda text, at: text[at:] in ("", "\n") or (lines and text[at] == "\n"),
        sre.AT_END_STRING: lambda text, at: at == len(text),
        sre.AT_BOUNDARY: boundary,
        sre.AT_NON_BOUNDARY: lambda text, at: text != "" and not boundary(text, at),
    }[name]


def any_test(flags: int) -> Test:
    """Whether the dot matches a character."""
    return ANYWHERE if flags & re.DOTALL else "\n".__ne__


COMPILERS: dict[Any, Callable[[Program, Any, int], None]] = {
    sre.LITERAL: lambda program, value, flags: program._character(literal_test(value, flags)),
    sre.NOT_LITERAL: lambda program, value, flags: program._character(
        set_test([(sre.NEGATE, None), (sre.LITERAL, value)], flags)
    ),
    sre.ANY: lambda program, _, flags: program._character(any_test(flags)),
    sre.IN: lambda program, value, flags: program._character(set_test(value, flags)),
    sre.BRANCH: Program._branch,
    sre.SUBPATTERN: Program._group,
    sre.MAX_REPEAT: Program._repeat,
    sre.MIN_REPEAT: Program._lazy,
    sre.POSSESSIVE_REPEAT: Program._possessive,
    sre.ATOMIC_GROUP: Program._atomic,
    sre.ASSERT: Program._look,
    sre.ASSERT_NOT: Program._look_not,
    sre.AT: Program._place,
    sre.GROUPREF: Program._same,
}
