"""Lines that mix digits, white space and line ends, where tokenizers differ most."""

import random

_PIECES = (
    *"0123456789",
    *("12", "2024", "1,000", "3.14", "0x1F", "½", "²", "٣", "100000"),
    *(" ", "  ", "   ", "    ", "\t", "\t\t", "\u00a0"),
    *("\n", "\n\n", "\n\n\n", "\r\n", "\r", " \n", "\n    ", "\n\t", "\r\n  "),
    *(" - ", "* ", "1. ", "| ", " | ", ": ", "...", "--", "!", "(", "$5", "x = "),
    *("The", " the", "plan", "return", "def f(x):", "they're", "IT'LL", "'s", "HTML5", "a_b"),
    *("é", "漢字", "，", "。", "😀", "ß", "Ⅷ", "Ünder"),
)


def lines(count: int, seed: int = 1) -> list[str]:
    """`count` of them, the same every time."""
    chosen = random.Random(seed)
    return ["".join(chosen.choices(_PIECES, k=chosen.randint(1, 14))) for _ in range(count)]
