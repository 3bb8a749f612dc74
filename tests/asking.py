"""What tests and measurements ask of a model, one prefix at a time."""

import numpy as np
from numpy.typing import NDArray

from likely.engines.engine import Driver
from likely.prediction.question import distribution_after
from likely.text.vocabulary import TokenIds


def logs_after(driver: Driver, prefix: TokenIds) -> NDArray[np.float32]:
    """The natural-log probabilities of all tokens after a prefix; shape (vocabulary size,)."""
    return driver.answer(distribution_after(prefix)).log_probabilities()


def log_probability(driver: Driver, before: TokenIds, tokens: TokenIds) -> float:
    """log P(tokens | before), natural."""
    total = 0.0
    for place, token in enumerate(tokens):
        total += float(logs_after(driver, before + tokens[:place])[token])
    return total
