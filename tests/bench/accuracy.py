"""How good are raw, healed and exact at a cursor? `python tests/bench/accuracy.py`.

Puts the cursor at random places of text that the model cannot have seen (a story written for
this, and this repository's own source) and asks each method what follows. The truth is what
remains of the token that the cursor stands in, or the next token where it stands at a token's
end, in the canonical tokenization of the whole text. Reported per method:

- first, top 10: how often the truth's bytes are the first candidate, or among the first ten;
- surprisal: mean bits of "the text goes on with the truth's bytes", summed over the canonical
  encodings of them that each method knows of, so that no method is blamed for how it would
  have to spell them.

Raw is P(t | tokenizer(text)). Healed takes the last token back and asks for one that starts
with its bytes, or for what follows it. Exact is what the editor shows.

Places are inside words, at their ends, and between words (after white space or punctuation).
At the end of a word raw is told that the word is over, since it takes for granted that a token
ends at the cursor: what it gains there, by our choice of the place, it loses inside words.
"Anywhere" weighs the three by how many such places the text has, as somebody meets them who
types every character.
"""

import argparse
import copy
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from likely.model.language_model import CausalLanguageModel, load
from likely.model.sources import DEFAULT_MODEL, locate
from likely.prediction.context import Context, TextBefore, make_context, reach
from likely.prediction.cursor import (
    Covered,
    CursorOptions,
    cover_cursor,
    fragments_of,
    predict_at_cursor,
    weigh_covers,
)
from likely.prediction.protocol import LanguageModel
from likely.text.vocabulary import TokenIds, Vocabulary

ROOT = Path(__file__).parents[2]
HELD_OUT = Path(__file__).with_name("held_out.txt")
CODE = ("prediction", "text")
CONTEXT_TOKENS = 256
TOP = 10
BITS = 1 / math.log(2)
INSIDE, AT_END, BETWEEN, ANYWHERE = "inside words", "at word ends", "between words", "anywhere"


@dataclass(frozen=True)
class Guess:
    """What a method proposed, best first, and its log-probability of the truth."""

    insertions: Sequence[bytes]
    logprob: float


@dataclass
class Tally:
    """Figures of one method at one kind of place, summed over positions."""

    positions: int = 0
    first: int = 0
    top: int = 0
    bits: list[float] = field(default_factory=list)

    def add(self, guess: Guess, truth: bytes) -> None:
        self.positions += 1
        self.first += list(guess.insertions[:1]) == [truth]
        self.top += truth in guess.insertions[:TOP]
        self.bits.append(-guess.logprob * BITS)

    def figures(self) -> dict[str, float]:
        return {
            "first": self.first / self.positions,
            "top10": self.top / self.positions,
            "surprisal": math.fsum(self.bits) / self.positions,
        }


def texts() -> dict[str, str]:
    """Held-out prose and code."""
    code = [path for part in CODE for path in sorted((ROOT / "server" / "likely" / part).iterdir())]
    return {
        "prose": HELD_OUT.read_text(encoding="utf-8"),
        "code": "\n".join(path.read_text("utf-8") for path in code if path.suffix == ".py"),
    }


def places(text: str) -> dict[str, list[int]]:
    """Every offset, by what kind of place it is."""
    found: dict[str, list[int]] = {INSIDE: [], AT_END: [], BETWEEN: []}
    for i in range(200, len(text) - 40):
        if not text[i - 1].isalnum():
            found[BETWEEN].append(i)
        else:
            found[INSIDE if text[i].isalnum() else AT_END].append(i)
    return found


def truth_at(model: LanguageModel, context: Context, after: bytes) -> bytes:
    """What remains of the canonical token at the cursor, up to a whole character."""
    position, end = len(context.data), 0
    data = context.data + after
    for token in model.vocabulary.encode(data):
        end += len(model.vocabulary.token_bytes(token))
        if end > position:
            while data[end] & 0xC0 == 0x80:
                end += 1
            return data[position:end]
    raise ValueError("the text ends at the cursor")


