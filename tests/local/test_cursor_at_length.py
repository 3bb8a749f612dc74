"""The properties of `unit/test_cursor.py`, of which each takes long, over many more texts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from unit import test_cursor as short
from unit.test_cursor import short_texts, styles
from unit.tiny import Style, texts


def inner(test: object, *arguments: object) -> None:
    test.hypothesis.inner_test(*arguments)  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(styles, short_texts)
def test_candidates_are_all_continuations(style: Style, text: str) -> None:
    inner(short.test_candidates_are_all_continuations_with_their_probabilities, style, text)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(styles, short_texts, st.sampled_from([1, 3, 10]))
def test_a_short_list_holds_the_same_figures(style: Style, text: str, k: int) -> None:
    inner(short.test_a_short_list_holds_the_same_figures_as_a_long_one, style, text, k)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(styles, texts, st.sampled_from([3.0, 6.0]))
def test_what_is_negligible_changes_nothing(style: Style, text: str, spread: float) -> None:
    inner(short.test_what_is_negligible_changes_no_probability, style, text, spread)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(styles, st.lists(texts, min_size=2, max_size=4))
def test_answers_do_not_depend_on_what_was_asked(style: Style, asked: list[str]) -> None:
    inner(short.test_the_answer_does_not_depend_on_what_was_asked_before, style, asked)
