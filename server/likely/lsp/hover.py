"""`textDocument/hover`."""

from dataclasses import replace

from lsprotocol import types

from likely.lsp import asking, render
from likely.lsp.session import Session
from likely.prediction.scoring import read_token
from likely.prediction.window import reading_reach


async def hover(session: Session, params: types.HoverParams) -> types.Hover | None:
    """Show the probability of the token at a position; past the text, what may come next."""
    settings, markup = session.settings, session.client.hover_markup
    document = session.documents.find(params.text_document.uri)
    if not settings.hover.enabled or document is None:
        return None
    predictor = session.predictor
    if predictor is None:
        return types.Hover(render.notice(session.notice(), markup))
    model = predictor.model

    needed = max(asking.bytes_needed(settings, model), reading_reach(model))
    snapshot = document.snapshot(params.position, needed)
    text = asking.text_before(snapshot)
    uri, edits = params.text_document.uri, document.edits

    if not snapshot.after:
        options = replace(asking.options(settings), k=settings.hover.k, unit="token")
        prediction = await session.ask(
            "hover",
            uri,
            model,
            lambda: predictor.predict(text, options),
        )
        if prediction is None:
            return None
        answer = render.Answer(prediction, "token", model.name, model.vocabulary)
        return types.Hover(render.next_tokens(answer, markup))

    reading = await session.ask(
        "hover",
        uri,
        model,
        lambda: read_token(model, text, snapshot.after, settings.hover.k, settings.document_start),
    )
    # The offsets belong to the text as it was.
    if reading is None or document.edits != edits:
        return None
    place = document.range(reading.start, reading.end)
    return render.hover(reading, model.name, model.vocabulary, place, markup)
