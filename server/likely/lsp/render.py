"""Candidates and scores -> LSP types, Markdown and plain text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lsprotocol import types
from rich.cells import cell_len

from likely.lsp.client import Client, Markup
from likely.lsp.documents import Snapshot
from likely.prediction.candidates import Candidate, Method, Prediction
from likely.prediction.distribution import percent, standing_before
from likely.prediction.options import Unit
from likely.prediction.scoring import TokenReading
from likely.text import escaping
from likely.text.lines import units
from likely.text.vocabulary import Vocabulary, show

Rows = Sequence[tuple[str, ...]]

BAR_WIDTH = 16
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LONGEST_TYPED = 20
_LONGEST_WORD = 256
_METHODS: dict[Method, str] = {
    "exact": "exact: given the characters typed, over all tokenizations",
    "healed": "healed: given the typed part of one token, an approximation",
    "raw": "raw: given the tokens before the cursor",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction with what it was asked for and by whom it was made, ready to be shown."""

    prediction: Prediction
    unit: Unit
    model: str
    vocabulary: Vocabulary


def bar(share: float) -> str:
    """A horizontal bar of `share` (0 to 1) of the full width, in eighths of a character."""
    eighths = round(8 * BAR_WIDTH * min(max(share, 0.0), 1.0))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def completion_list(
    answer: Answer, snapshot: Snapshot, client: Client, suggest_command: str | None
) -> types.CompletionList:
    """Render candidates as completion items in the order of their probability.

    Each item replaces the visible fragment, so that a client's own filter keeps all of them
    and goes on in the right order while typing. `suggest_command` opens the next list.
    """
    fragment = visible_fragment(answer.prediction.fragment, snapshot.before)
    line, end = snapshot.position
    start = end - units(fragment, snapshot.encoding)
    edited = types.Range(types.Position(line, start), types.Position(line, end))
    word = word_before(snapshot.before)
    command = None
    if suggest_command is not None:
        command = types.Command(title="Next candidates", command=suggest_command)
    items: list[types.CompletionItem] = []
    for rank, candidate in enumerate(answer.prediction.candidates, 1):
        insertion = _text(candidate.insertion)
        if not insertion:
            continue
        figure = ("≥ " if answer.unit == "word" else "") + percent(candidate.probability)
        item = types.CompletionItem(
            label=label(fragment, insertion),
            kind=types.CompletionItemKind.Text,
            filter_text=fragment + insertion,
            sort_text=f"{rank:03}",
            insert_text_format=types.InsertTextFormat.PlainText,
            insert_text=word + insertion,
            text_edit=types.TextEdit(range=edited, new_text=fragment + insertion),
            command=command,
            data={
                "ids": list(candidate.ids),
                "probability": candidate.probability,
                "logprob": candidate.logprob,
            },
        )
        if client.label_details:
            item.label_details = types.CompletionItemLabelDetails(description=figure)
        else:
            item.detail = figure
        if client.commits:
            # A typed character is text here. (Neovim, which has none, fails on an empty list.)
            item.commit_characters = []
        if client.keeps_indentation:
            item.insert_text_mode = types.InsertTextMode.AsIs
        if client.preselects and not items:
            item.preselect = True
        if not client.resolves_documentation:
            item.documentation = documentation(answer, rank, client.item_markup)
        items.append(item)
    return types.CompletionList(is_incomplete=True, items=items)


def visible_fragment(fragment: bytes, before: bytes) -> str:
    """The part of the fragment that an edit may replace: typed, and on the cursor's line."""
    if not before.endswith(fragment):
        # The prefix space of `documentStart` stands in no document.
        fragment = fragment[1:]
    return _text(re.split(rb"[\r\n]", fragment)[-1])


def word_before(before: bytes) -> str:
    """The word that ends at the cursor: what clients that apply no text edits replace."""
    return re.split(r"\W", before[-_LONGEST_WORD:].decode(errors="replace"))[-1]


def label(fragment: str, insertion: str) -> str:
    """What an item is called, white space visible: the word it completes, or what it adds."""
    if not (insertion[0].isalnum() or insertion[0] == "_"):
        return show(insertion.encode())
    # Of an indentation the last character is enough, of an endless word its end.
    typed = re.sub(r"^[ \t]+(?=[ \t])", "", fragment)
    if len(typed) > _LONGEST_TYPED:
        typed = "…" + typed[-_LONGEST_TYPED:]
    return show((typed + insertion).encode())


