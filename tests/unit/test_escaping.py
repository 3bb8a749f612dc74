"""Text from outside, as each kind of place shows it."""

from html import unescape

import pytest
from markdown_it import MarkdownIt

from likely.text import escaping

LINK = "[Fix it](command:workbench.action.terminal.new)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("there is no model x: choose another", "there is no model x: choose another"),
        ("two\n lines\tof it ", "two lines of it"),
        ("\x1b[31mred\x07", "⟨1B⟩[31mred⟨7⟩"),
        ("safe\u202egnp.exe", "safe⟨202E⟩gnp.exe"),
        ("\udcff", "⟨DCFF⟩"),
        ("é 漢字 👩\u200d💻", "é 漢字 👩\u200d💻"),
        ("", ""),
    ],
)
def test_a_line_has_no_controls(text: str, shown: str) -> None:
    assert escaping.line(text) == shown
    shown.encode()


def test_a_long_name_is_cut_and_what_to_do_is_still_read() -> None:
    name = "a" * 5000
    cut = escaping.line(f"there is no model {name}z: choose another")
    assert cut.startswith("there is no model aaa")
    assert cut.endswith("aaz: choose another")
    assert "…" in cut
    assert len(cut) < 200
    words = escaping.line("b " * 5000 + "and what to do")
    assert words.endswith("and what to do")
    assert len(words) <= 800


def test_a_message_holds_no_live_link_and_no_icon() -> None:
    assert "](" not in escaping.message(f"x is no model ({LINK})")
    assert "](" not in escaping.message("[a]\x00(command:b)")
    assert "$(" not in escaping.message("$(rocket) ready")
    assert escaping.message("x [1] (y) costs $5") == "x [1] (y) costs $5"


def test_code_is_a_span_whatever_it_holds() -> None:
    assert escaping.code("a") == "`a`"
    assert escaping.code("``") == "``` `` ```"
    assert escaping.code("a\n\nb") == "`a b`"


@pytest.mark.parametrize(
    "text",
    [
        "Likely: no model in /home/me/my_models/*.gguf <now> & then: `x` (or not)",
        LINK,
        "![x](https://example.org/x.png) <b>bold</b> &lt; ~~no~~ | a | b",
        "# heading",
        "- item",
        "+ item",
        "1. item",
        "--- x",
        "[x]: https://example.org",
        "\\[x](command:y)",
    ],
)
def test_markdown_shows_text_as_it_stands(text: str) -> None:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    assert unescape(reader.render(escaping.markdown(text))) == f"<p>{text}</p>\n"


@pytest.mark.parametrize("text", ["https://example.org", "WWW.example.org", "me@example.org"])
def test_no_address_becomes_a_link_by_itself(text: str) -> None:
    assert text not in escaping.markdown(text)
