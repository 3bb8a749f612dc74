"""Our forward passes, and those left to transformers, against plain transformers."""

import json
import math
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import (
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    OPTConfig,
    Qwen2Config,
)

from likely.engines.engine import NOBODY, Driver, Engine, Work
from likely.engines.interruption import Interrupted
from likely.engines.loading import load
from likely.engines.local.tree_engine import TreeEngine
from likely.engines.local.weights import Weights
from likely.engines.softmax import ROWS_TOGETHER
from likely.engines.transformers import TransformersEngine
from likely.models.reporting import ModelError
from likely.prediction.question import Passage, Scores, distributions_after
from likely.text.vocabulary import TokenIds
from oracle import score_row_by_row
from tiny_models import change_config, recompute, save_model

Make = Callable[[Path], Path]

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
GROUPED: dict[str, Any] = {**SMALL, "num_key_value_heads": 2}
GPT2: dict[str, Any] = {"n_layer": 2, "n_head": 4, "n_embd": 32}


def saved(config: Any, **how: Any) -> Make:
    return lambda folder: save_model(folder, config, **how)


def old_rope(folder: Path) -> Path:
    """As files were written before transformers 5: the base beside the other entries."""
    save_model(folder, LlamaConfig(**GROUPED, rope_parameters={"rope_theta": 700.0}))
    return change_config(folder, rope_parameters=None, rope_theta=700.0)


def without_prefix(folder: Path) -> Path:
    """As the first GPT-2 files were written."""
    save_model(folder, GPT2Config(**GPT2))
    path = folder / "model.safetensors"
    tensors = load_file(path)
    assert all(name.startswith("transformer.") for name in tensors)
    save_file(
        {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()},
        path,
        metadata={"format": "pt"},
    )
    return folder


def scaled_rope() -> LlamaConfig:
    return LlamaConfig(
        **GROUPED,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    )


OURS: dict[str, Make] = {
    "llama": saved(LlamaConfig(**SMALL)),
    "llama with grouped queries": saved(LlamaConfig(**GROUPED)),
    "llama with tied embeddings": saved(LlamaConfig(**GROUPED, tie_word_embeddings=True)),
    "llama with biases": saved(LlamaConfig(**GROUPED, attention_bias=True)),
    "llama with wide heads": saved(LlamaConfig(**GROUPED, head_dim=16)),
    "llama with another base of its rotations": saved(
        LlamaConfig(**GROUPED, rope_parameters={"rope_type": "default", "rope_theta": 50.0})
    ),
    "llama of old": old_rope,
    "llama in several files": saved(LlamaConfig(**GROUPED), max_shard_size="20KB"),
    "llama stored in bfloat16": saved(LlamaConfig(**GROUPED), dtype=torch.bfloat16),
    "llama stored in float16": saved(LlamaConfig(**GROUPED), dtype=torch.float16),
    "mistral": saved(MistralConfig(**GROUPED, sliding_window=None)),
    "qwen2": saved(Qwen2Config(**GROUPED)),
    "qwen2 with tied embeddings": saved(Qwen2Config(**GROUPED, tie_word_embeddings=True)),
    "gpt2": saved(GPT2Config(**GPT2)),
    "gpt2 with few positions": saved(GPT2Config(**GPT2, n_positions=64)),
    "gpt2 with a head of its own": saved(GPT2Config(**GPT2, tie_word_embeddings=False)),
    "gpt2 stored in bfloat16": saved(GPT2Config(**GPT2), dtype=torch.bfloat16),
    "gpt2 without prefix": without_prefix,
}
THEIRS: dict[str, Make] = {
    "llama with scaled rotations": saved(scaled_rope()),
    "llama with another activation": saved(LlamaConfig(**GROUPED, hidden_act="relu")),
    "mistral with a sliding window": saved(MistralConfig(**GROUPED, sliding_window=8)),
    "gpt2 with another activation": saved(GPT2Config(**GPT2, activation_function="relu")),
    "gpt2 scaled by layer": saved(GPT2Config(**GPT2, scale_attn_by_inverse_layer_idx=True)),
    "gpt-neox": saved(GPTNeoXConfig(**SMALL)),
    "opt": saved(
        OPTConfig(
            hidden_size=32,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            word_embed_proj_dim=32,
        )
    ),
    "bloom": saved(BloomConfig(hidden_size=32, n_layer=2, n_head=4)),
    "gemma2": saved(Gemma2Config(**GROUPED, head_dim=8, sliding_window=8)),
    "mamba": saved(MambaConfig(hidden_size=32, state_size=4, num_hidden_layers=2)),
}


