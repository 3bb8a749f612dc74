"""What the connected client can show and do."""

from dataclasses import dataclass

from lsprotocol import types


@dataclass(frozen=True, slots=True)
class Client:
    """The capabilities that matter here, each with what the protocol says of its absence."""

    label_details: bool = False
    item_markdown: bool = False
    resolves_documentation: bool = True
    keeps_indentation: bool = False
    preselects: bool = False
    commits: bool = False
    registers_completion: bool = False
    hover_markdown: bool = False
    progress: bool = False
    configuration: bool = False
    registers_configuration: bool = False


def client_of(capabilities: types.ClientCapabilities) -> Client:
    """Read what a client declared in `initialize`."""
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
        resolves_documentation=resolves,
        keeps_indentation=modes is not None and types.InsertTextMode.AsIs in modes.value_set,
        preselects=bool(item.preselect_support),
        commits=bool(item.commit_characters_support),
        registers_completion=bool(completion.dynamic_registration),
        hover_markdown=types.MarkupKind.Markdown in (hover.content_format or ()),
        progress=bool(window.work_done_progress),
        configuration=bool(workspace.configuration),
        registers_configuration=changes is not None and bool(changes.dynamic_registration),
    )
