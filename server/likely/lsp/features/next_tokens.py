"""`likely/nextTokens`: the next-token table at a cursor."""

from lsprotocol import types

from likely.lsp.client import Client
from likely.lsp.protocol import NEXT_TOKENS
from likely.lsp.session import Session
from likely.settings import Settings

METHODS = (NEXT_TOKENS,)


def options(_client: Client, _settings: Settings) -> None:
    """Not a request of the protocol: clients know of it or do without."""


async def handle(session: Session, params: types.TextDocumentPositionParams) -> dict[str, str]:
    """Make the table, under the settings of the completion list.

    `markdown`: the table, or what there is to say in its place; `model`: whose table it is, empty
    where it is none; `typed`: the part of a word before the cursor that its rows go on from.
    """
    from likely.lsp import asking, render

    settings, markup = session.settings, session.client.markup
    uri = params.text_document.uri
    document = session.documents.find(uri)
    if document is None:
        return _message("Likely: this document is not open in the language server.")
    running = session.running
    if running is None:
        return _message(render.notice(session.notice(), markup).value)

    snapshot = document.snapshot(params.position, asking.bytes_needed(settings, running.model))
    text, options = asking.text_before(snapshot), asking.options(settings)

    prediction = await session.ask("nextTokens", uri, running.answers.predict(text, options))
    if prediction is None:
        return _message("")

    answer = render.Answer(prediction, options.unit, running.model.name, running.model.vocabulary)
    return {
        "markdown": render.next_tokens(answer, markup).value,
        "model": running.model.name,
        "typed": render.word_before(prediction.fragment),
    }


def _message(text: str) -> dict[str, str]:
    return {"markdown": text, "model": "", "typed": ""}