def documentation(answer: Answer, rank: int, markup: Markup) -> types.MarkupContent:
    """Everything that is known about the candidate of `rank` in a list."""
    candidate = answer.prediction.candidates[rank - 1]
    # What stands in a fence is shown as it is.
    cells = Markup.TABLES if markup is Markup.TABLES else Markup.PLAIN
    rows = [
        *_figures(candidate, answer),
        ("rank", str(rank)),
        *_tokens(candidate, answer.vocabulary, cells),
    ]
    return _content([_facts(rows, markup), *_notes(answer, markup)], markup)


def hover(
    reading: TokenReading, model: str, vocabulary: Vocabulary, place: types.Range, markup: Markup
) -> types.Hover:
    """Render what the model thought of a token, and what it expected in its place."""
    if reading.tokens:
        return types.Hover(contents=_several(reading, model, markup), range=place)
    score = reading.score
    name = vocabulary.special_name(score.id) if score.id in vocabulary.special else ""
    shown = _code(name or show(reading.data), markup)
    probability = f"{percent(score.probability)} (raw)"
    # Few lines: an editor cuts a tall hover off, and what was expected is worth seeing whole.
    figures = (
        f"{shown} probability {probability if markup is Markup.PLAIN else f'**{probability}**'}"
        f" · surprisal {score.surprisal:.2f} bits · rank {score.rank}"
    )
    details = (
        f"log-probability {score.logprob:.4f} · entropy here {score.entropy:.2f} bits"
        f" · token id {score.id}"
    )
    blocks = [
        f"{figures}{'' if markup is Markup.PLAIN else '  '}\n{details}",
        "Given everything before it, the model expected here:",
        _distribution(reading.expected, reading.rest, markup),
        _aside(_given(reading, model, markup), markup),
    ]
    return types.Hover(contents=_content(blocks, markup), range=place)


def _several(reading: TokenReading, model: str, markup: Markup) -> types.MarkupContent:
    """A character that is made of several tokens: the sum first, its tokens below."""
    probability = f"{percent(reading.probability)} (raw)"
    figures = (
        f"{_code(show(reading.data), markup)}"
        f" probability {probability if markup is Markup.PLAIN else f'**{probability}**'}"
        f" · surprisal {reading.surprisal:.2f} bits · {len(reading.tokens)} tokens"
    )
    cells = _cells(markup)
    rows = [
        ("token", "probability", "surprisal", "rank", "id"),
        *(
            (
                _code(show(token.data), cells),
                percent(token.score.probability),
                f"{token.score.surprisal:.2f} bits",
                str(token.score.rank),
                str(token.score.id),
            )
            for token in reading.tokens
        ),
    ]
    blocks = [
        figures,
        _table(rows, "<>>>>", markup),
        "Given everything before it, the model expected here:",
        _distribution(reading.expected, reading.rest, markup),
        _aside(_given(reading, model, markup), markup),
    ]
    return _content(blocks, markup)


def _given(reading: TokenReading, model: str, markup: Markup) -> Iterable[str]:
    """What the figures of a reading are conditioned on, and by whom they were made."""
    yield f"raw: given the {_count(reading.context_tokens, 'token')} before it"
    yield standing_before(reading.before_text, lambda text: _code(text, markup))
    yield _code(model, markup)


def next_tokens(answer: Answer, markup: Markup) -> types.MarkupContent:
    """The next-token table at a cursor."""
    prediction = answer.prediction
    blocks = [_distribution(prediction.candidates, prediction.rest, markup)]
    if prediction.entropy is not None:
        blocks.append(f"Entropy of the next token: {prediction.entropy:.2f} bits")
    return _content([*blocks, *_notes(answer, markup)], markup)


def notice(text: str, markup: Markup) -> types.MarkupContent:
    """Something about the program in place of an answer."""
    escape = escaping.line if markup is Markup.PLAIN else escaping.markdown
    return _content([escape(text)], markup)


