"""The engine of the architectures that are worked out here: one pass over a tree of tokens."""

from collections.abc import Hashable, Sequence

import torch

from likely.engines.engine import Work
from likely.engines.local.decoders import Decoder
from likely.engines.local.prefix_cache import PrefixCache
from likely.engines.softmax import (
    ROWS_TOGETHER,
    Scorer,
    next_token_distributions,
    use_threads,
)
from likely.prediction.question import Distribution, LanguageModel, Passage, Scores
from likely.text.vocabulary import TokenIds


class TreeEngine:
    """Passes of one decoder; what it has seen of a sequence costs nothing again."""

    def __init__(
        self,
        model: LanguageModel,
        decoder: Decoder,
        cache: PrefixCache,
        *,
        description: str,
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.description = description
        self._decoder = decoder
        self._cache = cache
        self._threads = threads

    @property
    def rows_computed(self) -> int:
        """See `Engine`."""
        return self._cache.rows_computed

    def distributions(self, prefixes: Sequence[TokenIds], work: Work) -> list[Distribution]:
        """See `Engine`."""
        use_threads(self._threads)
        with torch.inference_mode():
            hidden = self._cache.hidden(prefixes, work.poll, work.owner)
            # The hidden states are kept, so that this is no loss; the head takes as long as layers.
            work.poll()
            return next_token_distributions(self._decoder.logits(hidden))

    def scores(self, passage: Passage, work: Work) -> Scores:
        """See `Engine`."""
        use_threads(self._threads)
        scorer = Scorer(passage)
        with torch.inference_mode():
            hidden = self._cache.along(passage.tokens, passage.start, work.poll, work.owner)
            for rows in torch.split(hidden, ROWS_TOGETHER):
                work.poll()
                scorer.add(self._decoder.logits(rows))
        return scorer.scores()

    def release(self, owner: Hashable) -> None:
        """See `Engine`."""
        self._cache.release(owner)

    def clear(self) -> None:
        """See `Engine`."""
        self._cache.clear()