def log_probability(model: LanguageModel, before: TokenIds, tokens: TokenIds) -> float:
    rows = model.log_probabilities([before + tokens[:place] for place in range(len(tokens))])
    return math.fsum(float(row[token]) for row, token in zip(rows, tokens, strict=True))


def log_reaching(model: LanguageModel, context: Context, prefix: TokenIds, data: bytes) -> float:
    """log P(the text goes on with `data` | tokens `prefix`), over its canonical encodings."""
    fragments = fragments_of(model.vocabulary)
    covered = Covered(
        context=context,
        prefix=prefix,
        fragment=data,
        covers=fragments.covers(data),
        boundaries=fragments.heads(data, len(data)),
        neighbours=lambda _tokens, _data, ids: np.ones(len(ids), dtype=np.bool_),
        method="raw",
    )
    return weigh_covers(model, covered).log_total


class Methods:
    """The three methods on one model."""

    def __init__(self, model: CausalLanguageModel, vocabulary: Vocabulary) -> None:
        """`vocabulary`: a second one, of which nothing is known but its tokens' bytes."""
        self._model = model
        vocabulary.exact = False
        self._unaware = copy.copy(model)
        self._unaware.vocabulary = vocabulary
        self.by_name: dict[str, Callable[[TextBefore, Context, bytes], Guess]] = {
            "raw": self.raw,
            "healed": self.healed,
            "exact": self.exact,
        }

    def prepare(self, context: Context, truth: bytes) -> None:
        """Compute in one pass what the methods will ask for in many."""
        model, vocabulary = self._model, self._model.vocabulary
        fragments = fragments_of(vocabulary)
        at = cover_cursor(model, context)
        then = cover_cursor(model, replace(context, data=context.data + truth))
        wanted = {at.prefix + boundary for boundary in at.boundaries}
        for covered in (at, then):
            wanted |= {covered.prefix + cover.head for cover in covered.covers}
        *base, last = tokens = context.head + vocabulary.encode(context.data)
        wanted |= {tokens + cover.head for cover in fragments.covers(truth)} | {tuple(base)}
        typed = vocabulary.token_bytes(last)
        for length in range(len(truth)):
            token = vocabulary.spelled(typed + truth[:length])
            if token is not None:
                heads = [cover.head for cover in fragments.covers(truth[length:])]
                wanted |= {(*base, token, *head) for head in heads}
        model.log_probabilities(sorted(wanted))

    def raw(self, before: TextBefore, context: Context, truth: bytes) -> Guess:
        tokens = context.head + self._model.vocabulary.encode(context.data)
        options = CursorOptions(TOP, "raw", context_tokens=CONTEXT_TOKENS, document_start="auto")
        found = predict_at_cursor(self._model, before, options).candidates
        logprob = log_reaching(self._model, context, tokens, truth)
        return Guess([candidate.insertion for candidate in found], logprob)

    def healed(self, before: TextBefore, context: Context, truth: bytes) -> Guess:
        model, vocabulary = self._model, self._model.vocabulary
        options = CursorOptions(TOP, "exact", context_tokens=CONTEXT_TOKENS, document_start="auto")
        found = predict_at_cursor(self._unaware, before, options)
        *base, last = context.head + vocabulary.encode(context.data)
        typed, prefix = vocabulary.token_bytes(last), tuple(base)
        (row,) = model.log_probabilities([prefix])
        # One token holds all that is typed and all of the truth, or a part of it.
        logs = row[vocabulary.starting_with(typed + truth)].astype(np.float64).tolist()
        for length in range(len(truth)):
            token = vocabulary.spelled(typed + truth[:length])
            if token is not None:
                rest = log_reaching(model, context, (*prefix, token), truth[length:])
                logs.append(float(row[token]) + rest)
        total = np.logaddexp.reduce(row[vocabulary.starting_with(typed)].astype(np.float64))
        logprob = float(np.logaddexp.reduce(logs) - total)
        return Guess([candidate.insertion for candidate in found.candidates], logprob)

    def exact(self, before: TextBefore, context: Context, truth: bytes) -> Guess:
        options = CursorOptions(TOP, "exact", context_tokens=CONTEXT_TOKENS, document_start="auto")
        found = predict_at_cursor(self._model, before, options).candidates
        at = cover_cursor(self._model, context)
        then = cover_cursor(self._model, replace(context, data=context.data + truth))
        logprob = (
            log_probability(self._model, at.prefix, then.prefix[len(at.prefix) :])
            + weigh_covers(self._model, then).log_total
            - weigh_covers(self._model, at).log_total
        )
        return Guess([candidate.insertion for candidate in found], logprob)


