"""Snapshots of open documents."""

from dataclasses import dataclass
from urllib.parse import unquote

from lsprotocol import types
from pygls.workspace import Workspace

from likely.text.lines import Lines, Position, PositionEncoding

AFTER = 512
"""How many bytes after a position are looked at: the longest token has 128."""

_LONGEST_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The surroundings of a position, as the inference thread needs them.

    `position` exists in the document (the request's may not); `offset` is its byte offset;
    `before` ends there and `after` begins there, both cut between characters.
    """

    position: Position
    offset: int
    before: bytes
    after: bytes
    encoding: PositionEncoding


class Document:
    """An open document.

    `edits` counts its changes; `place` is the byte offset where
    somebody types, as far as is known.
    """

    def __init__(self, text: str, encoding: PositionEncoding) -> None:
        self._lines = Lines(text, encoding)
        self._encoding: PositionEncoding = encoding
        self.edits = 0
        self.place = 0

    def apply(self, change: types.TextDocumentContentChangeEvent) -> None:
        """Apply one change, of a range or of the whole text."""
        self.edits += 1
        if isinstance(change, types.TextDocumentContentChangePartial):
            start, end = change.range.start, change.range.end
            self._lines.replace(
                Position(start.line, start.character),
                Position(end.line, end.character),
                change.text,
            )
        else:
            self._lines = Lines(change.text, self._encoding)

    def snapshot(self, at: types.Position, reach: int) -> Snapshot:
        """What surrounds a position: at least `reach` bytes before it, where there are so many."""
        position = self._lines.clamp(Position(at.line, at.character))
        return Snapshot(
            position=position,
            offset=self._lines.offset(position),
            before=self._lines.before(position, reach),
            after=self._lines.after(position, AFTER),
            encoding=self._encoding,
        )

    def distance(self, at: types.Position) -> int:
        """How many bytes a position is away from where somebody types."""
        return abs(self._lines.offset(Position(at.line, at.character)) - self.place)

    def beginning(self, size: int) -> bytes:
        """The first bytes of the document: all, or at least `size`."""
        return self._lines.after(Position(0, 0), size)

    def range(self, start: int, end: int) -> types.Range:
        """The smallest range of whole characters that holds the bytes from `start` to `end`."""
        last = self._lines.position(end)
        cut = end
        while self._lines.offset(last) < cut and end < cut + _LONGEST_CHARACTER:
            end += 1
            last = self._lines.position(end)
        return types.Range(
            start=types.Position(*self._lines.position(start)), end=types.Position(*last)
        )


class Documents(Workspace):
    """The documents that a client has open, notebook cells included.

    Takes the place of the library's own mirror, whose line rules break on form feed and U+2028
    and whose edits cost what the document holds.
    """

    def __init__(self, encoding: PositionEncoding) -> None:
        super().__init__(None, types.TextDocumentSyncKind.Incremental, None, encoding)
        self._encoding: PositionEncoding = encoding
        self._open: dict[str, Document] = {}

    def find(self, uri: str) -> Document | None:
        """The open document of this name, None where there is none."""
        return self._open.get(unquote(uri))

    def put_text_document(
        self, text_document: types.TextDocumentItem, notebook_uri: str | None = None
    ) -> None:
        """Open a document or a notebook cell."""
        uri = unquote(text_document.uri)
        self._open[uri] = Document(text_document.text, self._encoding)
        if notebook_uri:
            self._cell_in_notebook[uri] = unquote(notebook_uri)

    def update_text_document(
        self,
        text_doc: types.VersionedTextDocumentIdentifier,
        change: types.TextDocumentContentChangeEvent,
    ) -> None:
        """Change a document; one that was never opened is left alone."""
        document = self.find(text_doc.uri)
        if document is not None:
            document.apply(change)

    def remove_text_document(self, doc_uri: str) -> None:
        """Close a document or a notebook cell."""
        self._open.pop(unquote(doc_uri), None)
        self._cell_in_notebook.pop(unquote(doc_uri), None)
