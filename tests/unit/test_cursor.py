"""Candidates at a cursor, against exhaustive enumeration over all canonical encodings."""

import math
import statistics
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from likely.engines.engine import Driver, OpenQuestion
from likely.prediction import covering, distribution
from likely.prediction.candidates import Candidate, Prediction
from likely.prediction.covering import (
    NEGLIGIBLE,
    Covered,
    CursorDistribution,
    cover_cursor,
    weigh_covers,
)
from likely.prediction.cursor import cursor_candidates, predict_at_cursor
from likely.prediction.distribution import most_likely, ranked_places
from likely.prediction.options import CursorOptions, Mode
from likely.prediction.question import Need
from likely.prediction.window import Context, TextBefore
from likely.text.fragments import MAX_FRAGMENT
from likely.text.vocabulary import TokenIds, Vocabulary
from unit.tiny import (
    STYLES,
    OtherTokenizer,
    RandomEngine,
    Style,
    answer,
    clippings,
    definition,
    predict,
    texts,
    vocabulary,
)

GPT2_ALL, GPT2_WORLD, QWEN_ALL = STYLES[0], STYLES[3], STYLES[7]
ALL = 10_000
"""More candidates than there are."""

styles = st.sampled_from(STYLES)
ascii_styles = st.sampled_from([style for style in STYLES if style.corpus in ("prose", "code")])
"""None of their tokens ends inside a character without beginning there."""

short_texts = texts.filter(lambda text: len(text.encode()) <= 16)


@cache
def other(style: Style) -> OtherTokenizer:
    return OtherTokenizer(style)


@cache
def engine(style: Style, spread: float = 3.0) -> RandomEngine:
    return RandomEngine(vocabulary(style), spread=spread)


def covered(style: Style, data: bytes) -> Covered:
    return cover(engine(style), data)


def cover(asked: RandomEngine, data: bytes) -> Covered:
    return cover_cursor(asked.model, Context(asked.separator, data, 0, False))


def weigh(asked: RandomEngine, at: Covered, negligible: float = NEGLIGIBLE) -> CursorDistribution:
    return answer(asked, weigh_covers(at, negligible))


def candidates_at(
    asked: RandomEngine,
    at: Covered,
    weighed: CursorDistribution,
    k: int,
    negligible: float = NEGLIGIBLE,
) -> tuple[Candidate, ...]:
    return answer(asked, cursor_candidates(at, weighed, k, negligible))[0]


def is_whole(data: bytes) -> bool:
    return data.decode(errors="ignore").encode() == data


class Enumeration:
    """All that may follow a text, over all its canonical encodings from its first byte on.

    `parts` holds, per insertion, the log-weights of the sequences that make it, each with its
    tokens; a sequence's last token is the first that reaches past the cursor.
    """

    def __init__(self, style: Style, data: bytes, *, neighbours: bool = True) -> None:
        self._style, self._data = style, data
        self._separator = engine(style).separator
        self.parts: dict[bytes, list[tuple[TokenIds, float]]] = defaultdict(list)
        reaching: list[float] = []
        self.ends_here = -math.inf
        for tokens in other(style).minimal_covers(data):
            log_weight = engine(style).log_probability(tokens, self._separator)
            reaching.append(log_weight)
            if insertion := self._spell(tokens)[len(data) :]:
                self.parts[insertion].append((tokens, log_weight))
            else:
                self.ends_here = float(np.logaddexp(self.ends_here, log_weight))
                if neighbours:
                    self._add_neighbours(tokens, log_weight)
        self.log_total = float(np.logaddexp.reduce(reaching))

    def _spell(self, tokens: TokenIds) -> bytes:
        return b"".join(other(self._style).bytes_of[token] for token in tokens)

    def _add_neighbours(self, tokens: TokenIds, log_weight: float) -> None:
        row = engine(self._style).logs(self._separator + tokens)
        for token, spelled in other(self._style).bytes_of.items():
            longer = (*tokens, token)
            if other(self._style).is_canonical(longer):
                self.parts[spelled].append((longer, log_weight + float(row[token])))

    def probability(self, insertion: bytes) -> float:
        """Of those sequences that reach past the cursor by exactly `insertion`."""
        return math.fsum(math.exp(log - self.log_total) for _, log in self.parts[insertion])

    def completed(self, insertion: bytes) -> float:
        """Of those that reach past it by less, end inside a character and are then completed."""
        total = 0.0
        pending = [
            (tokens, log)
            for made, sequences in self.parts.items()
            if insertion.startswith(made) and not is_whole(made)
            for tokens, log in sequences
        ]
        while pending:
            tokens, log = pending.pop()
            row = engine(self._style).logs(self._separator + tokens)
            left = insertion[len(self._spell(tokens)) - len(self._data) :]
            for length in range(1, len(left) + 1):
                token = other(self._style).id_of.get(left[:length])
                if token is None or not other(self._style).is_canonical((*tokens, token)):
                    continue
                longer, weight = (*tokens, token), log + float(row[token])
                if left == left[:length]:
                    total += math.exp(weight - self.log_total)
                elif not is_whole(self._spell(longer)):
                    pending.append((longer, weight))
        return total


