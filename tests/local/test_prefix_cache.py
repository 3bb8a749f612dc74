"""Reuse of keys, values and hidden states, against a full recomputation."""

import random
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from likely.engines.engine import NOBODY, Work
from likely.engines.loading import load
from likely.engines.local import prefix_cache
from likely.engines.local.decoders import Gpt2Decoder, LlamaDecoder
from likely.engines.local.prefix_cache import PrefixCache
from likely.engines.local.tree_engine import TreeEngine
from likely.text.vocabulary import TokenIds
from tiny_models import save_model

POSITIONS = 160
CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
    ),
    "gpt2": GPT2Config(n_layer=2, n_head=2, n_embd=16, n_positions=POSITIONS),
}


class StaleError(Exception):
    pass


class Subject:
    """A tiny model with our cache, and plain transformers beside it."""

    def __init__(self, folder: Path) -> None:
        engine = load(folder, name="tiny", device="cpu")
        assert isinstance(engine, TreeEngine)
        self.engine = engine
        self.cache: PrefixCache = engine._cache
        plain: Any = AutoModelForCausalLM
        self._plain = plain.from_pretrained(folder, dtype=torch.float32).eval()
        self.recompute = cache(self._recompute)

    def ask(
        self,
        sequences: list[TokenIds],
        owner: Hashable = None,
        poll: Callable[[], None] = NOBODY.poll,
    ) -> None:
        """Ask for rows, and hold each against a full recomputation."""
        found = self.engine.distributions(sequences, Work(owner, poll))
        for sequence, distribution in zip(sequences, found, strict=True):
            row = distribution.log_probabilities()
            expected = self.recompute(sequence)
            assert np.abs(np.exp(row) - np.exp(expected)).max() < 1e-5
            assert np.abs(row - expected).max() < 1e-4

    def _recompute(self, sequence: TokenIds) -> np.ndarray[Any, Any]:
        with torch.inference_mode():
            logits = self._plain(input_ids=torch.tensor([sequence]), use_cache=False).logits
            row: np.ndarray[Any, Any] = torch.log_softmax(logits[0, -1], dim=-1).numpy()
            return row


