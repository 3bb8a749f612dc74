"""What the connected client can show and do."""

from dataclasses import dataclass
from enum import Enum

from lsprotocol import types

# Editors that are known to lay out the tables of Markdown; others show their source.
_LAY_OUT_TABLES = ("Visual Studio Code", "VSCodium", "code-server", "Code - OSS")


class Markup(Enum):
    """How text is written for a client."""

    PLAIN = "plain"
    MARKDOWN = "markdown"
    """Tables as aligned text in a code fence."""
    TABLES = "tables"
    """Markdown with its tables."""


@dataclass(frozen=True, slots=True)
class Client:
    """The capabilities that matter here, each with what the protocol says of its absence.

    `registers`: the methods that the server may register later.
    """

    label_details: bool = False
    item_markdown: bool = False
    item_plain: bool = False
    resolves_documentation: bool = True
    keeps_indentation: bool = False
    preselects: bool = False
    commits: bool = False
    hover_markdown: bool = False
    progress: bool = False
    configuration: bool = False
    registers: frozenset[str] = frozenset()
    lays_out_tables: bool = False

    @property
    def markup(self) -> Markup:
        """What is sent where the client asked for Markdown."""
        return Markup.TABLES if self.lays_out_tables else Markup.MARKDOWN

    @property
    def item_markup(self) -> Markup:
        """How the documentation of an item is written.

        A client without tables may show the source of a fence as well: Neovim does beside a list.
        """
        plain = self.item_plain and not self.lays_out_tables
        return self.markup if self.item_markdown and not plain else Markup.PLAIN

    @property
    def hover_markup(self) -> Markup:
        """How a hover is written."""
        return self.markup if self.hover_markdown else Markup.PLAIN


def client_of(
    capabilities: types.ClientCapabilities, name: str = "", lays_out_tables: object = None
) -> Client:
    """Read what a client declared in `initialize`.

    `lays_out_tables`: its initialization option `markdownTables`; where that is no boolean its
    name decides, since capabilities tell only of Markdown as a whole.
    """
    if not isinstance(lays_out_tables, bool):
        lays_out_tables = name.startswith(_LAY_OUT_TABLES)
    document = capabilities.text_document or types.TextDocumentClientCapabilities()
    completion = document.completion or types.CompletionClientCapabilities()
    item = completion.completion_item or types.ClientCompletionItemOptions()
    hover = document.hover or types.HoverClientCapabilities()
    window = capabilities.window or types.WindowClientCapabilities()
    workspace = capabilities.workspace or types.WorkspaceClientCapabilities()
    changes = workspace.did_change_configuration
    # Before 3.16 clients could not say what they resolve; documentation was always allowed.
    resolves = item.resolve_support is None or "documentation" in item.resolve_support.properties
    modes = item.insert_text_mode_support
    return Client(
        label_details=bool(item.label_details_support),
        item_markdown=types.MarkupKind.Markdown in (item.documentation_format or ()),
        item_plain=types.MarkupKind.PlainText in (item.documentation_format or ()),
        resolves_documentation=resolves,
        keeps_indentation=modes is not None and types.InsertTextMode.AsIs in modes.value_set,
        preselects=bool(item.preselect_support),
        commits=bool(item.commit_characters_support),
        hover_markdown=types.MarkupKind.Markdown in (hover.content_format or ()),
        progress=bool(window.work_done_progress),
        configuration=bool(workspace.configuration),
        registers=frozenset(
            method
            for method, capability in (
                (types.TEXT_DOCUMENT_COMPLETION, completion),
                (types.TEXT_DOCUMENT_HOVER, hover),
                (types.WORKSPACE_DID_CHANGE_CONFIGURATION, changes),
            )
            if capability is not None and capability.dynamic_registration
        ),
        lays_out_tables=lays_out_tables,
    )
