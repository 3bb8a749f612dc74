"""Candidates and scores as a client shows them."""

import dataclasses
import math
import re
from html import unescape

import pytest
from lsprotocol import types
from markdown_it import MarkdownIt

from fakes import vocabulary
from likely.lsp import render
from likely.lsp.client import Client, Markup, client_of
from likely.lsp.documents import Document, Snapshot
from likely.lsp.render import Answer
from likely.prediction.candidates import Candidate, Method, Prediction
from likely.prediction.distribution import TokenScore, percent
from likely.prediction.options import Unit
from likely.prediction.scoring import ScoredToken, TokenReading
from likely.text.lines import PositionEncoding

RICH = Client(
    label_details=True,
    item_markdown=True,
    keeps_indentation=True,
    preselects=True,
    commits=True,
    hover_markdown=True,
    lays_out_tables=True,
)
POOR = Client()
# What a model's files, a path or a document may hold, and how it must not come through.
HOSTILE = "[Fix it](command:workbench.action.terminal.new) <img src=x onerror=alert(1)> `x` **b**"


def candidate(
    insertion: str | bytes, probability: float = 0.1, ids: tuple[int, ...] = (1,)
) -> Candidate:
    data = insertion.encode() if isinstance(insertion, str) else insertion
    return Candidate(data, ids, probability, math.log(probability))


def answer(
    *candidates: Candidate,
    fragment: str = "",
    method: Method = "exact",
    unit: Unit = "token",
    fragment_probability: float | None = 0.25,
    residual: float = 0.0,
    before_text: str | None = "",
    model: str = "a-model",
) -> Answer:
    prediction = Prediction(
        candidates=candidates,
        rest=0.31,
        method=method,
        context_tokens=12,
        fragment=fragment.encode(),
        fragment_probability=fragment_probability,
        before_text=before_text,
        residual=residual,
    )
    return Answer(prediction, unit, model, vocabulary())


def cursor(text: str, encoding: PositionEncoding = "utf-16", after: str = "") -> Snapshot:
    """The snapshot at the end of `text`, with `after` behind it."""
    document = Document(text + after, encoding)
    end = Document(text, encoding).snapshot(types.Position(999, 999), 1000).position
    return document.snapshot(types.Position(*end), 1000)


def applied(text: str, item: types.CompletionItem, encoding: PositionEncoding) -> str:
    edit = item.text_edit
    assert isinstance(edit, types.TextEdit)
    document = Document(text, encoding)
    document.apply(types.TextDocumentContentChangePartial(edit.range, edit.new_text))
    return document.beginning(10_000).decode()


