"""`textDocument/hover`: the token at a position; past the text, what may come next."""

from dataclasses import replace

from lsprotocol import types

from likely.lsp.client import Client
from likely.lsp.session import Session
from likely.settings import Settings

METHODS = (types.TEXT_DOCUMENT_HOVER,)


def options(_client: Client, _settings: Settings) -> types.HoverOptions:
    """It takes none."""
    return types.HoverOptions()


async def handle(session: Session, params: types.HoverParams) -> types.Hover | None:
    """Show what the model thought of what stands there."""
    from likely.lsp import asking, render
    from likely.prediction.scoring import read_token
    from likely.prediction.window import reading_reach

    settings, markup = session.settings, session.client.hover_markup
    uri = params.text_document.uri
    document = session.documents.find(uri)
    if not settings.hover.enabled or document is None:
        return None
    running = session.running
    if running is None:
        return types.Hover(render.notice(session.notice(), markup))
    model = running.model

    needed = max(asking.bytes_needed(settings, model), reading_reach(model))
    snapshot = document.snapshot(params.position, needed)
    text, edits = asking.text_before(snapshot), document.edits

    if not snapshot.after:
        options = replace(asking.options(settings), k=settings.hover.k, unit="token")
        prediction = await session.ask("hover", uri, running.answers.predict(text, options))
        if prediction is None:
            return None
        answer = render.Answer(prediction, "token", model.name, model.vocabulary)
        return types.Hover(render.next_tokens(answer, markup))

    question = read_token(
        model, text, snapshot.after, settings.hover.k, settings.cursor.document_start
    )
    reading = await session.ask("hover", uri, question)
    # The offsets belong to the text as it was.
    if reading is None or document.edits != edits:
        return None
    place = document.range(reading.start, reading.end)
    return render.hover(reading, model.name, model.vocabulary, place, markup)
