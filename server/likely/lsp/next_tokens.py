"""`likely/nextTokens`: the next-token table at a cursor."""

from lsprotocol import types

from likely.lsp import asking, render
from likely.lsp.session import Session


async def next_tokens(session: Session, params: types.TextDocumentPositionParams) -> dict[str, str]:
    """Make the table, under the settings of the completion list.

    `markdown`: the table, or what there is to say in its place; `model`: whose table it is, empty
    where it is none; `typed`: the part of a word before the cursor that its rows go on from.
    """
    settings, predictor, markup = session.settings, session.predictor, session.client.markup
    document = session.documents.find(params.text_document.uri)
    if document is None:
        return _message("Likely: this document is not open in the language server.")
    if predictor is None:
        return _message(render.notice(session.notice(), markup).value)
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
        return _message("")

    answer = render.Answer(prediction, options.unit, model.name, model.vocabulary)
    return {
        "markdown": render.next_tokens(answer, markup).value,
        "model": model.name,
        "typed": render.word_before(prediction.fragment),
    }


def _message(text: str) -> dict[str, str]:
    return {"markdown": text, "model": "", "typed": ""}
