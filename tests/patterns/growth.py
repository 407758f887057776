"""How the work of an expression grows with the length of texts that are made to break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise, product
from re import _constants as sre  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

from tests.patterns.matcher import Program, TooMuchWork, any_test, set_test

# What people and services send in length, beside what an expression itself asks for.
USUAL: Final = (
    *" \t\n.,'\"`“([{<\\01aAé_-:/@=~%+;|*#$e…",
    "\r\n",
    "a ",
    "A ",
    "1.",
    ". ",
    "a.",
    "a1",
    "''",
    '\\"',
    "<a",
    "://",
    "a@",
)
OTHERS: Final = ("", "\x01", "x", "\n")  # what may come last, so that nothing fits
LETTERS: Final = 'a1 .-_A\n"é:/'  # tried first as one of a set
FEW: Final = 3  # characters of a set that are tried, beside these:
OWN: Final = 3  # that the expression names elsewhere, where one part of it may end or another may begin
# Lengths in characters.
FIRST_LOOK: Final = (30, 90)
SECOND_LOOK: Final = (150, 450)
VERDICT: Final = (600, 1_800)  # beyond what repeats with an end have for it
# Three times as long a text makes three times the work, or nine times where it grows by the square.
SUSPECT: Final = 3.4
TOO_FAST: Final = 4.5


REPEATS: Final = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
LOOKS: Final = (sre.ASSERT, sre.ASSERT_NOT)


class Attack(NamedTuple):
    """A text of any length: what comes first, what is repeated, what comes last."""

    first: str
    pump: str
    last: str

    def text(self, length: int) -> str:
        """One of at least so many characters."""
        return self.first + self.pump * -(-length // len(self.pump)) + self.last


class Growth(NamedTuple):
    """An attack under which work grows faster than its text, and how many times at three times the length."""

    attack: Attack
    factor: float


def worst(pattern: str | bytes, flags: int, way: str) -> Growth | None:
    """The first attack found that makes more than linear work; None where there is none."""
    program = Program(pattern, flags)
    for attack in attacks(program):
        if factor(program, way, attack, FIRST_LOOK) < SUSPECT or factor(program, way, attack, SECOND_LOOK) < SUSPECT:
            continue
        found = factor(program, way, attack, VERDICT)
        if found > TOO_FAST:
            return Growth(attack, found)
    return None


def factor(program: Program, way: str, attack: Attack, lengths: tuple[int, int]) -> float:
    """How many times the steps of the shorter text the longer one takes."""
    try:
        less, more = (program.run(attack.text(length), way).steps for length in lengths)
    except TooMuchWork:
        return float("inf")
    return more / less


def attacks(program: Program) -> Iterator[Attack]:
    """Texts made of the expression's own repeats, and of what is usual."""
    samples = Samples(program)
    found = list(dict.fromkeys(samples.repeats(program.tree, "")))
    bodies = list(dict.fromkeys(body for _, body in found))
    begun = dict.fromkeys(text for first, body in found for text in (first, first + body))
    together = [one + other for one, other in pairwise(bodies)]
    alone = [("", pump) for pump in dict.fromkeys([*bodies, *begun, *together, *USUAL])]
    for (first, pump), last in product(dict.fromkeys([*found, *alone]), OTHERS):
        if pump:
            yield Attack(first, pump, last)


def parts(kind: Any, value: Any) -> list[Any]:
    """The expressions in one that is no repeat."""
    if kind is sre.BRANCH:
        return list(value[1])
    if kind is sre.SUBPATTERN:
        return [value[3]]
    if kind in LOOKS:
        return [value[1]]
    return [value] if kind is sre.ATOMIC_GROUP else []


def characters(tree: Any) -> Iterator[str]:
    """Those that an expression names."""
    for kind, value in tree:
        if kind in (sre.LITERAL, sre.NOT_LITERAL):
            yield chr(value)
        elif kind is sre.IN:
            yield from characters(value)
        elif kind is sre.RANGE:
            yield chr(value[0])
        for inner in [value[2]] if kind in REPEATS else parts(kind, value):
            yield from characters(inner)


class Samples:
    """Texts that fit parts of an expression, as far as no look to the side decides."""

    def __init__(self, program: Program) -> None:
        self.flags = program.flags
        self.own = list(dict.fromkeys(characters(program.tree)))

    def repeats(self, tree: Any, before: str) -> Iterator[tuple[str, str]]:
        """Each repeat: what leads to it at the least, and what one round of it may be."""
        for kind, value in tree:
            if kind in REPEATS:
                yield from ((before, text) for text in self.of(value[2]))
            for inner in [value[2]] if kind in REPEATS else parts(kind, value):
                yield from self.repeats(inner, before)
            before += next(self.of([(kind, value)]), "")

    def of(self, tree: Any) -> Iterator[str]:
        """Some of an expression, the shortest first."""
        choices = [list(self._part(kind, value)) or [""] for kind, value in tree]
        yield "".join(choice[0] for choice in choices)
        for at, choice in enumerate(choices):
            for other in choice[1:]:
                yield "".join(other if at == place else one[0] for place, one in enumerate(choices))

    def _part(self, kind: Any, value: Any) -> Iterator[str]:
        if kind is sre.LITERAL:
            yield chr(value)
        elif kind in (sre.IN, sre.NOT_LITERAL, sre.ANY):
            yield from self._set(kind, value)
        elif kind in REPEATS:
            least, _, body = value
            texts = list(self.of(body))
            yield texts[0] * least
            yield from (text * max(1, least) for text in texts if least == 0 or text != texts[0])
        elif kind not in LOOKS:
            for inner in parts(kind, value):
                yield from self.of(inner) if kind is not sre.BRANCH else islice(self.of(inner), 1)

    def _set(self, kind: Any, value: Any) -> list[str]:
        fits = fits_in(kind, value, self.flags)
        usual = list(filter(fits, dict.fromkeys((*LETTERS, *map(chr, range(32, 127))))))[:FEW]
        return list(dict.fromkeys([*usual, *list(filter(fits, self.own))[:OWN]]))


def fits_in(kind: Any, value: Any, flags: int) -> Callable[[str], bool]:
    """Whether one character is among those of a set."""
    if kind is sre.ANY:
        return any_test(flags)
    return set_test([(sre.NEGATE, None), (sre.LITERAL, value)] if kind is sre.NOT_LITERAL else value, flags)
