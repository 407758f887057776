"""What a processor refuses of a file before anything runs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from django.test import SimpleTestCase

from jobs import files, processors
from jobs.ingest.limits import LONGEST
from jobs.ingest.validation import check_for
from jobs.processors import Input, Processor


class Page(Processor):
    """Wants an address and may have a depth."""

    name = "page"
    inputs = (Input("url"), Input("depth", type=int, required=False))


class Picky(Page):
    """Has a word to say about addresses."""

    def validate(self, inputs: Mapping[str, Any]) -> str:
        if inputs["url"] == "boom":
            raise KeyError("boom")
        return f"{inputs['url']} is a page of {'x' * 900}." if "ftp" in str(inputs["url"]) else ""


BY_NAME = {"url": "url", "depth": "depth"}


def reasons(text: str, processor: Processor | None = None, mapping: Mapping[str, str] = BY_NAME) -> dict[int, str]:
    """Row → why it is refused."""
    reader = files.open_rows(io.BytesIO(text.encode()))
    check = check_for(processor or Page(), reader.shape, mapping)
    return {number: reason for number, row in enumerate(reader, 1) if (reason := check(row))}


class CheckTests(SimpleTestCase):
    def test_it_refuses_rows_without_a_required_input(self) -> None:
        nothing = "has nothing in “url”, which the processor needs"
        assert reasons('id,url\n1,a\n2,\n3,"  "\n4,b\n', mapping={"url": "url"}) == {2: nothing, 3: nothing}
        text = '{"url": "a"}\n{"id": 1}\n{"url": null}\n{"url": " "}\n{"url": 5}\n7\n'
        assert reasons(text) == {2: nothing, 3: nothing, 4: nothing, 6: nothing}

    def test_it_names_the_column_and_not_the_input(self) -> None:
        found = reasons("id,Web site\n1,\n", mapping={"url": "Web site"})
        assert found == {1: "has nothing in “Web site”, which the processor needs"}

    def test_it_refuses_every_row_where_a_required_input_has_no_column(self) -> None:
        for text in ("id,name\n1,a\n2,b\n", '{"id": 1, "": "x"}\n{"id": 2}\n'):
            for mapping in ({}, {"url": "gone"}):
                place = "in “gone”" if mapping else "for “url”"
                sentence = f"has nothing {place}, which the processor needs"
                assert reasons(text, mapping=mapping) == {1: sentence, 2: sentence}

    def test_it_refuses_values_of_another_type(self) -> None:
        refused = "is refused by the processor: “depth” must be a whole number, not “deep”"
        assert reasons("url,depth\na,1\nb,deep\nc,\n") == {2: refused}
        assert reasons('{"url": "a", "depth": 1}\n{"url": "b", "depth": "deep"}\n{"url": "c"}\n') == {2: refused}

    def test_it_finds_a_key_that_comes_up_late(self) -> None:
        text = '{"url": "a"}\n' * 300 + '{"url": "a", "depth": "deep"}\n'
        assert list(reasons(text)) == [301]

    def test_it_asks_the_processors_own_validate(self) -> None:
        found = reasons("url,depth\nhttp://a,1\nftp://b,1\n,1\n", Picky())
        assert list(found) == [2]
        assert found[2].startswith("is refused by the processor: ftp://b is a page of xxx")
        assert len(found[2]) == LONGEST

    def test_it_leaves_a_validate_that_breaks_down_to_the_attempt(self) -> None:
        assert reasons("url,depth\nboom,1\nftp://b,1\n", Picky()).keys() == {2}

    def test_it_gives_reasons_of_the_kind_refused(self) -> None:
        shape = files.Shape("csv", "utf-8", ",", True, ("url", "depth"))
        reason = check_for(Page(), shape, BY_NAME)(files.Row("", "", ["", ""]))
        assert isinstance(reason, files.Reason)
        assert reason.kind == files.REFUSED == "refused"

    def test_it_says_nothing_that_a_database_refuses(self) -> None:
        text = '{"url": "a", "depth": "\\u0000\\ud800"}\n'
        assert (
            reasons(text)[1].encode()
            == "is refused by the processor: “depth” must be a whole number, not “␀�”".encode()
        )

    def test_it_refuses_what_would_be_invalid_input(self) -> None:
        rows = [["a", "1"], ["", "1"], ["a", "x"], ["a", " "], ["\t", ""], ["a", "1e3"], ["a", "7.0"]]
        shape = files.Shape("csv", "utf-8", ",", True, ("url", "depth"))
        check = check_for(Page(), shape, BY_NAME)
        for row in rows:
            said = Page().validate(dict(zip(("url", "depth"), row, strict=True)))
            assert bool(check(files.Row("", "", row))) is bool(said), row

    def test_it_asks_simulate_about_its_orders(self) -> None:
        found = reasons("id,simulate\n1,ok\n2,odd\n3,\n", processors.get("simulate"), {"simulate": "simulate"})
        known = "ok, fail:KIND, hang, crash or slow:SECONDS"
        assert found == {2: f"is refused by the processor: “simulate” must be {known}, not “odd”"}
