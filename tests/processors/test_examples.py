"""The processors that the README shows; what is written there is run here."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from jobs.engine import Failure, Policy
from jobs.processors import Call, Context, Input, Parameter, Processor, processor, register
from tests.processors.attempts import final, kinds, values


def length_example() -> None:
    @processor("length", inputs=[Input("text")], parameters=[Parameter("unit", choices=("letters", "words"))])
    def length(inputs: Mapping[str, Any], context: Context) -> dict[str, int]:
        """Counts letters or words."""
        text = inputs["text"]
        return {"length": len(text.split() if context.parameters["unit"] == "words" else text)}


class FirstLetters(Processor):
    """Counts what it sees, over all workers: shared state, so a lock around every change."""

    name = "first-letters"
    label = "Count first letters"
    inputs = (Input("word"),)

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()

    def process(self, inputs: Mapping[str, Any], context: Context) -> dict[str, Any]:
        letter = inputs["word"][0]
        with self.lock:
            self.seen[letter] += 1
            return {"letter": letter, "so_far": self.seen[letter]}


class Lookup(Processor):
    """Asks a database: SQLite's connections belong to one thread, so each worker opens its own."""

    name = "lookup"
    label = "Look up a price"
    inputs = (Input("article"),)

    def open(self, parameters: Mapping[str, Any]) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        connection.execute("CREATE TABLE price AS SELECT 'tea' AS article, 3 AS euros")
        return connection

    def close(self, client: sqlite3.Connection) -> None:
        client.close()

    def process(self, inputs: Mapping[str, Any], context: Context) -> dict[str, Any]:
        found = context.client.execute("SELECT euros FROM price WHERE article = ?", [inputs["article"]]).fetchone()
        if found is None:
            raise LookupError(f"There is no article {inputs['article']}.")
        return {"euros": found[0]}

    def fallback(self, inputs: Mapping[str, Any], failure: Failure) -> dict[str, Any]:
        return {"euros": None}


def test_it_counts_letters_in_ten_lines() -> None:
    length_example()
    assert values(final(Call("length", {}), [{"text": "two words"}])) == [{"length": 9}]


def test_it_counts_words_when_the_parameter_says_so() -> None:
    length_example()
    assert values(final(Call("length", {"unit": "words"}), [{"text": "two words"}])) == [{"length": 2}]


def test_it_loses_no_count_among_many_workers() -> None:
    counting = register(FirstLetters())
    final(Call("first-letters", {}), [{"word": word} for word in ("ant", "bee", "ape") * 300], Policy(workers=20))
    assert counting.seen == {"a": 600, "b": 300}


def test_it_gives_every_count_once() -> None:
    register(FirstLetters())
    results = values(final(Call("first-letters", {}), [{"word": "ant"}] * 500, Policy(workers=20)))
    assert sorted(result["so_far"] for result in results) == list(range(1, 501))


def test_it_opens_one_connection_for_each_worker() -> None:
    register(Lookup())
    assert values(final(Call("lookup", {}), [{"article": "tea"}] * 100, Policy(workers=8))) == [{"euros": 3}] * 100


def test_it_fails_the_one_article_that_is_not_there() -> None:
    register(Lookup())
    assert kinds(final(Call("lookup", {}), [{"article": "tea"}, {"article": "cod"}])) == ["", "LookupError"]