def _text(data: bytes) -> str:
    """Bytes as text, empty where they are none: nothing broken is ever inserted."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return ""


def _figures(candidate: Candidate, answer: Answer) -> Iterable[tuple[str, str]]:
    figure, method = percent(candidate.probability), answer.prediction.method
    if answer.unit == "word":
        yield "probability", f"at least {figure} ({method}, a lower bound)"
        yield "not searched", f"{percent(answer.prediction.residual)}, which words may share"
    else:
        yield "probability", f"{figure} ({method})"
    yield "log-probability", f"{candidate.logprob:.4f}"
    yield "surprisal", f"{candidate.surprisal:.2f} bits"


def _tokens(
    candidate: Candidate, vocabulary: Vocabulary, markup: Markup
) -> Iterable[tuple[str, str]]:
    named = [f"{_code(show(vocabulary.token_bytes(i)), markup)} {i}" for i in candidate.ids]
    yield ("token" if len(named) == 1 else "tokens") + " and id", ", ".join(named)
    yield "bytes", candidate.insertion.hex(" ")


def _notes(answer: Answer, markup: Markup) -> Iterable[str]:
    """What the figures of a list are, and under which condition."""
    prediction = answer.prediction
    if prediction.fragment_probability is not None and prediction.fragment:
        typed = _code(show(prediction.fragment), markup)
        chance = percent(prediction.fragment_probability)
        yield f"Typed so far: {typed}, with probability {chance} given what stands before."
    if answer.unit == "word":
        residual = percent(prediction.residual)
        yield _aside([f"whole words: lower bounds, {residual} was not searched"], markup)
    notes = (
        _METHODS[prediction.method],
        f"not in this list: {percent(prediction.rest)}",
        f"{_count(prediction.context_tokens, 'token')} of context",
        standing_before(prediction.before_text, lambda text: _code(text, markup)),
        _code(answer.model, markup),
    )
    yield _aside(notes, markup)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _facts(rows: Rows, markup: Markup) -> str:
    """Names and values; Markdown knows no table without a heading, so the first row is it."""
    return _table(rows, "<<", markup)


def _distribution(candidates: Sequence[Candidate], rest: float, markup: Markup) -> str:
    """Candidates with bars, scaled to the likeliest, and the rest."""
    longest = max((candidate.probability for candidate in candidates), default=1.0) or 1.0
    cells = _cells(markup)
    rows = [
        ("token", "probability", ""),
        *(
            (
                _code(show(candidate.insertion), cells),
                percent(candidate.probability),
                bar(candidate.probability / longest),
            )
            for candidate in candidates
        ),
        ("all others", percent(rest), ""),
    ]
    return _table(rows, "<><", markup)


def _cells(markup: Markup) -> Markup:
    """How what stands in a table's cell is marked: not at all where columns are aligned."""
    return markup if markup is Markup.TABLES else Markup.PLAIN


def _table(rows: Rows, alignment: str, markup: Markup) -> str:
    """Rows, the first one the heading; `alignment` is "<" or ">" for each column."""
    if markup is Markup.TABLES:
        heading, *lines = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
        ]
        rule = "|".join({"<": ":--", ">": "--:"}[side] for side in alignment)
        return "\n".join([heading, f"|{rule}|", *lines])
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for cell, width, side in zip(row, widths, alignment, strict=True):
            room = " " * (width - cell_len(cell))
            cells.append(cell + room if side == "<" else room + cell)
        lines.append("  ".join(cells).rstrip())
    return _aligned(lines, markup)


def _aligned(lines: Sequence[str], markup: Markup) -> str:
    """Lines that keep their columns: in Markdown between fences longer than any in them."""
    text = "\n".join(lines)
    if markup is Markup.PLAIN:
        return text
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _code(text: str, markup: Markup) -> str:
    """Text as it stands, whatever marks it holds."""
    return escaping.line(text) if markup is Markup.PLAIN else escaping.code(text)


def _aside(notes: Iterable[str], markup: Markup) -> str:
    text = " · ".join(filter(None, notes))
    return text if markup is Markup.PLAIN else f"*{text}*"


def _content(blocks: Iterable[str], markup: Markup) -> types.MarkupContent:
    kind = types.MarkupKind.PlainText if markup is Markup.PLAIN else types.MarkupKind.Markdown
    return types.MarkupContent(kind=kind, value="\n\n".join(blocks))