def ask(driver: Driver, text: str, options: CursorOptions) -> Prediction:
    return driver.answer(predict_at_cursor(driver.model, TextBefore(text.encode(), 0), options))


def log_base(style: Style, at: Covered) -> float:
    return engine(style).log_probability(at.prefix[1:], at.prefix[:1])


@settings(max_examples=60, deadline=None)
@given(styles, texts | clippings)
@example(GPT2_ALL, "a\n\n\nb")
@example(GPT2_ALL, "they're")
@example(GPT2_WORLD, " 漢 😀")
def test_the_probability_of_the_typed_text_at_every_cursor(style: Style, text: str) -> None:
    for end in range(1, len(text) + 1):
        data = text[:end].encode()
        at = covered(style, data)
        weighed = weigh(engine(style), at, negligible=0.0)
        expected = Enumeration(style, data, neighbours=False)
        assert at.method == "exact"
        assert log_base(style, at) + weighed.log_total == pytest.approx(
            expected.log_total, abs=1e-9
        )
        ends_here = float(np.logaddexp.reduce(weighed.boundary_log_weights))
        assert math.exp(ends_here) == pytest.approx(
            math.exp(expected.ends_here - expected.log_total), abs=1e-9
        )
        found: dict[bytes, float] = defaultdict(float)
        for cover, weights in weighed.overhanging:
            for token, weight in zip(cover.tokens.tolist(), weights, strict=True):
                insertion = other(style).bytes_of[token][cover.overhang :]
                found[insertion] += math.exp(weight - weighed.log_total)
        del found[b""]
        assert found == pytest.approx(
            {insertion: expected.probability(insertion) for insertion in list(expected.parts)},
            abs=1e-9,
        )


def all_candidates(style: Style, data: bytes, negligible: float) -> tuple[Candidate, ...]:
    at = covered(style, data)
    weighed = weigh(engine(style), at, negligible)
    return candidates_at(engine(style), at, weighed, ALL, negligible)


@settings(max_examples=15, deadline=None)
@given(styles, short_texts)
@example(GPT2_ALL, "\n\n")
@example(GPT2_ALL, "a ")
@example(GPT2_ALL, "a  ")
@example(GPT2_ALL, "x'r")
@example(GPT2_WORLD, "a 漢")
@example(QWEN_ALL, "\n  ")
def test_candidates_are_all_continuations_with_their_probabilities(style: Style, text: str) -> None:
    data = text.encode()
    expected = Enumeration(style, data)
    candidates = all_candidates(style, data, negligible=0.0)
    for candidate in candidates:
        assert is_whole(candidate.insertion)
        alone = expected.probability(candidate.insertion)
        assert alone - 1e-9 <= candidate.probability
        assert candidate.probability <= alone + expected.completed(candidate.insertion) + 1e-9
        assert candidate.logprob == pytest.approx(math.log(candidate.probability), abs=1e-9)
        spelled = vocabulary(style).decode(candidate.ids)
        assert (data + candidate.insertion).endswith(spelled)
    insertions = [candidate.insertion for candidate in candidates]
    assert len(insertions) == len(set(insertions))
    assert {insertion for insertion in expected.parts if is_whole(insertion)} <= set(insertions)
    assert list(candidates) == sorted(candidates, key=lambda c: (-c.logprob, c.ids))
    assert math.fsum(candidate.probability for candidate in candidates) <= 1 + 1e-9