@pytest.mark.parametrize(
    ("text", "fragment", "insertion", "start", "label"),
    [
        ("plan to", "", " visit", 7, "·visit"),
        ("plan to", " to", " visit", 4, "·visit"),
        ("plan to", " to", "day", 4, "·today"),
        ("plan to sp", " sp", "end", 7, "·spend"),
        ("plan to ", " ", "visit", 7, "·visit"),
        ("x\n        ", "\n        ", "return", 0, "·return"),
        ("x:\n", ":\n", "\treturn", 0, "⇥return"),
        ("x\r\n  ", "\r\n  ", "y", 0, "·y"),
        ("items", "items", "_", 0, "items_"),
        ("items", "items", "):\n", 0, "):⏎"),
        ("😀 caf", " caf", "é", 1, "·café"),
        ("漢", "漢", "字", 0, "漢字"),
        ("a" * 50, "a" * 50, "b", 0, "…" + "a" * 20 + "b"),
        ("Th", " Th", "is", 0, "This"),  # the prefix space of documentStart is no text
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_an_item_replaces_the_visible_fragment_and_nothing_else(
    text: str, fragment: str, insertion: str, start: int, label: str, encoding: PositionEncoding
) -> None:
    snapshot = cursor(text, encoding, after="rest of the line")
    listed = render.completion_list(
        answer(candidate(insertion), fragment=fragment), snapshot, RICH, None
    )
    (item,) = listed.items
    assert isinstance(item.text_edit, types.TextEdit)
    place = item.text_edit.range
    line = text.replace("\r\n", "\n").split("\n")[-1]
    widths = {"utf-8": len(line[:start].encode()), "utf-32": len(line[:start])}
    expected = widths.get(encoding, len(line[:start].encode("utf-16-le")) // 2)
    assert place.start.character == expected
    assert place.start.line == place.end.line
    assert place.end == types.Position(*snapshot.position)
    assert applied(text + "rest of the line", item, encoding) == (
        text + insertion + "rest of the line"
    )
    assert item.filter_text == item.text_edit.new_text
    assert item.label == label


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("plan to", "to"),
        ("plan to ", ""),
        ("to\n", ""),
        ("x = self.n", "n"),
        ("日本", "日本"),
        ("", ""),
    ],
)
def test_clients_that_apply_no_edits_replace_the_word_at_the_cursor(text: str, word: str) -> None:
    listed = render.completion_list(answer(candidate("day")), cursor(text), RICH, None)
    assert listed.items[0].insert_text == f"{word}day"


def test_a_list_is_in_the_order_of_probability_for_every_client() -> None:
    candidates = [candidate(f" w{n}", 0.5 / n) for n in range(1, 101)]
    for client in (RICH, POOR):
        listed = render.completion_list(answer(*candidates), cursor("x"), client, None)
        ranks = [item.sort_text or "" for item in listed.items]
        assert ranks == sorted(ranks)
        assert len(set(ranks)) == 100
        assert listed.is_incomplete


def test_what_every_item_is_like() -> None:
    listed = render.completion_list(
        answer(candidate(" a", 0.0598, (467,)), candidate(" b", 0.02)), cursor("x"), RICH, None
    )
    first, second = listed.items
    assert (first.preselect, second.preselect) == (True, None)
    assert first.insert_text_format is types.InsertTextFormat.PlainText
    assert first.insert_text_mode is types.InsertTextMode.AsIs
    assert first.commit_characters == []
    assert first.label_details == types.CompletionItemLabelDetails(description="5.98%")
    assert (first.detail, first.documentation, first.command) == (None, None, None)
    assert first.data == {"ids": [467], "probability": 0.0598, "logprob": math.log(0.0598)}


def test_a_client_gets_only_what_it_can_show() -> None:
    (item,) = render.completion_list(answer(candidate(" a")), cursor("x"), POOR, None).items
    assert (item.detail, item.label_details) == ("10.00%", None)
    assert (item.preselect, item.insert_text_mode) == (None, None)
    assert item.commit_characters is None


def test_documentation_comes_along_where_it_cannot_be_resolved() -> None:
    client = dataclasses.replace(POOR, resolves_documentation=False)
    (item,) = render.completion_list(answer(candidate(" a")), cursor("x"), client, None).items
    assert isinstance(item.documentation, types.MarkupContent)
    assert item.documentation.kind is types.MarkupKind.PlainText
    assert "10.00% (exact)" in item.documentation.value


def test_accepting_opens_the_next_list_where_the_client_named_a_command() -> None:
    listed = render.completion_list(answer(candidate(" a")), cursor("x"), RICH, "suggest.now")
    assert listed.items[0].command == types.Command(title="Next candidates", command="suggest.now")


def test_bytes_that_are_no_text_are_never_inserted() -> None:
    listed = render.completion_list(
        answer(candidate(b"\xf0\x9f"), candidate(" b"), candidate(b"")), cursor("x"), RICH, None
    )
    assert [(item.label, item.sort_text) for item in listed.items] == [("·b", "002")]


def test_a_word_is_a_lower_bound() -> None:
    made = answer(candidate(" house", 0.2), unit="word", residual=0.07)
    (item,) = render.completion_list(made, cursor("x"), RICH, None).items
    assert item.label_details
    assert item.label_details.description == "≥ 20.00%"
    text = render.documentation(made, 1, Markup.TABLES).value
    assert "at least 20.00% (exact, a lower bound)" in text
    assert "7.00%" in text


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("exact", "exact: given the characters typed, over all tokenizations"),
        ("healed", "healed: given the typed part of one token, an approximation"),
        ("raw", "raw: given the tokens before the cursor"),
    ],
)
def test_documentation_says_how_a_figure_was_made(method: Method, says: str) -> None:
    made = answer(candidate(" spend", 0.125, (0, 5)), fragment=" s", method=method)
    value = render.documentation(made, 1, Markup.TABLES).value
    assert f"12.50% ({method})" in value
    assert says in value
    assert "Typed so far: `·s`, with probability 25.00% given what stands before." in value
    for part in ("-2.0794", "3.00 bits", "20 73 70 65 6e 64", "31.00%", "12 tokens", "`a-model`"):
        assert part in value


