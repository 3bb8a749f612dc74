/** What a person types, and how: texts, keys over an open list, and a rhythm. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Whether the whole of the texts is typed, at a human's rhythm; else a part, in bursts. */
const IS_HUMAN = process.env.LIKELY_TYPING === "human";
const [FASTEST, SLOWEST] = IS_HUMAN ? [100, 200] : [0, 20];

/** As much of a text as is typed in this run: all of it, or its first lines. */
export function asMuchAsIsTyped(text) {
  return IS_HUMAN ? text : text.split("\n").slice(0, 26).join("\n");
}

/** 600 words of prose with quotation marks, brackets and indentation: the licence's. */
export function prose() {
  const licence = readFileSync(new URL("../../../LICENSE", import.meta.url), "utf8");
  const words = licence.trim().match(/\S+\s*/g);
  return words.slice(0, 600).join("").trimEnd();
}

export const LATEX_PAGE = String.raw`\documentclass[11pt]{article}
\usepackage{amsmath}
\usepackage[utf8]{inputenc}
\title{How likely is a word?}
\author{A.~Student \and B.~Teacher}
\date{\today}

\begin{document}
\maketitle

\section{Introduction}
\label{sec:introduction}
A language model gives a probability to every token, $p(t \mid c)$, where
$c$ is the context. We write $H$ for the entropy of the whole distribution:
\begin{equation}
  H(c) = -\sum_{t \in V} p(t \mid c) \log_2 p(t \mid c).
  \label{eq:entropy}
\end{equation}
In \eqref{eq:entropy}, the sum runs over the vocabulary $V$; see also
Section~\ref{sec:results}. ${"``"}Surprisal'' is $-\log_2 p$, in bits.

\subsection{Why it matters}
\begin{itemize}
  \item It shows how sure a model is (or is not).
  \item It predicts reading times~\cite{hale2001, levy2008}.
  \item It is \emph{easy} to compute: 100\% of it is one soft-max.
\end{itemize}

\section{Results}
\label{sec:results}
% A comment, which nobody reads.
\begin{tabular}{l|r|r}
  token & $p$ & bits \\ \hline
  visit & 0.11 & 3.2 \\
  be & 0.05 & 4.3 \\
\end{tabular}

The table says that \texttt{visit} is likelier than \texttt{be}, by a
factor of two; ${"``"}the rest'' is spread over 49\,150 other tokens.
\end{document}`;

export const PROGRAM = `"""How likely is the next word?"""

import math
from collections import Counter, defaultdict
from pathlib import Path


class Bigrams:
    """Counts which word follows which."""

    def __init__(self, smoothing: float = 0.1) -> None:
        self.smoothing = smoothing
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.words: set[str] = set()

    def learn(self, text: str) -> None:
        words = text.lower().split()
        for first, second in zip(words, words[1:]):
            self.counts[first][second] += 1
        self.words.update(words)

    def probability(self, first: str, second: str) -> float:
        counts = self.counts[first]
        total = sum(counts.values())
        share = counts[second] + self.smoothing
        return share / (total + self.smoothing * len(self.words))

    def surprisal(self, text: str) -> float:
        words = text.lower().split()
        total = 0.0
        for first, second in zip(words, words[1:]):
            total -= math.log2(self.probability(first, second))
        return total

    def likeliest(self, word: str, k: int = 5) -> list[str]:
        ranked = sorted(
            self.words,
            key=lambda other: self.probability(word, other),
            reverse=True,
        )
        return ranked[:k]


def read(folder: Path) -> str:
    texts = []
    for path in sorted(folder.glob("*.txt")):
        texts.append(path.read_text(encoding="utf-8"))
    return "\\n".join(texts)


def main() -> None:
    model = Bigrams()
    model.learn(read(Path(".")))
    for word in ("the", "a", "to"):
        print(word, model.likeliest(word))
    print(model.surprisal("the end"))


if __name__ == "__main__":
    main()`;

export const CELL = `values = [3, 1, 2]
total = 0
for value in sorted(values):
    total += value
    print(f"{value}: {total}")
print("done", total / len(values))`;

const SIGNS = [..."\"'.,:()]}-"];
const MOVES = [
  "ArrowUp",
  "ArrowDown",
  "PageUp",
  "PageDown",
  "Home",
  "End",
  "ArrowLeft",
  "ArrowRight",
];

/** Opens with more lines than a page holds, for the keys that turn pages. */
const BEFORE = [{ text: `${"a line\n".repeat(3)}` }];

/**
 * Every key that may do something else while a list is open, pressed while one is.
 *
 * `opening` makes the list open: the last of its strokes is followed by a list.
 */
export function keysOverAList(opening) {
  const line = (...strokes) => [...opening, ...strokes, { key: "Control+End" }, { key: "Enter" }];
  return [
    ...BEFORE,
    ...line({ key: "Enter" }, { text: "x" }),
    ...MOVES.flatMap((key) => line({ key }, { text: "^" })),
    ...SIGNS.flatMap((sign) => line({ text: sign })),
    ...line({ key: "Escape" }, { text: "go on" }),
    ...line({ key: "Backspace" }, { text: "o" }),
    ...line({ key: "Enter" }, { key: "Enter" }, { text: "end" }),
  ];
}

/** Carries out strokes; with `lists` it asks for lists, and waits for them, where strokes say so. */
export async function perform(bench, strokes, lists) {
  for (const { text, key, ask, list, renews } of strokes) {
    const before = renews && lists ? JSON.stringify(await bench.candidates()) : undefined;
    if (text !== undefined) await bench.type(text, lists ? 15 : 0);
    if (key !== undefined) await bench.press(key);
    if (ask && lists) await bench.press("Alt+/");
    if (list !== undefined && lists) await bench.list(list);
    if (before !== undefined) await bench.list((now) => JSON.stringify(now) !== before);
  }
}

/** Numbers from 0 to 1, the same in every run. */
function* random(seed) {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    yield state / 0x80000000;
  }
}

/**
 * Types `text` with slips and their corrections, and with pauses in which lists open; before some
 * line ends it waits for a list, or where none opens by itself (`asking`), asks for one and types on.
 */
export async function typeLikeAPerson(bench, text, { asking = false, seed = 1 } = {}) {
  const numbers = random(seed);
  const chance = () => numbers.next().value;
  const seen = { lists: 0, ends: 0 };
  for (const [index, character] of [...text].entries()) {
    const next = text[index + 1];
    if (/[a-z]/.test(character) && chance() < 0.02) {
      await bench.press("x");
      await sleep(60);
      await bench.press("Backspace");
    }
    if (asking && next === "\n" && chance() < 0.4) {
      await bench.press("Alt+/");
      if (await opened(bench)) seen.lists++;
      await bench.type(character);
      await sleep(120);
    } else {
      await bench.type(character, 0);
    }
    if (next === "\n") {
      seen.ends++;
      if (!asking && chance() < 0.5 && (await opened(bench))) seen.lists++;
    }
    await sleep(chance() < 0.03 ? 200 : FASTEST + chance() * (SLOWEST - FASTEST));
  }
  return seen;
}

/** Waits a moment for a list; not every place has one. */
async function opened(bench) {
  for (let i = 0; i < 10; i++) {
    if ((await bench.candidates()).length > 0) return true;
    await sleep(50);
  }
  return false;
}