@settings(max_examples=15, deadline=None)
@given(styles, short_texts, st.sampled_from([1, 3, 10]))
@example(GPT2_ALL, "a ", 3)
@example(GPT2_ALL, "\n\n", 10)
def test_a_short_list_holds_the_same_figures_as_a_long_one(style: Style, text: str, k: int) -> None:
    at = covered(style, text.encode())
    weighed = weigh(engine(style), at, negligible=0.0)
    few = candidates_at(engine(style), at, weighed, k, negligible=0.0)
    everything = candidates_at(engine(style), at, weighed, ALL, negligible=0.0)
    known = {c.insertion: c for c in everything}
    assert len(few) == min(k, len(everything))
    for candidate in few:
        if candidate.insertion.isascii():
            assert candidate == known[candidate.insertion]
    # Only what is split between several encodings may be missed.
    listed = {candidate.insertion for candidate in few}
    expected = Enumeration(style, text.encode())
    for insertion, sequences in expected.parts.items():
        largest = max(math.exp(log - expected.log_total) for _, log in sequences)
        if is_whole(insertion) and largest > few[-1].probability:
            assert insertion in listed


@settings(max_examples=25, deadline=None)
@given(styles, texts, st.sampled_from([3.0, 6.0]))
def test_what_is_negligible_changes_no_probability(style: Style, text: str, spread: float) -> None:
    asked = engine(style, spread)
    at = cover(asked, text.encode())
    figures = []
    for negligible in (0.0, NEGLIGIBLE):
        weighed = weigh(asked, at, negligible)
        candidates = candidates_at(asked, at, weighed, ALL, negligible)
        figures.append({c.insertion: c.probability for c in candidates if c.insertion.isascii()})
    exact, approximate = figures
    for insertion in exact | approximate:
        difference = exact.get(insertion, 0.0) - approximate.get(insertion, 0.0)
        assert abs(difference) <= NEGLIGIBLE


