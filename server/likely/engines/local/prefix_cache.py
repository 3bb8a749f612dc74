"""Reuse of keys, values and hidden states across edits.

Every token that the model has seen is a node of a tree: a child of the token before it. Its
keys and values lie in a slab, its final hidden state beside them. A sequence that was seen
before, in whole or in part, costs nothing for that part, whatever the path of edits.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likely.engines.local.decoders import Decoder, Slab
from likely.text.vocabulary import TokenIds

CHUNK = 64
"""Tokens per pass while catching up; work that has become stale is dropped between layers."""

_SPARE_SLOTS = 256
"""Slots beside the sequence in hand: attention looks at all of them, so they are few."""

_MAX_BYTES = 384 * 2**20
_MAX_TREES = 6


@dataclass(slots=True)
class _Node:
    slot: int
    children: dict[int, "_Node"] = field(default_factory=dict)


class _Tree:
    """One slab and the tokens in it; a parent's slot is always below its children's."""

    def __init__(self, decoder: Decoder, capacity: int, like: Tensor, owner: Hashable) -> None:
        shape = (decoder.layers, decoder.key_value_heads, capacity, decoder.head_size)
        self.slab = Slab(like.new_empty(shape), like.new_empty(shape))
        self.hidden = like.new_empty((capacity, decoder.width))
        self.capacity = capacity
        self.root = _Node(-1)
        self.used = 0
        self.last_use = np.zeros(capacity, dtype=np.int64)
        self.clock = 0
        self.owner = owner

    def walk(self, sequences: Sequence[TokenIds]) -> list[tuple[_Node, list[int]]]:
        """The deepest node along each sequence, and the slots of the path to it."""
        shared = _shared(sequences)
        node, slots = _descend(self.root, [], sequences[0][:shared])
        if len(slots) < shared:
            return [(node, slots)] * len(sequences)
        return [_descend(node, slots, sequence[shared:]) for sequence in sequences]

    def touch(self, slots: list[int]) -> None:
        """Mark a path as used now."""
        self.clock += 1
        self.last_use[slots] = self.clock

    def compact(self, keep: int) -> None:
        """Keep the `keep` most recently used tokens; older ones are forgotten.

        A parent was used whenever its child was and has a lower slot, so what is kept is a
        tree again.
        """
        slots = np.arange(self.used)
        recent = np.lexsort((slots, -self.last_use[: self.used]))[:keep]
        kept = np.sort(recent)
        index = torch.from_numpy(kept).to(self.hidden.device)
        count = len(kept)
        self.slab.keys[:, :, :count] = self.slab.keys[:, :, index]
        self.slab.values[:, :, :count] = self.slab.values[:, :, index]
        self.hidden[:count] = self.hidden[index]
        self.last_use[:count] = self.last_use[kept]
        self.used = count
        new_slot = {int(old): new for new, old in enumerate(kept)}
        pending = [self.root]
        while pending:
            node = pending.pop()
            node.children = {
                token: child for token, child in node.children.items() if child.slot in new_slot
            }
            for child in node.children.values():
                child.slot = new_slot[child.slot]
                pending.append(child)


def _descend(node: _Node, slots: list[int], tokens: TokenIds) -> tuple[_Node, list[int]]:
    """The deepest node below `node` along `tokens`, and the slots of the path to it."""
    path = slots.copy()
    for token in tokens:
        child = node.children.get(token)
        if child is None:
            break
        node = child
        path.append(node.slot)
    return node, path


def _shared(sequences: Sequence[TokenIds]) -> int:
    """How many tokens all sequences begin with."""
    first, last = min(sequences), max(sequences)
    for place, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return place
    return len(first)


class PrefixCache:
    """Hidden states after token sequences, each computed once; one thread at a time."""

    def __init__(self, decoder: Decoder, like: Tensor, max_tokens: int) -> None:
        """Serve sequences of at most `max_tokens`; tensors are made like `like`."""
        self._decoder = decoder
        self._like = like
        self._capacity = max_tokens + _SPARE_SLOTS
        per_slot = 2 * decoder.layers * decoder.key_value_heads * decoder.head_size
        tree_bytes = (per_slot + decoder.width) * like.element_size() * self._capacity
        self._max_trees = max(2, min(_MAX_TREES, _MAX_BYTES // tree_bytes))
        self._trees: list[_Tree] = []
        self.rows_computed = 0

    def hidden(
        self, sequences: Sequence[TokenIds], poll: Callable[[], None], owner: Hashable
    ) -> Tensor:
        """Final hidden states after each sequence; shape (len(sequences), width)."""
        if not self._holds(sequences):
            half = len(sequences) // 2
            parts = (sequences[:half], sequences[half:])
            return torch.cat([self.hidden(part, poll, owner) for part in parts])
        tree = self._choose(max(sequences, key=len), owner)
        self._extend(tree, sequences, poll)
        slots = []
        for _, path in tree.walk(sequences):
            tree.touch(path)
            slots.append(path[-1])
        return tree.hidden[torch.tensor(slots, device=tree.hidden.device)]

    def along(
        self, sequence: TokenIds, first: int, poll: Callable[[], None], owner: Hashable
    ) -> Tensor:
        """Final hidden states after the first `first`, first + 1, ... tokens of a sequence.

        Shape (len(sequence) - first + 1, width).
        """
        tree = self._choose(sequence, owner)
        self._extend(tree, [sequence], poll)
        ((_, path),) = tree.walk([sequence])
        tree.touch(path)
        return tree.hidden[torch.tensor(path[first - 1 :], device=tree.hidden.device)]

    def _holds(self, sequences: Sequence[TokenIds]) -> bool:
        """Whether one slab has room for all of them, what they share counted once."""
        shared = _shared(sequences)
        count = shared + sum(len(sequence) - shared for sequence in sequences)
        return count <= self._capacity or len(sequences) == 1

    def release(self, owner: Hashable) -> None:
        """Forget what was computed on behalf of `owner`."""
        self._trees = [tree for tree in self._trees if tree.owner != owner]

    def clear(self) -> None:
        """Forget everything."""
        self._trees.clear()

    def _choose(self, sequence: TokenIds, owner: Hashable) -> _Tree:
        """The tree that knows most of `sequence`, or a new one; most recently used last."""
        best, known = None, 0
        for tree in self._trees:
            ((_, path),) = tree.walk([sequence])
            depth = len(path)
            if depth > known:
                best, known = tree, depth
        # A branch that shares little is better off in a slab of its own: attention looks
        # at every slot of a slab.
        if best is None or (known < len(sequence) // 2 and len(sequence) > CHUNK // 2):
            best = _Tree(self._decoder, self._capacity, self._like, owner)
            if len(self._trees) >= self._max_trees:
                self._trees.pop(0)
        else:
            self._trees.remove(best)
        self._trees.append(best)
        return best

    def _extend(self, tree: _Tree, sequences: Sequence[TokenIds], poll: Callable[[], None]) -> None:
        """Compute the tokens that the tree lacks, in chunks, parents first."""
        walked = tree.walk(sequences)
        missing = self._count_missing(sequences, walked)
        if not missing:
            return
        for _, path in walked:
            tree.touch(path)
        longest = max(len(sequence) for sequence in sequences)
        if tree.used + missing > min(tree.capacity, longest + _SPARE_SLOTS):
            tree.compact(max(0, longest + _SPARE_SLOTS // 2 - missing))
        pending: list[tuple[_Node, int, _Node, list[int]]] = []
        planned: dict[int, dict[int, tuple[_Node, list[int]]]] = {}
        used = tree.used
        for sequence, (node, path) in zip(sequences, tree.walk(sequences), strict=True):
            for token in sequence[len(path) :]:
                children = planned.setdefault(id(node), {})
                if token not in children:
                    child = _Node(used + len(pending))
                    children[token] = (child, [*path, child.slot])
                    pending.append((node, token, child, children[token][1]))
                node, path = children[token]
        for begin in range(0, len(pending), CHUNK):
            self._run(tree, pending[begin : begin + CHUNK], poll)

    @staticmethod
    def _count_missing(
        sequences: Sequence[TokenIds], walked: Sequence[tuple[_Node, list[int]]]
    ) -> int:
        return len(
            {
                sequence[: depth + 1]
                for sequence, (_, path) in zip(sequences, walked, strict=True)
                for depth in range(len(path), len(sequence))
            }
        )

    def _run(
        self,
        tree: _Tree,
        batch: list[tuple[_Node, int, _Node, list[int]]],
        poll: Callable[[], None],
    ) -> None:
        """One pass over new tokens; they join the tree only when it is done."""
        used, n = tree.used, len(batch)
        visible: NDArray[np.float32] = np.full((n, used + n), -np.inf, dtype=np.float32)
        for row, (_, _, _, path) in enumerate(batch):
            visible[row, path] = 0.0
        device = tree.hidden.device
        hidden = self._decoder.forward(
            torch.tensor([token for _, token, _, _ in batch], device=device),
            torch.tensor([len(path) - 1 for *_, path in batch], device=device),
            tree.slab,
            used,
            torch.from_numpy(visible).to(device=device, dtype=tree.hidden.dtype),
            poll,
        )
        tree.hidden[used : used + n] = hidden
        tree.clock += 1
        tree.last_use[used : used + n] = tree.clock
        tree.used += n
        self.rows_computed += n
        for parent, token, child, path in batch:
            parent.children[token] = child
            tree.last_use[path] = tree.clock
