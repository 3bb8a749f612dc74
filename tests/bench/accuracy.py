"""How good are raw, healed and exact at a cursor? `python tests/bench/accuracy.py`.

Puts the cursor at random places of text that the model cannot have seen (this repository's own
documents and source) and asks each method what follows. The truth is what remains of the token
that the cursor stands in, or the next token where it stands at a token's end, in the canonical
tokenization of the whole text. Reported per method, inside words and at their ends:

- first, top 10: how often the truth's bytes are the first candidate, or among the first ten;
- surprisal: mean bits of the truth's bytes under the method. Raw and healed may have to spell
  them in other tokens than the canonical ones; then those tokens' probabilities multiply.

Raw is P(t | tokenizer(text)). Healed takes the last token back and asks for one that starts
with its bytes, or for what follows it. Exact is what the editor shows.
"""

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from asking import log_probability, logs_after
from likely.engines.engine import Driver
from likely.engines.loading import load
from likely.models.sources import locate
from likely.prediction.covering import cover_cursor, weigh_covers
from likely.prediction.cursor import cursor_candidates
from likely.prediction.distribution import most_likely
from likely.prediction.question import LanguageModel
from likely.prediction.window import Context, TextBefore, steady_context, steady_reach
from likely.text.vocabulary import TokenIds

ROOT = Path(__file__).parents[2]
CONTEXT_TOKENS = 256
TOP = 10
METHODS = ("raw", "healed", "exact")
BITS = 1 / math.log(2)


@dataclass(frozen=True)
class Guess:
    """What a method proposed, best first, and its log-probability of the truth."""

    insertions: Sequence[bytes]
    logprob: float


@dataclass
class Tally:
    """Sums over positions."""

    positions: int = 0
    first: int = 0
    top: int = 0
    bits: float = 0.0
    by_method: dict[str, "Tally"] = field(default_factory=dict)

    def add(self, guess: Guess, truth: bytes) -> None:
        self.positions += 1
        self.first += guess.insertions[:1] == [truth]
        self.top += truth in guess.insertions[:TOP]
        self.bits -= guess.logprob * BITS

    def figures(self) -> dict[str, float]:
        return {
            "first": self.first / self.positions,
            "top10": self.top / self.positions,
            "surprisal": self.bits / self.positions,
        }


def texts() -> dict[str, str]:
    """Held-out prose and code."""
    code = sorted((ROOT / "server").rglob("*.py"), key=lambda path: path.name)
    documents = [ROOT / "README.md", *sorted((ROOT / "client").glob("*.md"))]
    prose = "".join(path.read_text(encoding="utf-8") for path in documents).split("```")[::2]
    return {
        "prose": "".join(part for part in prose if "|" not in part[:200]),
        "code": "\n".join(path.read_text(encoding="utf-8") for path in code),
    }


def places(text: str, *, inside: bool) -> list[int]:
    """Offsets inside words, or at their ends."""
    return [
        i
        for i in range(200, len(text) - 20)
        if text[i - 1].isalpha() and text[i].isalpha() == inside
    ]


def truth_at(model: LanguageModel, context: Context, after: bytes) -> bytes:
    """What remains of the canonical token at the cursor."""
    position, end = len(context.data), 0
    for token in model.vocabulary.encode(context.data + after):
        end += len(model.vocabulary.token_bytes(token))
        if end > position:
            return (context.data + after)[position:end]
    raise ValueError("the text ends at the cursor")


def spelled(driver: Driver, before: TokenIds, data: bytes) -> float:
    """log P of the tokens of `data`, one after another."""
    return log_probability(driver, before, driver.model.vocabulary.encode(data))


def raw(driver: Driver, context: Context, truth: bytes) -> Guess:
    tokens = context.head + driver.model.vocabulary.encode(context.data)
    row = logs_after(driver, tokens)
    found = [driver.model.vocabulary.token_bytes(i) for i in most_likely(row, TOP)]
    return Guess(found, spelled(driver, tokens, truth))


def healed(driver: Driver, context: Context, truth: bytes) -> Guess:
    vocabulary = driver.model.vocabulary
    *base, last = context.head + vocabulary.encode(context.data)
    typed = vocabulary.token_bytes(last)
    before = tuple(base)
    row, after = logs_after(driver, before), logs_after(driver, (*before, last))
    ids = vocabulary.starting_with(typed)
    total = float(np.logaddexp.reduce(row[ids].astype(np.float64)))
    scored = {vocabulary.token_bytes(i)[len(typed) :]: float(row[i]) - total for i in ids.tolist()}
    boundary = scored.pop(b"")
    exact = scored.get(truth, -math.inf)
    for i in most_likely(after, TOP):
        data = vocabulary.token_bytes(i)
        together = boundary + float(after[i])
        scored[data] = float(np.logaddexp(scored.get(data, -math.inf), together))
    apart = boundary + spelled(driver, (*before, last), truth)
    best = sorted(scored, key=lambda data: -scored[data])[:TOP]
    return Guess(best, float(np.logaddexp(exact, apart)))


def exact(driver: Driver, context: Context, truth: bytes) -> Guess:
    covered = cover_cursor(driver.model, context)
    distribution = driver.answer(weigh_covers(covered))
    found, _ = driver.answer(cursor_candidates(covered, distribution, TOP))
    whole = driver.model.vocabulary.encode(context.data + truth)
    tokens = whole[len(covered.prefix) - len(covered.context.head) :]
    total = log_probability(driver, covered.prefix, tokens)
    return Guess([c.insertion for c in found], total - distribution.log_total)


def tallies(driver: Driver, positions: int, seed: int) -> Iterator[tuple[str, str, Tally]]:
    """Per kind of text and of place, the tally of each method."""
    chosen = random.Random(seed)
    for kind, text in texts().items():
        for where in ("inside words", "at word ends"):
            offsets = places(text, inside=where == "inside words")
            # In order, so that what the model knows of the text before serves the next place.
            wanted = sorted(chosen.sample(offsets, min(positions // 4, len(offsets))))
            total = Tally(by_method={method: Tally() for method in METHODS})
            for offset in wanted:
                seen = text[:offset].encode()
                data = (
                    seen[-steady_reach(driver.model, CONTEXT_TOKENS) :]
                    .decode(errors="ignore")
                    .encode()
                )
                before = TextBefore(data, len(seen) - len(data))
                context = steady_context(driver.model, before, CONTEXT_TOKENS, "auto")
                truth = truth_at(driver.model, context, text[offset : offset + 200].encode())
                for method in METHODS:
                    guess = {"raw": raw, "healed": healed, "exact": exact}[method]
                    total.by_method[method].add(guess(driver, context, truth), truth)
            total.positions = len(wanted)
            yield kind, where, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--positions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    driver = Driver(load(locate(arguments.model), name=arguments.model))
    table = Table("text", "cursor", "positions", "method", "first", "top 10", "surprisal, bits")
    found = []
    for kind, where, total in tallies(driver, arguments.positions, arguments.seed):
        for method, tally in total.by_method.items():
            figures = tally.figures()
            found.append({"text": kind, "cursor": where, "method": method, **figures})
            table.add_row(
                kind,
                where,
                str(total.positions),
                method,
                f"{figures['first']:.1%}",
                f"{figures['top10']:.1%}",
                f"{figures['surprisal']:.2f}",
            )
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(table)


if __name__ == "__main__":
    main()