@settings(max_examples=40, deadline=None)
@given(ascii_styles, texts, st.sampled_from("aret n\n.1'"))
def test_candidates_add_up_to_the_next_character(style: Style, text: str, typed: str) -> None:
    data = text.encode()
    logs = []
    for seen in (data, data + typed.encode()):
        at = covered(style, seen)
        logs.append(log_base(style, at) + weigh(engine(style), at, 0.0).log_total)
    candidates = all_candidates(style, data, negligible=0.0)
    beginning = [c.probability for c in candidates if c.insertion.startswith(typed.encode())]
    assert math.fsum(beginning) == pytest.approx(math.exp(logs[1] - logs[0]), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(styles, texts | clippings, st.sampled_from([1, 5, 10]))
def test_an_answer_is_what_it_says(style: Style, text: str, k: int) -> None:
    made = predict(engine(style), text, CursorOptions(k=k, mode="exact", document_start="bos"))
    at = covered(style, text.encode())
    weighed = weigh(engine(style), at)
    assert made.method == "exact"
    assert made.fragment == at.fragment
    assert made.fragment_probability == pytest.approx(math.exp(weighed.log_total))
    assert made.candidates == candidates_at(engine(style), at, weighed, k)
    assert made.rest + math.fsum(c.probability for c in made.candidates) == pytest.approx(1)
    assert made.entropy is None
    assert made.before_text == "<|endoftext|>"


@settings(max_examples=8, deadline=None)
@given(styles, st.lists(texts, min_size=2, max_size=4))
def test_the_answer_does_not_depend_on_what_was_asked_before(
    style: Style, asked: list[str]
) -> None:
    options = CursorOptions(k=10, mode="exact", document_start="bos")
    used = Driver(RandomEngine(vocabulary(style)))
    for text in asked:
        covering.fragments_of.cache_clear()
        fresh = predict(RandomEngine(vocabulary(style)), text, options)
        for end in range(len(text)):
            ask(used, text[:end], options)
        assert ask(used, text, options) == fresh


def test_one_more_character_of_a_word_asks_for_few_rows() -> None:
    """Of the readings of a word so far those that matter were asked for a character earlier."""
    options = CursorOptions(k=5, mode="exact", document_start="bos")
    text = "This weekend I plan to"
    numbers = []
    for typed in (" spend the day", " plan to visit", " celebrate creation"):
        known: set[TokenIds] = set()
        for end in range(len(typed) + 1):
            asked, made = asked_for(text + typed[:end], options)
            if typed[:end][-2:].isalpha() and len(typed[:end]) > 1:
                numbers.append(len(asked - known))
                assert numbers[-1] <= len(made.fragment)
            known |= asked
    assert len(numbers) > 20
    assert statistics.median(numbers) <= 1
    assert statistics.mean(numbers) < 2


def asked_for(text: str, options: CursorOptions) -> tuple[set[TokenIds], Prediction]:
    """The prefixes that a prediction cannot do without, and the prediction."""
    random = engine(GPT2_ALL)
    before = TextBefore(text.encode(), 0)
    question = OpenQuestion(predict_at_cursor(random.model, before, options))
    asked: set[TokenIds] = set()
    while not question.done:
        assert isinstance(question.need, Need)
        asked |= {*question.need.prefixes}
        question.supply([random.row(prefix) for prefix in question.need.prefixes])
    return asked, question.answer


@pytest.mark.parametrize("text", ["", "This weekend I plan to", "漢"])
def test_asking_again_asks_the_model_for_nothing_new(text: str) -> None:
    asked = RandomEngine(vocabulary(GPT2_ALL))
    driver = Driver(asked)
    options = CursorOptions(k=5, mode="exact", document_start="bos")
    first = ask(driver, text, options)
    rows = list(asked.asked)
    assert ask(driver, text, options) == first
    assert asked.asked == rows


# Healing: the last token is taken back, and what follows must begin with its bytes.


def unknown_pattern() -> RandomEngine:
    tokenizer = Tokenizer.from_str(definition(GPT2_ALL))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return RandomEngine(Vocabulary(tokenizer.to_str()))


def sentencepiece() -> RandomEngine:
    names = [
        "<unk>",
        "▁",
        *"adehlnopst",
        "▁t",
        "th",
        "▁th",
        "he",
        "▁the",
        "an",
        "la",
        "▁pla",
        "<0x0A>",
    ]
    merges = [("▁", "t"), ("t", "h"), ("▁t", "h"), ("h", "e"), ("▁th", "e"), ("a", "n"), ("l", "a")]
    ids = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(ids, merges, unk_token="<unk>"))
    tokenizer.add_special_tokens(["<unk>"])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace()
    return RandomEngine(Vocabulary(tokenizer.to_str()))


