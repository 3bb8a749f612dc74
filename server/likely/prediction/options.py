"""What to propose at a cursor."""

from dataclasses import dataclass
from typing import Literal

from likely.prediction.window import DocumentStart

Mode = Literal["raw", "exact"]
Unit = Literal["token", "word"]


@dataclass(frozen=True, slots=True)
class CursorOptions:
    """What to propose at a cursor.

    `context_tokens`: how many tokens the model sees, None for all it can take; where `steady`,
    what it sees at least, since windows that stay put while one types vary in length.
    `top_p` and `min_probability` cut the list, not the numbers. `whole_characters`: a raw
    token that ends inside a character is completed, or left to the rest, instead of listed as
    it is; exact candidates always are.
    """

    k: int = 10
    mode: Mode = "raw"
    unit: Unit = "token"
    top_p: float = 1.0
    min_probability: float = 0.0
    context_tokens: int | None = None
    steady: bool = False
    document_start: DocumentStart = "none"
    whole_characters: bool = True