def sequences() -> list[TokenIds]:
    """Sequences that begin alike, end differently, come again and get shorter."""
    pick = random.Random(5)
    base = tuple(pick.randrange(400) for _ in range(30))
    found = [base[:1], base, (*base, 7), (*base, 8, 9), base[:12], (*base[:12], 3), base[:2]]
    return [*found, (5, *base), base, (*base[:20], 11, 12)]


def rows_of(
    engine: Engine, prefixes: list[TokenIds], work: Work = NOBODY
) -> list[NDArray[np.float32]]:
    return [row.log_probabilities() for row in engine.distributions(prefixes, work)]


def assert_agrees(engine: Engine, folder: Path) -> None:
    asked = sequences()
    expected = recompute(folder, asked)
    found = [rows_of(engine, [sequence])[0] for sequence in asked]
    engine.clear()
    found_together = rows_of(engine, asked)
    for rows in (found, found_together):
        for row, truth in zip(rows, expected, strict=True):
            assert row.dtype == np.float32
            assert np.abs(np.exp(row) - np.exp(truth)).max() < 1e-5
            assert np.abs(row - truth).max() < 1e-4


@pytest.mark.parametrize("kind", OURS)
def test_our_passes_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    folder = OURS[kind](tmp_path)
    engine = load(folder, name="tiny", device="cpu")
    assert isinstance(engine, TreeEngine)
    assert_agrees(engine, folder)


@pytest.mark.parametrize("kind", THEIRS)
def test_other_architectures_are_left_to_transformers(kind: str, tmp_path: Path) -> None:
    folder = THEIRS[kind](tmp_path)
    engine = load(folder, name="tiny", device="cpu")
    assert isinstance(engine, TransformersEngine)
    assert_agrees(engine, folder)


def test_transformers_computes_only_what_is_new(tmp_path: Path) -> None:
    engine = load(THEIRS["gpt-neox"](tmp_path), name="tiny", device="cpu")
    sequence = tuple(range(1, 31))
    before = engine.rows_computed
    rows_of(engine, [sequence])
    assert engine.rows_computed - before == 30
    rows_of(engine, [(*sequence, 4)])
    rows_of(engine, [(*sequence[:20], 5)])
    assert engine.rows_computed - before == 32


def test_poll_is_asked_before_each_layer_and_may_end_the_work(tmp_path: Path) -> None:
    folder = OURS["llama"](tmp_path)
    engine = load(folder, name="tiny", device="cpu")

    class StaleError(Exception):
        pass

    def stale() -> None:
        raise StaleError

    with pytest.raises(StaleError):
        rows_of(engine, [(1, 2, 3)], Work("a", stale))
    assert_agrees(engine, folder)


# Rows.


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return OURS["llama with grouped queries"](tmp_path_factory.mktemp("tiny"))


def test_rows_come_in_the_order_asked_and_are_distributions(tiny: Path) -> None:
    engine = load(tiny, name="tiny", device="cpu")
    once = rows_of(engine, [(1,), (2, 3), (1,), (4,)])
    again = rows_of(engine, [(4,), (1,), (2, 3)])
    assert [row.tobytes() for row in again] == [once[i].tobytes() for i in (3, 0, 1)]
    for row in once:
        assert row.shape == (len(engine.model.vocabulary),)
        assert not row.flags.writeable
        assert math.fsum(np.exp(row.astype(np.float64))) == pytest.approx(1, abs=1e-6)


def test_a_row_is_computed_once_and_known_from_then_on(tiny: Path) -> None:
    engine = load(tiny, name="tiny", device="cpu")
    driver = Driver(engine)
    assert driver.at_hand((1, 2)) is None
    driver.answer(distributions_after([(1, 2)]))
    before = engine.rows_computed
    assert driver.at_hand((1, 2)) is not None
    assert driver.at_hand((1,)) is None
    driver.answer(distributions_after([(1, 2), (1,)]))
    assert engine.rows_computed == before
    driver.release(None)
    assert driver.at_hand((1, 2)) is None
    driver.answer(distributions_after([(1, 2)]))
    assert engine.rows_computed == before + 2


