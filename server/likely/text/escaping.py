"""Text that is not ours, made harmless: one function for each kind of place that shows it.

Names and paths, what a model's files say, and documents reach people through editors, notebooks
and terminals, which give some characters a meaning: links that run commands, HTML, escape
sequences. Whatever is put into a message from outside goes through here.
"""

import re
import unicodedata

_LONGEST_WORD = 120
_LONGEST_LINE = 800
_UNSEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"))
_JOINER = "\u200d"
"""What makes one emoji of several."""
# What CommonMark 0.31 and GitHub's extension of it give a meaning: emphasis, code, links, HTML,
# entities, tables; headings, lists and rules where a line begins; addresses that stand alone.
_MARKS = re.compile(r"[\\`*_\[\]<>&|~@]|^[-+=#]|(?<=^\d)[.)]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# What VS Code makes links of in messages, and icons in its status bar.
_LIVE = re.compile(r"\](?=\()|\$(?=\()")


def visible(character: str) -> str:
    """A character, or its code point in brackets where it would not be seen as what it is."""
    if character != _JOINER and unicodedata.category(character) in _UNSEEN:
        return f"⟨{ord(character):X}⟩"
    return character


def line(text: str) -> str:
    """One line of plain text: for terminals and logs."""
    words = [_cut("".join(map(visible, word)), _LONGEST_WORD) for word in text.split()]
    return _cut(" ".join(words), _LONGEST_LINE)


def message(text: str) -> str:
    """One line for an editor's messages, progress and status, where no link or icon is live."""
    return _LIVE.sub(r"\g<0> ", line(text))


def markdown(text: str) -> str:
    """One line that Markdown shows as it stands."""
    return _MARKS.sub(r"\\\g<0>", line(text))


def code(text: str) -> str:
    """One line as a code span of Markdown, whatever marks it holds."""
    text = line(text) if text.strip() else "".join(map(visible, text))
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _cut(text: str, longest: int) -> str:
    """A long text without its middle: a name is known by its beginning, a path by its end."""
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
