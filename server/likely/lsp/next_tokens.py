"""`likely/nextTokens`: the next-token table at a cursor."""

from lsprotocol import types

from likely.lsp import asking, render
from likely.lsp.session import Session, owned
from likely.prediction.cursor import predict_at_cursor


async def next_tokens(session: Session, params: types.TextDocumentPositionParams) -> str:
    """Make the table (Markdown), under the settings of the completion list."""
    settings, model = session.settings, session.model
    document = session.documents.find(params.text_document.uri)
    if document is None:
        return "Likely: this document is not open in the language server."
    if model is None:
        return session.notice()

    snapshot = document.snapshot(params.position, asking.bytes_needed(settings, model))
    text, options = asking.text_before(snapshot), asking.options(settings, model)

    uri = params.text_document.uri
    prediction = await session.ask(
        "nextTokens",
        uri,
        lambda: owned(model, uri, lambda: predict_at_cursor(model, text, options)),
    )
    if prediction is None:
        return ""

    answer = render.Answer(prediction, options.unit, model.name, model.vocabulary)
    return render.next_tokens(answer, markdown=True)