def test_rows_are_forgotten_before_they_fill_the_memory(tiny: Path) -> None:
    driver = Driver(load(tiny, name="tiny", device="cpu"), kept_bytes=40 * 4 * 477)
    asked = [(i, j) for i in range(10) for j in range(10)]
    rows = driver.answer(distributions_after(asked))
    assert len(rows) == 100
    known = [sequence for sequence in asked if driver.at_hand(sequence)]
    assert known == asked[-40:]


def test_the_separator_is_what_stood_between_documents(tiny: Path, tmp_path: Path) -> None:
    engine = load(tiny, name="tiny", device="cpu")
    model = engine.model
    assert model.separator == model.vocabulary.id_of("<|endoftext|>")
    assert model.name == "tiny"
    assert engine.description == "tiny · cpu · float32"
    assert model.max_tokens == 128


@pytest.mark.parametrize(
    ("config", "separator"),
    [
        ({"bos_token_id": 3, "eos_token_id": 4}, 3),
        ({"bos_token_id": None, "eos_token_id": [5, 6]}, 5),
        ({"bos_token_id": 100_000, "eos_token_id": 4}, 4),
        ({"bos_token_id": None, "eos_token_id": None}, None),
    ],
)
def test_without_an_end_of_text_the_configuration_names_the_separator(
    config: dict[str, Any], separator: int | None, tmp_path: Path
) -> None:
    save_model(tmp_path, LlamaConfig(**GROUPED))
    change_config(tmp_path, bos_token_id=None, eos_token_id=None)
    change_config(tmp_path, **config)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace("<|endoftext|>", "<sep>"))
    assert load(tmp_path, name="tiny", device="cpu").model.separator == separator


# Scores.

SCORED = [
    *("llama with grouped queries", "gpt2", "gpt-neox", "llama with scaled rotations"),
    *("bloom", "mamba"),
]
LONG = tuple(random.Random(7).randrange(400) for _ in range(125))
CASES = {
    "from the second token on": (LONG[:40], 1),
    "the end alone": (LONG[:40], 39),
    "nothing but what comes next": (LONG[:40], 40),
    "longer than a chunk": (LONG, 1),
    "in the middle of a chunk": (LONG, 30),
    "as much as a chunk": (LONG[: ROWS_TOGETHER + 4], 5),
    "one more than a chunk": (LONG[: ROWS_TOGETHER + 5], 5),
}


def passage(engine: Engine, tokens: TokenIds, start: int, top: int = 5) -> Passage:
    sets = np.zeros((3, len(engine.model.vocabulary)), np.float32)
    sets[0] = 1
    sets[1, ::3] = 1
    return Passage(tokens, start, top, sets)


def assert_scored(found: Scores, expected: Scores) -> None:
    assert np.abs(found.logprobs - expected.logprobs).max(initial=0) < 1e-4
    assert np.abs(found.entropies - expected.entropies).max(initial=0) < 1e-3
    assert np.abs(found.top_logprobs - expected.top_logprobs).max(initial=0) < 1e-4
    assert np.abs(found.set_probabilities - expected.set_probabilities).max() < 1e-5
    assert np.array_equal(found.ranks, expected.ranks)
    assert np.array_equal(found.top_ids, expected.top_ids)
    assert not found.unknown_mass.any()
    for name in Scores.__slots__:
        one, other = getattr(found, name), getattr(expected, name)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


@pytest.fixture(scope="module", params=SCORED)
def scored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Engine, Path]:
    folder = (OURS | THEIRS)[request.param](tmp_path_factory.mktemp("scored"))
    return load(folder, name="tiny", device="cpu"), folder


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_rows_computed_one_by_one(
    case: str, scored: tuple[Engine, Path]
) -> None:
    engine, folder = scored
    tokens, start = CASES[case]
    asked = passage(engine, tokens, start)
    prefixes = [tokens[:end] for end in range(start, len(tokens) + 1)]
    rows = dict(zip(prefixes, recompute(folder, prefixes), strict=True))
    engine.clear()
    for _ in range(2):
        # At first nothing is known of the passage, then all that could be kept of it.
        found = engine.scores(asked, NOBODY)
        assert_scored(found, score_row_by_row(asked, rows.__getitem__))