@pytest.mark.parametrize(
    ("before_text", "says"),
    [
        ("", "12 tokens of context · nothing before the text · `a-model`"),
        ("<|endoftext|>", "12 tokens of context · `<|endoftext|>` before the text · `a-model`"),
        ("a space", "12 tokens of context · a space before the text · `a-model`"),
        (None, "12 tokens of context · `a-model`"),
    ],
)
def test_what_stands_before_the_text_is_said_wherever_figures_are(
    before_text: str | None, says: str
) -> None:
    made = answer(candidate("The"), before_text=before_text)
    assert says in render.documentation(made, 1, Markup.TABLES).value
    assert says in render.next_tokens(made, Markup.TABLES).value
    read = dataclasses.replace(reading(), before_text=before_text)
    shown = render.hover(read, "a-model", vocabulary(), PLACE, Markup.TABLES)
    assert says.partition(" · ")[2] in value_of(shown)


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0598, "5.98%"), (1.0, "100.00%"), (0.0001, "0.01%"), (1e-9, "<0.01%"), (0.0, "0.00%")],
)
def test_a_probability_is_shown_in_percent(probability: float, text: str) -> None:
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("share", "length"), [(0.0, 0), (1.0, 16), (0.5, 8), (0.03, 1), (2.0, 16), (-1.0, 0)]
)
def test_a_bar_is_as_long_as_its_share(share: float, length: int) -> None:
    assert len(render.bar(share)) == length


def reading(data: bytes = b" go", token: int = 5) -> TokenReading:
    return TokenReading(
        start=2,
        end=5,
        data=data,
        score=TokenScore(token, 0.0598, math.log(0.0598), 3, 6.5),
        expected=(candidate(" visit", 0.4), candidate("|`", 0.2)),
        rest=0.4,
        context_tokens=1,
        before_text="",
    )


def value_of(hover: types.Hover) -> str:
    assert isinstance(hover.contents, types.MarkupContent)
    return hover.contents.value


PLACE = types.Range(types.Position(0, 2), types.Position(0, 5))


def test_a_hover_shows_every_figure_of_a_token() -> None:
    shown = render.hover(reading(), "a-model", vocabulary(), PLACE, Markup.TABLES)
    assert isinstance(shown.contents, types.MarkupContent)
    value = shown.contents.value
    assert shown.contents.kind is types.MarkupKind.Markdown
    assert shown.range == PLACE
    for row in (
        "`·go` probability **5.98% (raw)** · surprisal 4.06 bits · rank 3  ",
        "log-probability -2.8167 · entropy here 6.50 bits · token id 5",
        "| `·visit` | 40.00% | ████████████████ |",
        "| `` \\|` `` | 20.00% | ████████ |",
        "| all others | 40.00% |  |",
    ):
        assert row in value.splitlines(), row
    assert "raw: given the 1 token before it" in value


def test_a_hover_in_plain_text_is_aligned() -> None:
    shown = render.hover(reading(), "a-model", vocabulary(), PLACE, Markup.PLAIN)
    assert isinstance(shown.contents, types.MarkupContent)
    lines = shown.contents.value.splitlines()
    assert shown.contents.kind is types.MarkupKind.PlainText
    assert "·go probability 5.98% (raw) · surprisal 4.06 bits · rank 3" in lines
    assert "·visit           40.00%  ████████████████" in lines
    assert "|`               20.00%  ████████" in lines


def test_where_markdown_tables_are_not_laid_out_text_is_aligned_in_a_fence() -> None:
    read = dataclasses.replace(
        reading(), expected=(candidate("日本", 0.4), candidate("```", 0.2), candidate(b"\xe5\xa4"))
    )
    hover = value_of(render.hover(read, "a-model", vocabulary(), PLACE, Markup.MARKDOWN))
    assert (
        "````text\n"
        "token       probability\n"
        "日本             40.00%  ████████████████\n"
        "```              20.00%  ████████\n"
        "<E5 A4>          10.00%  ████\n"
        "all others       40.00%\n"
        "````"
    ) in hover
    made = answer(candidate(" `a`", 0.1, (5,)))
    facts = render.documentation(made, 1, Markup.MARKDOWN).value
    assert facts.startswith("```text\nprobability      10.00% (exact)\nlog-probability  -2.3026\n")
    assert "|" not in hover.replace("<|endoftext|>", "") + facts
    assert "|" not in render.next_tokens(made, Markup.MARKDOWN).value


