"""What is proposed at a cursor, and what stands before a document."""

from dataclasses import dataclass
from typing import Literal, get_args

from likely.declaration import setting

DocumentStart = Literal["auto", "none", "bos", "space"]
Mode = Literal["exact", "raw"]
Unit = Literal["token", "word"]


@dataclass(frozen=True, slots=True)
class CursorOptions:
    """What to propose at a cursor. The defaults are the textbook's, where an editor's differ.

    `context_tokens`: how many tokens the model sees, None for all it can take; where `steady`,
    what it sees at least, since windows that stay put while one types vary in length.
    `top_p` and `min_probability` cut the list, not the numbers. `whole_characters`: a raw
    token that ends inside a character is completed, or left to the rest, instead of listed as
    it is; exact candidates always are.
    """

    k: int = setting("k", 10, "How many candidates a list shows.", minimum=1, maximum=100)
    context_tokens: int | None = setting(
        "contextTokens",
        512,
        "How many tokens before the cursor the model sees while you type, at least: up to half as "
        "many again, and at most what it was made for.",
        minimum=16,
        maximum=1_000_000,
        otherwise=None,
    )
    document_start: DocumentStart = setting(
        "documentStart",
        "auto",
        "What stands before the first token of a document: nothing (`none`), the separator that"
        " the model was trained with (`bos`), a space (`space`), or what suits the model (`auto`).",
        choices=get_args(DocumentStart),
        otherwise="none",
    )
    mode: Mode = setting(
        "completion.mode",
        "exact",
        "`exact`: conditioned on the characters typed, right in the middle of a word; `raw`: the"
        " textbook distribution after the tokenized text.",
        choices=get_args(Mode),
        otherwise="raw",
    )
    unit: Unit = setting(
        "completion.unit",
        "token",
        "What a candidate is: one `token`, or a whole `word` (its probability is a lower bound).",
        choices=get_args(Unit),
    )
    min_probability: float = setting(
        "completion.minProbability",
        0.0,
        "Hide candidates less likely than this (0 to 1); the shown figures stay as they are.",
        minimum=0.0,
        maximum=1.0,
    )
    top_p: float = setting(
        "completion.topP",
        1.0,
        "Show only the likeliest candidates that together reach this probability (0 to 1); the"
        " shown figures stay as they are.",
        minimum=0.0,
        maximum=1.0,
    )
    steady: bool = False
    whole_characters: bool = True
