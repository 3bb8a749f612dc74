"""Open documents and their snapshots."""

import pytest
from lsprotocol import types

from likely.lsp.documents import AFTER, Document, Documents
from likely.text.lines import PositionEncoding

URI = "file:///a.txt"


def partial(text: str, *place: int) -> types.TextDocumentContentChangePartial:
    start, end = types.Position(*place[:2]), types.Position(*place[2:])
    return types.TextDocumentContentChangePartial(types.Range(start, end), text)


def opened(text: str, uri: str = URI, encoding: PositionEncoding = "utf-16") -> Documents:
    documents = Documents(encoding)
    documents.put_text_document(types.TextDocumentItem(uri, "plaintext", 1, text))
    return documents


def text_of(documents: Documents, uri: str = URI) -> str:
    document = documents.find(uri)
    assert document
    return document.beginning(10_000).decode()


@pytest.mark.parametrize(
    ("text", "at", "before", "after", "offset"),
    [
        ("", (0, 0), "", "", 0),
        ("", (5, 5), "", "", 0),
        ("ab\ncd", (1, 1), "ab\nc", "d", 4),
        ("ab\r\ncd", (0, 99), "ab", "\r\ncd", 2),
        ("a😀b", (0, 2), "a", "😀b", 1),
        ("a\fb\u2028c", (0, 4), "a\fb\u2028", "c", 6),
        ("a\0b", (0, 2), "a\0", "b", 2),
        ("a\ud800b", (0, 2), "a\ufffd", "b", 4),
    ],
)
def test_a_snapshot_is_what_surrounds_a_position(
    text: str, at: tuple[int, int], before: str, after: str, offset: int
) -> None:
    found = Document(text, "utf-16").snapshot(types.Position(*at), 100)
    assert (found.before.decode(), found.after.decode(), found.offset) == (before, after, offset)


def test_a_snapshot_holds_no_more_than_is_needed() -> None:
    document = Document("x" * 10_000, "utf-16")
    found = document.snapshot(types.Position(0, 5_000), 100)
    assert len(found.before) == 100
    assert len(found.after) == AFTER
    assert found.offset == 5_000


def test_places_are_measured_from_where_somebody_types() -> None:
    document = Document("x" * 99 + "\n" + "y" * 400, "utf-16")
    assert document.distance(types.Position(0, 99)) == 99
    assert document.distance(types.Position(1, 399)) == 499
    document.place = document.snapshot(types.Position(1, 390), 10).offset
    assert document.distance(types.Position(1, 399)) == 9
    assert document.distance(types.Position(0, 0)) == 490


def test_changes_are_applied_in_order_and_counted() -> None:
    documents = opened("one\ntwo")
    identifier = types.VersionedTextDocumentIdentifier(uri=URI, version=2)
    for change in (partial("1", 0, 0, 0, 3), partial("!", 1, 3, 1, 3)):
        documents.update_text_document(identifier, change)
    assert text_of(documents) == "1\ntwo!"
    documents.update_text_document(identifier, types.TextDocumentContentChangeWholeDocument("new"))
    assert text_of(documents) == "new"
    document = documents.find(URI)
    assert document
    assert document.edits == 3


def test_an_unopened_document_is_nowhere_and_its_changes_change_nothing() -> None:
    documents = Documents("utf-16")
    identifier = types.VersionedTextDocumentIdentifier(uri=URI, version=2)
    documents.update_text_document(identifier, partial("x", 0, 0, 0, 0))
    documents.remove_text_document(URI)
    assert documents.find(URI) is None


def test_a_document_is_found_however_its_name_is_quoted() -> None:
    documents = opened("x", "file:///c%3A/a%20b.txt")
    assert documents.find("file:///c:/a b.txt") is not None
    documents.remove_text_document("file:///c:/a%20b.txt")
    assert documents.find("file:///c%3A/a%20b.txt") is None


@pytest.mark.parametrize(
    ("start", "end", "place"),
    [
        (0, 1, (0, 0, 0, 1)),
        (1, 5, (0, 1, 0, 3)),  # the emoji
        (1, 3, (0, 1, 0, 3)),  # half of it: the whole character is shown
        (3, 5, (0, 1, 0, 3)),
        (5, 6, (0, 3, 0, 4)),
        (6, 8, (0, 4, 1, 0)),  # the line's end
        (6, 7, (0, 4, 1, 0)),  # its \r
        (8, 9, (1, 0, 1, 1)),
        (9, 9, (1, 1, 1, 1)),
    ],
)
def test_a_range_of_bytes_becomes_whole_characters(
    start: int, end: int, place: tuple[int, int, int, int]
) -> None:
    found = Document("a😀b\r\nc", "utf-16").range(start, end)
    assert found == types.Range(types.Position(*place[:2]), types.Position(*place[2:]))


def test_notebook_cells_are_documents() -> None:
    documents = Documents("utf-16")
    cells = ["cell:1", "cell:2"]
    documents.put_notebook_document(
        types.DidOpenNotebookDocumentParams(
            types.NotebookDocument(
                "nb:1",
                "jupyter-notebook",
                1,
                [types.NotebookCell(types.NotebookCellKind.Code, uri) for uri in cells],
            ),
            [types.TextDocumentItem(uri, "python", 1, f"text of {uri}") for uri in cells],
        )
    )
    assert text_of(documents, "cell:2") == "text of cell:2"
    documents.update_notebook_document(
        types.DidChangeNotebookDocumentParams(
            types.VersionedNotebookDocumentIdentifier(2, "nb:1"),
            types.NotebookDocumentChangeEvent(
                cells=types.NotebookDocumentCellChanges(
                    text_content=[
                        types.NotebookDocumentCellContentChanges(
                            types.VersionedTextDocumentIdentifier(2, "cell:2"),
                            [partial("the ", 0, 0, 0, 0)],
                        )
                    ]
                )
            ),
        )
    )
    assert text_of(documents, "cell:2") == "the text of cell:2"
    documents.remove_notebook_document(
        types.DidCloseNotebookDocumentParams(
            types.NotebookDocumentIdentifier("nb:1"),
            [types.TextDocumentIdentifier(uri) for uri in cells],
        )
    )
    assert documents.find("cell:1") is None