def tallies(
    methods: Methods, model: LanguageModel, positions: int, seed: int
) -> Iterator[tuple[str, str, dict[str, Tally], float]]:
    """Per kind of text and of place, each method's tally, and the share of such places."""
    chosen = random.Random(seed)
    for kind, text in texts().items():
        offsets = places(text)
        total = sum(map(len, offsets.values()))
        wanted: list[tuple[int, str]] = []
        for where, candidates in offsets.items():
            count = positions // (2 if where == INSIDE else 8)
            picked = chosen.sample(candidates, min(count, len(candidates)))
            wanted += [(offset, where) for offset in picked]
        found = {where: {name: Tally() for name in methods.by_name} for where in offsets}
        # In order, so that what the model knows of the text before serves the next place.
        for offset, where in sorted(wanted):
            seen = text[:offset].encode()
            data = seen[-reach(CONTEXT_TOKENS) :].decode(errors="ignore").encode()
            before = TextBefore(data, len(seen) - len(data))
            context = make_context(model, before, CONTEXT_TOKENS, "auto")
            truth = truth_at(model, context, text[offset : offset + 200].encode())
            methods.prepare(context, truth)
            for name, method in methods.by_name.items():
                found[where][name].add(method(before, context, truth), truth)
        for where, candidates in offsets.items():
            yield kind, where, found[where], len(candidates) / total


def measure(
    methods: Methods, model: LanguageModel, positions: int, seed: int
) -> list[dict[str, str | float]]:
    """All figures, those of "anywhere" included, one entry per text, place and method."""
    entries: list[dict[str, str | float]] = []
    anywhere: dict[tuple[str, str], dict[str, float]] = {}
    for kind, where, found, share in tallies(methods, model, positions, seed):
        for name, tally in found.items():
            figures = tally.figures()
            entries.append({"text": kind, "cursor": where, "method": name, **figures})
            entries[-1]["positions"] = tally.positions
            together = anywhere.setdefault((kind, name), dict.fromkeys(figures, 0.0))
            for figure, value in figures.items():
                together[figure] += share * value
    for (kind, name), figures in anywhere.items():
        entries.append({"text": kind, "cursor": ANYWHERE, "method": name, **figures})
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--positions", type=int, default=2000, help="places inside words")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = locate(arguments.model)
    model = load(folder, name=arguments.model)
    vocabulary = Vocabulary.from_file(folder / "tokenizer.json", size=len(model.vocabulary))
    methods = Methods(model, vocabulary)
    entries = measure(methods, model, arguments.positions, arguments.seed)
    if arguments.json:
        print(json.dumps(entries, indent=1))
        return
    table = Table("text", "cursor", "positions", "method", "first", "top 10", "surprisal, bits")
    for entry in sorted(entries, key=lambda entry: entry["text"] != "prose"):
        table.add_row(
            str(entry["text"]),
            str(entry["cursor"]),
            str(entry.get("positions", "")),
            str(entry["method"]),
            f"{entry['first']:.1%}",
            f"{entry['top10']:.1%}",
            f"{entry['surprisal']:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
