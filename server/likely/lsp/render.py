"""Candidates and scores -> LSP types, Markdown and plain text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lsprotocol import types

from likely.lsp.client import Client
from likely.lsp.documents import Snapshot
from likely.prediction.covering import Method
from likely.prediction.cursor import Prediction, Unit
from likely.prediction.distribution import Candidate, percent
from likely.prediction.scoring import TokenReading
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
            item.documentation = documentation(answer, rank, client)
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


def documentation(answer: Answer, rank: int, client: Client) -> types.MarkupContent:
    """Everything that is known about the candidate of `rank` in a list."""
    prediction = answer.prediction
    candidate = prediction.candidates[rank - 1]
    markdown = client.item_markdown
    rows = [
        *_figures(candidate, answer),
        ("rank", str(rank)),
        *_tokens(candidate, answer.vocabulary, markdown),
    ]
    blocks = [_facts(rows, markdown), *_notes(answer, markdown)]
    return _content(blocks, markdown)


def hover(
    reading: TokenReading, model: str, vocabulary: Vocabulary, place: types.Range, client: Client
) -> types.Hover:
    """Render what the model thought of a token, and what it expected in its place."""
    markdown = client.hover_markdown
    if reading.tokens:
        return types.Hover(contents=_several(reading, model, markdown), range=place)
    score = reading.score
    name = vocabulary.special_name(score.id) if score.id in vocabulary.special else ""
    shown = _code(name or show(reading.data), markdown)
    probability = f"{percent(score.probability)} (raw)"
    # Few lines: an editor cuts a tall hover off, and what was expected is worth seeing whole.
    figures = (
        f"{shown} probability {f'**{probability}**' if markdown else probability}"
        f" · surprisal {score.surprisal:.2f} bits · rank {score.rank}"
    )
    details = (
        f"log-probability {score.logprob:.4f} · entropy here {score.entropy:.2f} bits"
        f" · token id {score.id}"
    )
    count = _count(reading.context_tokens, "token")
    notes = f"raw: given the {count} before it · {_code(model, markdown)}"
    blocks = [
        f"{figures}{'  ' if markdown else ''}\n{details}",
        "Given everything before it, the model expected here:",
        _distribution(reading.expected, reading.rest, markdown),
        _aside(notes, markdown),
    ]
    if reading.separator_stood_in:
        blocks.append(_aside(_STOOD_IN, markdown))
    return types.Hover(contents=_content(blocks, markdown), range=place)


def _several(reading: TokenReading, model: str, markdown: bool) -> types.MarkupContent:
    """A character that is made of several tokens: the sum first, its tokens below."""
    probability = f"{percent(reading.probability)} (raw)"
    figures = (
        f"{_code(show(reading.data), markdown)}"
        f" probability {f'**{probability}**' if markdown else probability}"
        f" · surprisal {reading.surprisal:.2f} bits · {len(reading.tokens)} tokens"
    )
    rows = [
        ("token", "probability", "surprisal", "rank", "id"),
        *(
            (
                _code(token.data.hex(" "), markdown),
                percent(token.score.probability),
                f"{token.score.surprisal:.2f} bits",
                str(token.score.rank),
                str(token.score.id),
            )
            for token in reading.tokens
        ),
    ]
    if markdown:
        tokens = _markdown_table(rows, ":--", "--:", "--:", "--:", "--:")
    else:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        tokens = "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
    count = _count(reading.context_tokens, "token")
    blocks = [
        figures,
        tokens,
        "Given everything before it, the model expected here:",
        _distribution(reading.expected, reading.rest, markdown),
        _aside(f"raw: given the {count} before it · {_code(model, markdown)}", markdown),
    ]
    if reading.separator_stood_in:
        blocks.append(_aside(_STOOD_IN, markdown))
    return _content(blocks, markdown)


def next_tokens(answer: Answer, *, markdown: bool) -> str:
    """The next-token table at a cursor."""
    prediction = answer.prediction
    blocks = [_distribution(prediction.candidates, prediction.rest, markdown)]
    if prediction.entropy is not None:
        blocks.append(f"Entropy of the next token: {prediction.entropy:.2f} bits")
    return _content([*blocks, *_notes(answer, markdown)], markdown).value


def message(text: str, *, markdown: bool) -> types.Hover:
    """A hover that says something about the program instead of the text."""
    return types.Hover(contents=_content([text], markdown))


_STOOD_IN = "Nothing stands before this text: the document separator stood in as context."


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
    candidate: Candidate, vocabulary: Vocabulary, markdown: bool
) -> Iterable[tuple[str, str]]:
    named = [f"{_code(show(vocabulary.token_bytes(i)), markdown)} {i}" for i in candidate.ids]
    yield ("token" if len(named) == 1 else "tokens") + " and id", ", ".join(named)
    yield "bytes", candidate.insertion.hex(" ")


def _notes(answer: Answer, markdown: bool) -> Iterable[str]:
    """What the figures of a list are, and under which condition."""
    prediction = answer.prediction
    if prediction.fragment_probability is not None and prediction.fragment:
        typed = _code(show(prediction.fragment), markdown)
        chance = percent(prediction.fragment_probability)
        yield f"Typed so far: {typed}, with probability {chance} given what stands before."
    if answer.unit == "word":
        residual = percent(prediction.residual)
        yield _aside(f"whole words: lower bounds, {residual} was not searched", markdown)
    count = _count(prediction.context_tokens, "token")
    shown = f"not in this list: {percent(prediction.rest)}"
    yield _aside(
        f"{_METHODS[prediction.method]} · {shown} · {count} of context"
        f" · {_code(answer.model, markdown)}",
        markdown,
    )
    if prediction.separator_stood_in:
        yield _aside(_STOOD_IN, markdown)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _facts(rows: Rows, markdown: bool) -> str:
    """Names and values; Markdown knows no table without a heading, so the first row is it."""
    if markdown:
        return _markdown_table(rows, ":--", ":--")
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _distribution(candidates: Sequence[Candidate], rest: float, markdown: bool) -> str:
    """Candidates with bars, scaled to the likeliest, and the rest."""
    longest = max((candidate.probability for candidate in candidates), default=1.0) or 1.0
    rows = [
        ("token", "probability", ""),
        *(
            (
                _code(show(candidate.insertion), markdown),
                percent(candidate.probability),
                bar(candidate.probability / longest),
            )
            for candidate in candidates
        ),
        ("all others", percent(rest), ""),
    ]
    if markdown:
        return _markdown_table(rows, ":--", "--:", ":--")
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(
        f"{name:<{width}}  {figure:>11}  {length}".rstrip() for name, figure, length in rows
    )


def _markdown_table(rows: Rows, *alignment: str) -> str:
    heading, *lines = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    return "\n".join([heading, "|" + "|".join(alignment) + "|", *lines])


def _code(text: str, markdown: bool) -> str:
    """Text as it stands, whatever marks it holds."""
    if not markdown:
        return text
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _aside(text: str, markdown: bool) -> str:
    return f"*{text}*" if markdown else text


def _content(blocks: Iterable[str], markdown: bool) -> types.MarkupContent:
    kind = types.MarkupKind.Markdown if markdown else types.MarkupKind.PlainText
    return types.MarkupContent(kind=kind, value="\n\n".join(blocks))
