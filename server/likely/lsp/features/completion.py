"""`textDocument/completion`: the likeliest continuations at the cursor."""

from lsprotocol import types

from likely.lsp.client import Client
from likely.lsp.session import Session
from likely.settings import Settings

METHODS = (types.TEXT_DOCUMENT_COMPLETION,)


def options(client: Client, settings: Settings) -> types.CompletionOptions:
    """Which characters ask for a list, and whether there is anything to resolve."""
    # Without that it must not be offered: Neovim 0.11 cannot send back an item whose data holds
    # fractions.
    return types.CompletionOptions(
        trigger_characters=list(settings.completion.trigger_characters),
        resolve_provider=client.resolves_documentation,
    )


async def handle(session: Session, params: types.CompletionParams) -> types.CompletionList:
    """Propose continuations, and prepare for what is typed next."""
    from likely.lsp import asking, render
    from likely.lsp.idle import look_ahead

    settings = session.settings
    uri = params.text_document.uri
    document = session.documents.find(uri)
    if not settings.completion.enabled or document is None or _unwanted(session, params.context):
        return types.CompletionList(is_incomplete=False, items=[])
    running = session.running
    if running is None:
        return types.CompletionList(is_incomplete=True, items=[])

    snapshot = document.snapshot(params.position, asking.bytes_needed(settings, running.model))
    document.place = snapshot.offset
    text, options = asking.text_before(snapshot), asking.options(settings)

    prediction = await session.ask("completion", uri, running.answers.predict(text, options))
    if prediction is None:
        return types.CompletionList(is_incomplete=True, items=[])

    look_ahead(session, uri, text, options)
    answer = render.Answer(prediction, options.unit, running.model.name, running.model.vocabulary)
    session.lists.append(answer)
    command = session.suggest_command if settings.completion.continue_after_accept else None
    return render.completion_list(answer, snapshot, session.client, command)


def _unwanted(session: Session, context: types.CompletionContext | None) -> bool:
    """Whether a character asked that should not: not every client can be told anew which do."""
    if context is None or context.trigger_kind != types.CompletionTriggerKind.TriggerCharacter:
        return False
    return context.trigger_character not in session.settings.completion.trigger_characters
