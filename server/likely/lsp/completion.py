"""`textDocument/completion` and `completionItem/resolve`."""

from lsprotocol import types

from likely.lsp import asking, render
from likely.lsp.idle import look_ahead_of
from likely.lsp.session import Session


async def complete(session: Session, params: types.CompletionParams) -> types.CompletionList:
    """Propose the likeliest continuations at the cursor."""
    settings = session.settings
    document = session.documents.find(params.text_document.uri)
    if not settings.completion.enabled or document is None or _unwanted(session, params.context):
        return types.CompletionList(is_incomplete=False, items=[])
    predictor = session.predictor
    if predictor is None:
        return types.CompletionList(is_incomplete=True, items=[])
    model = predictor.model

    snapshot = document.snapshot(params.position, asking.bytes_needed(settings, model))
    text, options = asking.text_before(snapshot), asking.options(settings)

    uri = params.text_document.uri
    prediction = await session.ask(
        "completion",
        uri,
        model,
        lambda: predictor.predict(text, options),
    )
    if prediction is None:
        return types.CompletionList(is_incomplete=True, items=[])

    look_ahead_of(session, predictor, uri, text, options)
    answer = render.Answer(prediction, options.unit, model.name, model.vocabulary)
    session.last_answer = answer
    command = session.suggest_command if settings.completion.continue_after_accept else None
    return render.completion_list(answer, snapshot, session.client, command)


def resolve(session: Session, item: types.CompletionItem) -> types.CompletionItem:
    """Add the details to an item, from what is at hand."""
    answer, ids = session.last_answer, _ids_of(item)
    if answer is None or ids is None:
        return item
    sort_text = item.sort_text or ""
    rank = int(sort_text) if sort_text.isdecimal() else 0
    candidates = answer.prediction.candidates
    # The tokens identify a candidate of the list; a client may have rounded the figures.
    if 1 <= rank <= len(candidates) and candidates[rank - 1].ids == ids:
        item.documentation = render.documentation(answer, rank, session.client.item_markup)
    return item


def _ids_of(item: types.CompletionItem) -> tuple[int, ...] | None:
    """The token ids of an item of ours."""
    data = item.data
    ids = data.get("ids") if isinstance(data, dict) else getattr(data, "ids", None)
    return tuple(int(i) for i in ids) if isinstance(ids, list | tuple) else None


def _unwanted(session: Session, context: types.CompletionContext | None) -> bool:
    """Whether a character asked that should not: not every client can be told anew which do."""
    if context is None or context.trigger_kind != types.CompletionTriggerKind.TriggerCharacter:
        return False
    return context.trigger_character not in session.settings.completion.trigger_characters