def test_nothing_that_comes_from_outside_is_live_in_markdown() -> None:
    made = answer(
        candidate(HOSTILE),
        candidate("```\n[a](command:b)\n"),
        fragment=HOSTILE,
        before_text=HOSTILE,
        model=HOSTILE + "\n\n# heading",
    )
    read = dataclasses.replace(
        reading(HOSTILE.encode()), expected=made.prediction.candidates, before_text=HOSTILE
    )
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for markup in (Markup.MARKDOWN, Markup.TABLES):
        for value in (
            render.documentation(made, 1, markup).value,
            render.next_tokens(made, markup).value,
            value_of(render.hover(read, made.model, vocabulary(), PLACE, markup)),
            render.notice(f"Likely: {HOSTILE}\n\n# heading", markup).value,
        ):
            html = reader.render(value)
            assert not re.search("<(a|img|h1)[ >]", html), value
            assert "command:workbench" in html


def test_a_notice_is_read_as_it_was_written() -> None:
    text = "Likely: no model in /home/me/my_models/*.gguf <now> & then"
    html = MarkdownIt().render(render.notice(text, Markup.TABLES).value)
    assert unescape(html) == f"<p>{text}</p>\n"
    assert render.notice(text, Markup.PLAIN).value == text


def test_a_special_token_is_named() -> None:
    special = min(vocabulary().special)
    shown = render.hover(reading(b"", special), "a-model", vocabulary(), PLACE, Markup.PLAIN)
    assert isinstance(shown.contents, types.MarkupContent)
    assert shown.contents.value.startswith("<|endoftext|>")


def test_the_next_token_table_has_the_rest() -> None:
    made = answer(candidate(" a", 0.4), candidate("\n", 0.1), method="raw", fragment="")
    made = dataclasses.replace(
        made, prediction=dataclasses.replace(made.prediction, entropy=3.25, rest=0.5)
    )
    table = render.next_tokens(made, Markup.TABLES).value
    assert "| `·a` | 40.00% | ████████████████ |" in table
    assert "| `⏎` | 10.00% | ████ |" in table
    assert "| all others | 50.00% |  |" in table
    assert "3.25 bits" in table


def test_a_character_of_several_tokens_is_shown_with_their_sum() -> None:
    tokens = tuple(
        ScoredToken(data, TokenScore(token, p, math.log(p), rank, 6.5))
        for data, token, p, rank in ((b"\xf0\x9f", 7, 0.5, 2), (b"\x98\x80", 8, 0.125, 1))
    )
    made = dataclasses.replace(
        reading("😀".encode()), score=tokens[0].score, tokens=tokens, context_tokens=3
    )
    shown = render.hover(made, "a-model", vocabulary(), PLACE, Markup.TABLES).contents
    assert isinstance(shown, types.MarkupContent)
    for row in (
        "`😀` probability **6.25% (raw)** · surprisal 4.00 bits · 2 tokens",
        "| `<F0 9F>` | 50.00% | 1.00 bits | 2 | 7 |",
        "| `<98 80>` | 12.50% | 3.00 bits | 1 | 8 |",
        "*raw: given the 3 tokens before it · nothing before the text · `a-model`*",
    ):
        assert row in shown.value.splitlines()
    plain = render.hover(made, "a-model", vocabulary(), PLACE, Markup.PLAIN).contents
    assert isinstance(plain, types.MarkupContent)
    assert "<98 80>       12.50%  3.00 bits     1   8" in plain.value.splitlines()


def test_an_item_is_plain_where_its_fence_would_be_seen() -> None:
    both = dataclasses.replace(RICH, item_plain=True)
    assert both.item_markup is Markup.TABLES
    assert dataclasses.replace(both, lays_out_tables=False).item_markup is Markup.PLAIN
    assert dataclasses.replace(RICH, lays_out_tables=False).item_markup is Markup.MARKDOWN
    assert POOR.item_markup is Markup.PLAIN


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("Visual Studio Code", None, Markup.TABLES),
        ("Visual Studio Code - Insiders", None, Markup.TABLES),
        ("Neovim", None, Markup.MARKDOWN),
        ("", None, Markup.MARKDOWN),
        ("Neovim", True, Markup.TABLES),
        ("Visual Studio Code", False, Markup.MARKDOWN),
    ],
)
def test_a_clients_name_or_word_decides_about_tables(
    name: str, option: object, expected: Markup
) -> None:
    assert client_of(types.ClientCapabilities(), name, option).markup is expected
