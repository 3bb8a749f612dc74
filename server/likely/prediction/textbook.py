"""The next-token distribution after tokenizer(text): the textbook way."""

from itertools import islice

from likely.prediction.candidates import Candidate, Prediction, make_candidate, rest_of
from likely.prediction.characters import until_whole, with_whole_characters
from likely.prediction.covering import any_neighbour
from likely.prediction.distribution import ranked
from likely.prediction.options import CursorOptions
from likely.prediction.question import Distribution, LanguageModel, Question, distribution_after
from likely.prediction.window import Context, before_text, stand_in
from likely.prediction.words import in_units, tokens_wanted
from likely.text.vocabulary import Vocabulary


def textbook(
    model: LanguageModel, context: Context, options: CursorOptions
) -> Question[Prediction]:
    """The likeliest next tokens, or words, after the tokens of the context's text."""
    vocabulary = model.vocabulary
    tokens = vocabulary.encode(context.data)
    if not tokens:
        context = stand_in(model, context)
    sequence = context.head + tokens
    if not sequence:
        return Prediction((), 1.0, "raw", 0)
    row = yield from distribution_after(sequence)
    k = tokens_wanted(options)
    if options.whole_characters:
        listed = until_whole(vocabulary, row, k, lambda ids: any_neighbour((), b"", ids))
        candidates = yield from with_whole_characters(
            vocabulary,
            sequence,
            [_token_candidate(vocabulary, row, token) for token in listed],
            k,
            any_neighbour,
        )
    else:
        candidates = token_candidates(vocabulary, row, k)
    candidates, residual = yield from in_units(vocabulary, sequence, candidates, options)
    return Prediction(
        candidates=candidates,
        rest=rest_of(candidates),
        method="raw",
        context_tokens=len(sequence),
        residual=residual,
        entropy=row.entropy,
        before_text=before_text(vocabulary, context),
        unknown_mass=row.unknown_mass,
    )


def token_candidates(vocabulary: Vocabulary, row: Distribution, k: int) -> tuple[Candidate, ...]:
    """The `k` likeliest tokens that are text, likeliest first, ties by id."""
    tokens = islice((token for token in ranked(row) if vocabulary.is_text[token]), k)
    return tuple([_token_candidate(vocabulary, row, token) for token in tokens])


def _token_candidate(vocabulary: Vocabulary, row: Distribution, token: int) -> Candidate:
    return make_candidate(vocabulary.token_bytes(token), (token,), row.log_probability(token))