@pytest.fixture(params=CONFIGS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    return Subject(save_model(tmp_path, CONFIGS[request.param]))


@pytest.fixture
def llama(tmp_path: Path) -> Subject:
    return Subject(save_model(tmp_path, CONFIGS["llama"]))


def edits(pick: random.Random, count: int) -> Iterator[tuple[Hashable, list[TokenIds]]]:
    """Typing, deleting, jumping, branching and switching between documents."""
    documents = {
        name: [pick.randrange(400) for _ in range(pick.randrange(1, POSITIONS))]
        for name in ("a", "b", "c")
    }
    for _ in range(count):
        name = pick.choice(list(documents))
        document = documents[name]
        match pick.randrange(8):
            case 0 if len(document) > 1:
                del document[pick.randrange(1, len(document)) :]
            case 1:
                document[pick.randrange(len(document))] = pick.randrange(400)
            case 2:
                document[:] = [*pick.choice(list(documents.values()))]
            case 3:
                del document[: pick.randrange(len(document))]
            case _:
                document += [pick.randrange(400) for _ in range(pick.randrange(1, 4))]
        del document[POSITIONS - 4 :]
        sequence = tuple(document)
        branches = [
            (*sequence[: pick.randrange(1, len(sequence) + 1)], pick.randrange(400))
            for _ in range(pick.choice([0, 0, 1, 3]))
        ]
        yield name, [sequence, *branches]


def memory(tree_cache: PrefixCache) -> tuple[int, int]:
    return len(tree_cache._trees), sum(tree.slab.keys.numel() for tree in tree_cache._trees)


def assert_sound(tree_cache: PrefixCache) -> None:
    """Every slot belongs to one token, below its parent's, and no slab is overfull."""
    for tree in tree_cache._trees:
        assert tree.used <= tree.capacity
        slots = []
        pending = [tree.root]
        while pending:
            node = pending.pop()
            for child in node.children.values():
                assert child.slot > node.slot
                slots.append(child.slot)
                pending.append(child)
        assert len(slots) == len(set(slots))
        assert all(0 <= slot < tree.used for slot in slots)


def test_thousands_of_edits_leave_every_row_right(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Little room, so that slabs are compacted and dropped all the time.
    monkeypatch.setattr(prefix_cache, "_SPARE_SLOTS", 24)
    monkeypatch.setattr(prefix_cache, "CHUNK", 16)
    subject.cache._capacity = POSITIONS + 24
    largest = 0
    for owner, sequences in edits(random.Random(3), 2000):
        subject.ask(sequences, owner)
        trees, size = memory(subject.cache)
        largest = max(largest, size)
        assert trees <= subject.cache._max_trees
    assert_sound(subject.cache)
    one_slab = 2 * 2 * (POSITIONS + 24) * 8
    assert largest <= subject.cache._max_trees * one_slab


def test_thousands_of_edits_with_the_room_that_there_is(subject: Subject) -> None:
    for owner, sequences in edits(random.Random(4), 1000):
        subject.ask(sequences, owner)
    assert_sound(subject.cache)


def test_what_was_seen_is_not_computed_again(llama: Subject) -> None:
    sequence = tuple(range(100))
    before = llama.engine.rows_computed
    llama.ask([sequence])
    assert llama.engine.rows_computed - before == 100
    llama.ask([sequence[:60], sequence])
    assert llama.engine.rows_computed - before == 100
    llama.ask([(*sequence, 5), (*sequence, 6, 7), (*sequence[:70], 8)])
    assert llama.engine.rows_computed - before == 104
    llama.ask([(*sequence, 5, 9)])
    assert llama.engine.rows_computed - before == 105


def test_typing_in_one_document_forgets_nothing_of_another(llama: Subject) -> None:
    one, other = tuple(range(100)), tuple(range(200, 300))
    llama.ask([one], "one")
    llama.ask([other], "other")
    before = llama.engine.rows_computed
    for length in range(1, 40):
        llama.ask([(*one, *range(300, 300 + length))], "one")
    assert llama.engine.rows_computed - before == 39
    llama.ask([(*other, 7)], "other")
    assert llama.engine.rows_computed - before == 40


def test_branches_are_forgotten_before_what_they_branch_from(llama: Subject) -> None:
    base = tuple(range(100))
    before = llama.engine.rows_computed
    for i in range(600):
        llama.engine.distributions([(*base, i % 400, i // 400)], NOBODY)
    (tree,) = llama.cache._trees
    assert tree.used <= 102 + prefix_cache._SPARE_SLOTS
    assert llama.engine.rows_computed - before <= 100 + 2 * 600


def test_the_least_recently_used_document_is_forgotten_first(llama: Subject) -> None:
    llama.cache._max_trees = 2
    documents = [tuple(range(start, start + 50)) for start in (0, 100, 200)]
    for document in documents:
        llama.ask([document])
    before = llama.engine.rows_computed
    llama.ask([documents[2]])
    llama.ask([documents[1]])
    assert llama.engine.rows_computed == before
    llama.ask([documents[0]])
    assert llama.engine.rows_computed - before == 50


def test_a_closed_document_is_forgotten(llama: Subject) -> None:
    one, other = tuple(range(100)), tuple(range(200, 300))
    llama.ask([one], "one")
    llama.ask([other], "other")
    llama.engine.release("one")
    assert memory(llama.cache)[0] == 1
    before = llama.engine.rows_computed
    llama.ask([other], "other")
    assert llama.engine.rows_computed == before
    llama.ask([one], "one")
    assert llama.engine.rows_computed - before == 100
    llama.engine.release("nobody")
    assert memory(llama.cache)[0] == 2
    llama.engine.clear()
    assert memory(llama.cache)[0] == 0


def failing_at(count: int) -> Callable[[], None]:
    """A poll that gives up the `count`-th time it is asked."""
    left = count

    def poll() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise StaleError

    return poll


def test_work_may_be_abandoned_at_any_moment(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix_cache, "_SPARE_SLOTS", 24)
    monkeypatch.setattr(prefix_cache, "CHUNK", 16)
    subject.cache._capacity = POSITIONS + 24
    pick = random.Random(6)
    abandoned = 0
    for owner, sequences in edits(pick, 400):
        try:
            subject.ask(sequences, owner, failing_at(pick.randrange(1, 8)))
        except StaleError:
            abandoned += 1
        assert_sound(subject.cache)
        if pick.random() < 0.5:
            subject.ask(sequences, owner)
    assert abandoned > 50


def test_what_was_done_before_work_is_abandoned_is_kept(llama: Subject) -> None:
    sequence = tuple(i % 400 for i in range(150))
    before = llama.engine.rows_computed
    # Two layers for each of two chunks, then the third chunk's first.
    with pytest.raises(StaleError):
        llama.ask([sequence], poll=failing_at(5))
    assert llama.engine.rows_computed - before == 2 * prefix_cache.CHUNK
    llama.ask([sequence])
    assert llama.engine.rows_computed - before == 150


def test_many_unrelated_sequences_may_be_asked_at_once(subject: Subject) -> None:
    pick = random.Random(7)
    sequences = [
        tuple(pick.randrange(400) for _ in range(POSITIONS - pick.randrange(9))) for _ in range(9)
    ]
    subject.ask(sequences)
    assert_sound(subject.cache)
    subject.ask(sequences[:2])


def test_a_sequence_may_be_as_long_as_the_model_allows(subject: Subject) -> None:
    longest = tuple(i % 400 for i in range(POSITIONS))
    subject.ask([longest, longest[:-1], (*longest[:-1], 7)])


def test_memory_is_bounded_for_large_models() -> None:
    class Large:
        layers, key_value_heads, head_size, width = 30, 3, 64, 576

    decoder: Any = Large()
    tree_cache = PrefixCache(decoder, torch.empty(0), 2048)
    per_tree = (2 * 30 * 3 * 64 + 576) * 4 * (2048 + prefix_cache._SPARE_SLOTS)
    assert tree_cache._max_trees * per_tree <= prefix_cache._MAX_BYTES
    assert tree_cache._max_trees >= 2


def test_the_decoders_are_ours(subject: Subject) -> None:
    assert isinstance(subject.engine._decoder, LlamaDecoder | Gpt2Decoder)