@pytest.mark.parametrize("k", [3, ALL])
@pytest.mark.parametrize("text", ["the plan", "a the", "th", "an a"])
@pytest.mark.parametrize(
    "asked", [unknown_pattern(), sentencepiece()], ids=["bpe", "sentencepiece"]
)
def test_other_tokenizers_are_healed_and_it_says_so(asked: RandomEngine, text: str, k: int) -> None:
    made = predict(asked, text, CursorOptions(k=k, mode="exact", document_start="bos"))
    *base, last = asked.model.vocabulary.encode(text.encode())
    prefix = asked.separator + tuple(base)
    typed = asked.model.vocabulary.token_bytes(last)
    first, second = asked.logs(prefix), asked.logs((*prefix, last))
    reaching = {int(t): math.exp(first[t]) for t in asked.model.vocabulary.starting_with(typed)}
    total = math.fsum(reaching.values())
    parts: dict[bytes, list[float]] = defaultdict(list)
    for token, probability in reaching.items():
        parts[asked.model.vocabulary.token_bytes(token)[len(typed) :]].append(probability / total)
    for token in np.flatnonzero(asked.model.vocabulary.is_text).tolist():
        share = reaching[last] / total * math.exp(second[token])
        parts[asked.model.vocabulary.token_bytes(token)].append(share)
    del parts[b""]
    assert made.method == "healed"
    assert made.fragment == typed
    assert made.fragment_probability == pytest.approx(total)
    for candidate in made.candidates:
        if candidate.insertion.isascii():
            assert candidate.probability == pytest.approx(math.fsum(parts[candidate.insertion]))
    listed = {candidate.insertion for candidate in made.candidates}
    for insertion, shares in parts.items():
        if is_whole(insertion) and max(shares) > made.candidates[-1].probability:
            assert insertion in listed
    assert made.rest + math.fsum(c.probability for c in made.candidates) == pytest.approx(1)


