from __future__ import annotations

from typing import Any

import pytest

from jobs.processors import Amended, Input, Parameter, ParameterError, Processor


class Plain(Processor):
    name = "plain"
    inputs = (Input("text"), Input("count", type=int, required=False))
    parameters = (Parameter("times", type=int, default=2, minimum=1, maximum=9), Parameter("loud", type=bool))


def sentence(parameter: Parameter, value: Any) -> str:
    with pytest.raises(ParameterError) as caught:
        parameter.clean(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, " 7 ", 7),
        (int, "-3", -3),
        (int, "4.0", 4),
        (float, "0.5", 0.5),
        (float, "1e3", 1000.0),
        (float, 2, 2.0),
        (bool, "on", True),
        (bool, "No", False),
        (bool, True, True),
        (str, "as it is ", "as it is "),
        (str, 5, "5"),
    ],
)
def test_it_reads_text_as_its_type(kind: type, text: Any, value: Any) -> None:
    assert Parameter("one", type=kind).clean(text) == value


@pytest.mark.parametrize("text", ["", "  ", None])
def test_it_takes_the_default_for_a_blank_field(text: str | None) -> None:
    assert Parameter("one", type=int, default="5").clean(text) == 5


@pytest.mark.parametrize("text", ["seven", "1_000", "7.5", "9" * 5000, True, []])
def test_it_refuses_what_is_no_whole_number(text: Any) -> None:
    assert sentence(Parameter("one", type=int), text).startswith("“one” must be a whole number, not “")


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "0,5", True, 10**400, None.__class__])
def test_it_refuses_what_is_no_finite_number(text: Any) -> None:
    assert sentence(Parameter("one", type=float), text).startswith("“one” must be a number such as 0.5, not “")


def test_it_refuses_what_is_neither_yes_nor_no() -> None:
    assert sentence(Parameter("one", type=bool), "maybe") == "“one” must be yes or no, not “maybe”."


def test_it_names_the_choices() -> None:
    assert sentence(Parameter("one", choices=("a", "b")), "c") == "“one” must be one of a, b, not “c”."


def test_it_names_the_least() -> None:
    assert sentence(Parameter("one", type=float, minimum=0.5), "0.1") == "“one” must be at least 0.5, not “0.1”."


def test_it_names_the_most() -> None:
    assert sentence(Parameter("one", type=int, maximum=9), "10") == "“one” must be at most 9, not “10”."


def test_it_keeps_a_secret_out_of_the_sentence() -> None:
    assert sentence(Parameter("one", choices=("a",), secret=True), "hunter2") == "“one” must be one of a."


def test_it_shortens_what_it_repeats() -> None:
    assert len(sentence(Parameter("one", type=int), "x\n" * 5000)) < 100


def test_it_refuses_a_default_that_does_not_fit() -> None:
    with pytest.raises(ParameterError):
        Parameter("one", type=int, default="many")


@pytest.mark.parametrize("name", ["", "Two Words", "1st", "x" * 51])
def test_it_refuses_a_name_that_no_form_can_use(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        Input(name)


def test_it_refuses_a_type_that_no_cell_can_hold() -> None:
    with pytest.raises(TypeError, match="cannot be a dict"):
        Parameter("one", type=dict)


def test_it_fills_in_the_defaults() -> None:
    assert Plain().clean({"loud": "yes"}) == {"times": 2, "loud": True}


def test_it_cleans_what_is_clean_already() -> None:
    assert Plain().clean(Plain().clean({"times": "3"})) == {"times": 3, "loud": None}


def test_it_names_an_unknown_parameter() -> None:
    with pytest.raises(ParameterError) as caught:
        Plain().clean({"tiems": "3"})
    assert (caught.value.name, caught.value.sentence) == ("tiems", "plain has no parameter “tiems”.")


@pytest.mark.parametrize("inputs", [{}, {"text": ""}, {"text": " "}, {"text": None}])
def test_it_asks_for_a_required_input(inputs: dict[str, Any]) -> None:
    assert Plain().validate(inputs) == "“text” is empty."


def test_it_says_which_input_has_the_wrong_type() -> None:
    assert Plain().validate({"text": "a", "count": "b"}) == "“count” must be a whole number, not “b”."


def test_it_refuses_a_nested_value_for_a_text() -> None:
    assert Plain().validate({"text": {"a": 1}}).startswith("“text” must be text, not")


def test_it_accepts_inputs_that_fit() -> None:
    assert Plain().validate({"text": "a", "count": "5", "other": []}) == ""


def test_it_hands_over_typed_inputs() -> None:
    assert Plain().typed({"text": "a", "count": "5", "other": "x"}) == {"text": "a", "count": 5}


def test_it_hands_over_none_for_an_empty_input() -> None:
    assert Plain().typed({"text": "a", "count": " "}) == {"text": "a", "count": None}


def test_it_asks_for_a_process_of_its_own() -> None:
    with pytest.raises(NotImplementedError, match="Plain does not say how"):
        Plain().process({}, None)  # type: ignore[arg-type]


class Wordy(Processor):
    name = "wordy"
    parameters = (
        Parameter("text"), Parameter("more", type=object), Parameter("rest", default="r" * 150_000),
        Parameter("token", secret=True),
    )  # fmt: skip


def refused(**values: Any) -> tuple[str, str]:
    with pytest.raises(ParameterError) as caught:
        Wordy().clean(values)
    return caught.value.name, str(caught.value)


def test_it_takes_the_longest_texts() -> None:
    values = {"text": "t" * 100_000, "more": "m" * 96_000, "token": "s" * 4_000}
    assert Wordy().clean(values) == values | {"rest": "r" * 150_000}


@pytest.mark.parametrize("name", ["text", "more", "rest"])
def test_it_refuses_a_longer_text(name: str) -> None:
    sentence = f"“{name}” has 100,001 characters; a parameter may have 100,000 at most."
    assert refused(**{name: "t" * 100_001}) == (name, sentence)


def test_it_refuses_a_longer_secret() -> None:
    sentence = "“token” has 1,000,000 characters; a secret may have 4,000 at most."
    assert refused(token="s" * 1_000_000) == ("token", sentence)


def test_it_refuses_texts_that_are_longer_together() -> None:
    assert refused(text="t" * 100_000, more="m" * 98_000, token="s" * 2_001) == (
        "text",
        "The parameters have 200,001 characters together, “text” alone 100,000; all of them may have 200,000 at most.",
    )


def test_it_keeps_what_was_longer_before() -> None:
    before = {"text": "t" * 300_000, "more": "m", "rest": "r" * 190_000, "token": "s" * 5_000}
    assert Wordy().clean(Amended(before | {"text": "short"}, before))["text"] == "short"
    with pytest.raises(ParameterError, match="together"):
        Wordy().clean(Amended(before | {"more": "nn"}, before))
    with pytest.raises(ParameterError, match="“token” has 5,001"):
        Wordy().clean(Amended(before | {"token": "n" * 5_001}, before))
    with pytest.raises(ParameterError, match="“text” has 300,000"):
        Wordy().clean(before)