@pytest.mark.parametrize("top", [0, 1, 477, 10_000])
def test_as_many_of_the_likeliest_as_are_wanted(top: int, scored: tuple[Engine, Path]) -> None:
    engine, _ = scored
    asked = passage(engine, LONG[:8], 5, top)
    rows = {prefix: rows_of(engine, [prefix])[0] for prefix in (LONG[:n] for n in range(5, 9))}
    found = engine.scores(asked, NOBODY)
    assert found.top_ids.shape == (3, min(top, 477))
    assert_scored(found, score_row_by_row(asked, rows.__getitem__))


def test_scoring_may_be_interrupted_at_any_moment(scored: tuple[Engine, Path]) -> None:
    engine, _ = scored
    asked = passage(engine, LONG, 30)
    engine.clear()
    expected = engine.scores(asked, NOBODY)
    engine.clear()
    interruptions = 0
    polls = 0

    def poll() -> None:
        nonlocal interruptions, polls
        polls += 1
        # Each attempt gets a little further.
        if polls > interruptions:
            polls = 0
            interruptions += 1
            raise Interrupted

    while True:
        try:
            found = engine.scores(asked, Work("a", poll))
            break
        except Interrupted:
            assert_agrees_on(engine, LONG[:20])
    assert interruptions > 1
    assert_scored(found, expected)


def assert_agrees_on(engine: Engine, prefix: TokenIds) -> None:
    """Whatever was interrupted, rows are what they are."""
    (row,) = rows_of(engine, [prefix])
    assert math.fsum(np.exp(row.astype(np.float64))) == pytest.approx(1, abs=1e-5)


def test_an_interrupted_passage_goes_on_where_it_was(tmp_path: Path) -> None:
    engine = load(OURS["llama"](tmp_path), name="tiny", device="cpu")
    before, left = engine.rows_computed, 3

    def poll() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Interrupted

    # Two layers of the first chunk, then the second chunk's first.
    with pytest.raises(Interrupted):
        engine.scores(passage(engine, LONG, 1), Work("a", poll))
    assert engine.rows_computed - before == 64
    engine.scores(passage(engine, LONG, 1), NOBODY)
    assert engine.rows_computed - before == len(LONG)


def test_equally_likely_tokens_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    folder = OURS["llama with tied embeddings"](tmp_path)

    def make_alike(tensors: dict[str, torch.Tensor]) -> None:
        weights = tensors["model.embed_tokens.weight"]
        weights[10:300:7] = weights[3]

    change_weights(folder, make_alike)
    engine = load(folder, name="tiny", device="cpu")
    for top in (1, 5, 40, 300):
        asked = passage(engine, LONG[:12], 1, top)
        rows = {LONG[:n]: rows_of(engine, [LONG[:n]])[0] for n in range(1, 13)}
        found = engine.scores(asked, NOBODY)
        expected = score_row_by_row(asked, rows.__getitem__)
        assert np.array_equal(found.top_ids, expected.top_ids)


# What can be wrong.


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_device_is_named(tiny: Path) -> None:
    with pytest.raises(ModelError, match=r"no cuda device here.*likely\.device"):
        load(tiny, name="tiny", device="cuda")


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_missing_tensor_is_named(kind: str, tmp_path: Path) -> None:
    folder = OURS[kind](tmp_path)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    lost = next(name for name in tensors if ".1." in name)
    del tensors[lost]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the weights lack .*fetch the model again"):
        load(folder, name="tiny", device="cpu")


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    path = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        ("llama", "lm_head.weight"),
        ("qwen2", "model.layers.0.self_attn.q_proj.bias"),
        ("llama with biases", "model.layers.1.self_attn.o_proj.bias"),
        ("gpt2 with a head of its own", "lm_head.weight"),
        ("gpt-neox", "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"),
        ("bloom", "transformer.ln_f.bias"),
    ],
)
def test_what_is_missing_is_never_made_up(kind: str, lost: str, tmp_path: Path) -> None:
    folder = (OURS | THEIRS)[kind](tmp_path)

    def lose(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            if name == lost or (kind == "qwen2" and name.endswith("_proj.bias")):
                del tensors[name]

    change_weights(folder, lose)
    with pytest.raises(ModelError, match=rf"the weights lack .*{lost}.*; fetch the model again"):
        load(folder, name="tiny", device="cpu")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "kind", ["llama", "llama stored in float16", "llama stored in bfloat16", "gpt2", "gpt-neox"]
)
def test_weights_that_are_no_numbers_are_named(kind: str, value: float, tmp_path: Path) -> None:
    folder = (OURS | THEIRS)[kind](tmp_path)
    spoilt = ""

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        nonlocal spoilt
        # The input of a token that the first pass does not ask about.
        spoilt = next(n for n in tensors if re.search("embed_tokens|embed_in|wte", n))
        tensors[spoilt][300, 1] = value

    change_weights(folder, spoil)
    said = rf"^tiny: the weights in {spoilt} hold NaN or infinity; fetch the model again"
    with pytest.raises(ModelError, match=said):
        load(folder, name="tiny", device="cpu")


