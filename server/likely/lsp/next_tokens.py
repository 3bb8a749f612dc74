"""`likely/nextTokens`: the next-token table at a cursor."""

from lsprotocol import types

from likely.lsp import asking, render
from likely.lsp.session import Session


async def next_tokens(session: Session, params: types.TextDocumentPositionParams) -> str:
    """Make the table (Markdown), under the settings of the completion list."""
    settings, predictor, markup = session.settings, session.predictor, session.client.markup
    document = session.documents.find(params.text_document.uri)
    if document is None:
        return "Likely: this document is not open in the language server."
    if predictor is None:
        return render.notice(session.notice(), markup).value
    model = predictor.model

    snapshot = document.snapshot(params.position, asking.bytes_needed(settings, model))
    text, options = asking.text_before(snapshot), asking.options(settings)

    uri = params.text_document.uri
    prediction = await session.ask(
        "nextTokens",
        uri,
        model,
        lambda: predictor.predict(text, options),
    )
    if prediction is None:
        return ""

    answer = render.Answer(prediction, options.unit, model.name, model.vocabulary)
    return render.next_tokens(answer, markup).value