def test_an_endless_word_is_healed_and_it_says_so() -> None:
    options = CursorOptions(mode="exact", document_start="bos")
    word = "xy" * (MAX_FRAGMENT // 2)
    asked = RandomEngine(vocabulary(GPT2_ALL), max_tokens=10_000)
    assert predict(asked, word, options).method == "exact"
    assert predict(asked, word + "x", options).method == "healed"


@settings(max_examples=60, deadline=None)
@given(styles, texts | clippings)
@example(GPT2_ALL, "xxxxxxxxxxxxxxxxxxxx")
@example(GPT2_WORLD, "😀😀😀漢字漢字")
def test_of_a_long_fragment_the_end_says_as_much_as_the_whole(style: Style, text: str) -> None:
    options = CursorOptions(k=20, mode="exact", document_start="bos")
    expected = predict(engine(style), text, options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("likely.prediction.covering._LONG", 0)
        made = predict(engine(style), text, options)
    assert made.method == expected.method == "exact"
    assert expected.fragment.endswith(made.fragment)
    assert {c.insertion: c.probability for c in made.candidates} == pytest.approx(
        {c.insertion: c.probability for c in expected.candidates}, abs=5e-4
    )


def test_without_bytes_there_is_only_raw() -> None:
    ids = {"[UNK]": 0, "play": 1, "##ing": 2}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[UNK]"])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    asked = RandomEngine(Vocabulary(tokenizer.to_str()))
    made = predict(asked, "play", CursorOptions(mode="exact"))
    assert made.method == "raw"
    assert made.fragment_probability is None


# Raw mode, and what both modes share.


@settings(max_examples=60, deadline=None)
@given(styles, texts, st.sampled_from([1, 10, ALL]))
def test_raw_is_the_next_token_after_the_text_as_it_is(style: Style, text: str, k: int) -> None:
    options = CursorOptions(k=k, document_start="bos", whole_characters=False)
    made = predict(engine(style), text, options)
    tokens = engine(style).separator + vocabulary(style).encode(text.encode())
    row = engine(style).logs(tokens).astype(np.float64)
    order = [
        int(i) for i in np.lexsort((np.arange(len(row)), -row)) if vocabulary(style).is_text[i]
    ]
    assert [c.ids for c in made.candidates] == [(i,) for i in order[:k]]
    assert [c.probability for c in made.candidates] == pytest.approx(np.exp(row[order[:k]]))
    assert [c.insertion for c in made.candidates] == [
        vocabulary(style).token_bytes(i) for i in order[:k]
    ]
    special = math.exp(row[engine(style).separator[0]])
    left = 1 - math.fsum(math.exp(row[i]) for i in order[:k])
    assert made.rest == pytest.approx(left, abs=1e-6)
    assert made.rest >= special - 1e-6
    assert made.entropy == pytest.approx(-math.fsum(math.exp(x) * x for x in row) / math.log(2))
    assert made.context_tokens == len(tokens)
    assert made.method == "raw"
    assert made.fragment == b""
    assert made.fragment_probability is None


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([GPT2_WORLD, STYLES[4]]), texts)
def test_raw_candidates_can_be_whole_characters(style: Style, text: str) -> None:
    options = CursorOptions(k=20, document_start="bos")
    made = predict(engine(style), text, options)
    tokens = engine(style).separator + vocabulary(style).encode(text.encode())
    for candidate in made.candidates:
        assert is_whole(candidate.insertion)
        assert vocabulary(style).decode(candidate.ids) == candidate.insertion
        assert (
            candidate.probability
            >= math.exp(engine(style).log_probability(candidate.ids, tokens)) - 1e-9
        )
    insertions = [candidate.insertion for candidate in made.candidates]
    assert len(insertions) == len(set(insertions))


def test_an_empty_text_follows_the_separator_and_it_says_so() -> None:
    asked = engine(GPT2_ALL)
    made = predict(asked, "", CursorOptions(k=3, document_start="none"))
    row = asked.logs(asked.separator)
    assert made.before_text == "<|endoftext|>"
    assert made.context_tokens == 1
    assert made.candidates[0].probability <= math.exp(row.max()) + 1e-9


def test_a_fragment_that_begins_the_document_follows_the_separator_and_it_says_so() -> None:
    options = CursorOptions(k=3, mode="exact", document_start="none")
    made = predict(engine(GPT2_ALL), "wee", options)
    assert made.before_text == "<|endoftext|>"
    assert made.fragment == b"wee"
    assert predict(engine(GPT2_ALL), "a wee", options).before_text == ""


def test_a_whole_vocabulary_is_sorted_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def counted(figures: Any, count: int) -> list[int]:
        nonlocal asked
        asked += 1
        return most_likely(figures, count)

    monkeypatch.setattr(distribution, "most_likely", counted)
    figures = np.random.default_rng(1).standard_normal(50_000)
    assert list(ranked_places(figures)) == np.argsort(-figures).tolist()
    assert asked < 20


def test_a_prefix_space_is_no_part_of_what_was_typed() -> None:
    options = CursorOptions(k=3, mode="exact", document_start="space")
    made = predict(engine(GPT2_ALL), "wee", options)
    spaced = predict(
        engine(GPT2_ALL), " wee", CursorOptions(k=3, mode="exact", document_start="bos")
    )
    assert made.fragment == b"wee"
    assert made.candidates == spaced.candidates


@pytest.mark.parametrize("mode", ["raw", "exact"])
def test_cuts_shorten_the_list_and_leave_the_figures(mode: Mode) -> None:
    def asking(**cuts: Any) -> Prediction:
        options = CursorOptions(k=8, mode=mode, document_start="bos", **cuts)
        return predict(engine(GPT2_ALL), "I plan to ", options)

    whole = asking()
    assert len(whole.candidates) == 8
    third = whole.candidates[2].probability
    assert asking(min_probability=third).candidates == whole.candidates[:3]
    two = math.fsum(c.probability for c in whole.candidates[:2])
    assert asking(top_p=two - 1e-6).candidates == whole.candidates[:2]
    assert asking(top_p=0.0).candidates == ()
    assert asking(top_p=0.0).rest == 1.0
    assert asking(min_probability=third).rest == pytest.approx(
        1 - math.fsum(c.probability for c in whole.candidates[:3])
    )


def test_end_of_text_is_never_proposed() -> None:
    asked = engine(GPT2_ALL)
    for text in ("", "a", "the end."):
        mode: Mode
        for mode in ("raw", "exact"):
            options = CursorOptions(k=ALL, mode=mode, document_start="bos")
            for candidate in predict(asked, text, options).candidates:
                assert asked.separator[0] not in candidate.ids
