r"""The pre-tokenizers whose boundaries are known, one class each.

Before merging, a byte-level tokenizer cuts text into pre-tokens. `fragments.py` reasons about
tokens that are still being typed, so it has to know which pre-tokens further typing can change,
and how. Adding a family is adding a class here, with its property tests.
"""

import unicodedata
from typing import Any

from tokenizers import pre_tokenizers

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"


def word_pattern(digits: str, *, marks: bool = False) -> str:
    """The pattern of Llama 3 and Qwen, which differ in how `digits` group.

    `marks`: combining marks belong to the words they stand in, as in Qwen 3.5.
    """
    letters, also = (r"[\p{L}\p{M}]", r"\p{M}") if marks else (r"\p{L}", "")
    return (
        rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?{letters}+|{digits}"
        rf"| ?[^\s\p{{L}}{also}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


class Gpt2:
    r"""GPT-2's pattern, alone or behind a split at single digits (SmolLM2, StarCoder).

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

    White space before something else gives its last character to the next word, except where
    digits are split off first. Source: Radford et al. 2019, `encoder.py` of the GPT-2 release.
    """

    pattern: str | None = None
    """None for the one that is built into the library's ByteLevel."""

    contraction_letters = "strevmld"

    def __init__(self, cut: pre_tokenizers.PreTokenizer) -> None:
        """Take the library's pre-tokenizer, which cuts text and maps its bytes to letters."""
        self._cut = cut

    def ends(self, text: str) -> list[int]:
        """The character offsets at which the pre-tokens of `text` end."""
        # A character of several bytes may yield several pieces with one offset.
        return list(dict.fromkeys(end for _, (_, end) in self._cut.pre_tokenize_str(text)))

    def first_unstable(self, pieces: list[str]) -> int:
        """The index of the first pre-token that typing on could change.

        The last one can grow. A trailing run of white space gives its last character to the next
        word, or joins with the next line end, so it goes back whole. Contractions ('ll) are
        decided two letters after the apostrophe.
        """
        last = len(pieces) - 1
        while last > 0 and pieces[last].isspace() and pieces[last - 1].isspace():
            last -= 1
        if last > 0 and pieces[last - 1] == "'" and len(pieces[last]) == 1:
            last -= 1
        return max(last, 0)

    def futures(self, text: str) -> tuple[str, ...]:
        """Continuations of `text`, one for each way in which they can change its last pre-tokens.

        White space is one with the line end that follows, or gives up its last character.
        Contractions end with a letter.
        """
        if text[-1:].isspace():
            return ("", "a", "\n")
        if text[-2:-1] == "'" and text[-1] in "rvl":
            return ("", "e", "l")
        return ("",)

    def kinds(self, text: str) -> tuple[str, ...]:
        """What the pattern can tell about each character: texts of the same kinds are cut alike."""
        return tuple(
            self._kind(character, contracts="'" in text[max(0, place - 2) : place])
            for place, character in enumerate(text)
        )

    def shape(self, token: str) -> tuple[str, ...]:
        """What the pattern can tell about a token, whatever stands before it; long runs capped.

        Digits group by at most three, so runs of four say all that there is to say.
        """
        shape: list[str] = []
        for place, character in enumerate(token):
            kind = self._kind(character, contracts=place < 3)
            if len(shape) < 4 or any(earlier != kind for earlier in shape[-4:]):
                shape.append(kind)
        return tuple(shape)

    def _kind(self, character: str, *, contracts: bool) -> str:
        """The character itself where the pattern may name it, else its general category.

        `contracts`: it may be a letter of a contraction.
        """
        literal = ord(character) < 0x80 and not character.isalnum()
        contraction = contracts and character in self.contraction_letters
        if literal or contraction or character.isspace():
            return character
        return unicodedata.category(character)


class Llama3(Gpt2):
    """Llama 3's pattern: up to three digits together, line ends with the punctuation before them.

    Contractions in capitals count; U+017F is an s to a pattern that ignores case.
    """

    pattern = word_pattern(r"\p{N}{1,3}")
    contraction_letters = "sStTrReEvVmMlLdD\u017f"


class Qwen2(Llama3):
    """Qwen 2's pattern: every digit by itself."""

    pattern = word_pattern(r"\p{N}")


class Qwen35(Llama3):
    """Qwen 3.5's pattern: combining marks belong to the words they stand in."""

    pattern = word_pattern(r"\p{N}", marks=True)


_FAMILIES: tuple[type[Gpt2], ...] = (Gpt2, Llama3, Qwen2, Qwen35)


def recognized(description: dict[str, Any] | None, cut: pre_tokenizers.PreTokenizer) -> Gpt2 | None:
    """The class of a `tokenizer.json`'s pre-tokenizer, None where its boundaries are not known."""
    *before, last = members(description)
    patterns: list[str | None] = []
    for member in before:
        if member["type"] == "Digits":
            continue
        if member["type"] != "Split" or member.get("invert") or member["behavior"] != "Isolated":
            return None
        if "Regex" not in member["pattern"]:
            return None
        patterns.append(member["pattern"]["Regex"])
    if last["use_regex"]:
        patterns.append(None)
    if len(patterns) != 1:
        return None
    (pattern,) = patterns
    family = next((family for family in _FAMILIES if family.pattern == pattern), None)
    return None if family is None else family(cut)


def members(description: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The pre-tokenizers that a `tokenizer.json` applies one after another."""
    if description is None:
        return []
    if description["type"] == "Sequence":
        return list(description["pretokenizers"])
    return [description]