def test_figures_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = OURS["llama"](tmp_path)

    def overflow(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.norm.weight"].fill_(3e38)

    change_weights(folder, overflow)
    with pytest.raises(ModelError, match=r"^tiny gives no probabilities here, in float32 on cpu"):
        load(folder, name="tiny", device="cpu")


@pytest.mark.parametrize("kind", ["llama", "gpt-neox"])
def test_a_tokenizer_of_another_model_is_refused(kind: str, tmp_path: Path) -> None:
    folder = (OURS | THEIRS)[kind](tmp_path)
    path = folder / "tokenizer.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    token = {**description["added_tokens"][0], "id": 5000, "content": "more", "special": False}
    description["added_tokens"].append(token)
    path.write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(
        ModelError, match=r"^tiny: its tokenizer has 478 tokens and its weights know 477"
    ):
        load(folder, name="tiny", device="cpu")


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    folder = OURS["llama"](tmp_path)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer\.json is no usable tokenizer"):
        load(folder, name="tiny", device="cpu")


# Weights as they lie in their files.

CPU = torch.device("cpu")


def test_tensors_are_read_where_they_lie(tmp_path: Path) -> None:
    parts = {f"{name}": torch.randn(2, 3) for name in "abc"}
    save_file(parts, tmp_path / "model.safetensors")
    weights = Weights(tmp_path, device=CPU, dtype=torch.float32)
    whole = weights.stacked(["a", "b", "c"])
    assert torch.equal(whole, torch.cat(list(parts.values())))
    assert whole.data_ptr() == weights.get("a").data_ptr()
    assert torch.equal(weights.stacked(["c", "a"]), torch.cat([parts["c"], parts["a"]]))
    assert "a" in weights
    assert "d" not in weights
    with pytest.raises(KeyError):
        weights.get("d")


def test_what_lies_apart_or_in_other_precisions_is_put_together(tmp_path: Path) -> None:
    first = {"a": torch.randn(2, 3).bfloat16(), "b": torch.randn(1, 3).bfloat16()}
    second = {"c": torch.randn(2, 3), "m": torch.tensor([True]), "n": torch.tensor([1, 2])}
    save_file(first, tmp_path / "model-1.safetensors")
    save_file(second, tmp_path / "model-2.safetensors")
    weights = Weights(tmp_path, device=CPU, dtype=torch.float32)
    assert torch.equal(
        weights.stacked(["a", "b"]), torch.cat([first["a"].float(), first["b"].float()])
    )
    assert torch.equal(weights.stacked(["b", "c"]), torch.cat([first["b"].float(), second["c"]]))
    assert weights.get("n").tolist() == [1.0, 2.0]


def test_tensors_may_begin_at_odd_bytes(tmp_path: Path) -> None:
    values = [1.5, -2.25]
    header = json.dumps(
        {
            "odd": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
        }
    ).encode()
    data = struct.pack("<Q", len(header)) + header + b"\x07" + struct.pack("<2f", *values)
    (tmp_path / "model.safetensors").write_bytes(data)
    weights = Weights(tmp_path, device=CPU, dtype=torch.float32)
    assert weights.get("a").tolist() == values


def test_the_file_cannot_be_written_through_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(4)}, path)
    before = path.read_bytes()
    Weights(tmp_path, device=CPU, dtype=torch.float32).get("a").fill_(1.0)
    assert path.read_bytes() == before
