"""Tiny random models for tests: folders and GGUF files that are made in milliseconds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from likely.text.vocabulary import TokenIds
from unit.tiny import STYLES, definition, vocabulary

TEXT = "This weekend I plan to visit the lake. For God so loved the world, to be or not to be."
HIDDEN, LAYERS, HEADS, KEY_HEADS, INNER = 32, 2, 4, 2, 64


def tokenizer() -> Tokenizer:
    """Return a byte-level BPE tokenizer with one special token, trained on a sentence."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return made


def write_llama(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """Write a random llama in plain transformers' layout, without importing it."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizer()
    made.save(str(folder / "tokenizer.json"))
    weights = _llama_weights(made.get_vocab_size(), seed)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(
        json.dumps({**_llama_config(made.get_vocab_size()), **config}), encoding="utf-8"
    )
    return folder


def write_gguf(path: Path, *, seed: int = 0) -> Path:
    """Write a random llama as a GGUF file in float32."""
    import gguf

    made = tokenizer()
    description = json.loads(made.to_str())
    vocabulary = sorted(made.get_vocab().items(), key=lambda entry: entry[1])
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([name for name, _ in vocabulary])
    writer.add_token_types([3 if name == "<|endoftext|>" else 1 for name, _ in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in description["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_unk_token_id(0)
    weights = _llama_weights(len(vocabulary), seed)
    for name, tensor in weights.items():
        writer.add_tensor(_gguf_name(name), tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _llama_config(vocabulary_size: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "head_dim": HIDDEN // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "vocab_size": vocabulary_size,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def _llama_weights(vocabulary_size: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    keys = HIDDEN // HEADS * KEY_HEADS

    def matrix(*shape: int) -> Any:
        return (0.1 * random.standard_normal(shape)).astype(np.float32)

    weights = {"model.embed_tokens.weight": matrix(vocabulary_size, HIDDEN)}
    for layer in range(LAYERS):
        shapes = {
            "self_attn.q_proj": (HIDDEN, HIDDEN),
            "self_attn.k_proj": (keys, HIDDEN),
            "self_attn.v_proj": (keys, HIDDEN),
            "self_attn.o_proj": (HIDDEN, HIDDEN),
            "mlp.gate_proj": (INNER, HIDDEN),
            "mlp.up_proj": (INNER, HIDDEN),
            "mlp.down_proj": (HIDDEN, INNER),
        }
        for name, shape in shapes.items():
            weights[f"model.layers.{layer}.{name}.weight"] = matrix(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{name}.weight"] = np.ones(HIDDEN, dtype=np.float32)
    weights["model.norm.weight"] = np.ones(HIDDEN, dtype=np.float32)
    return weights


def _gguf_name(name: str) -> str:
    parts = {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "model.layers": "blk",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "post_attention_layernorm": "ffn_norm",
        "input_layernorm": "attn_norm",
    }
    for ours, theirs in parts.items():
        name = name.replace(ours, theirs)
    return name


def save_model(folder: Path, config: Any, **how: Any) -> Path:
    """Write a random model and its tokenizer, as plain transformers would; all of it random.

    `how`: `dtype` to store, and what `save_pretrained` takes.
    """
    import torch

    tokenizer = definition(STYLES[0])
    torch.manual_seed(1)
    config.vocab_size = len(vocabulary(STYLES[0]))
    model = _causal_models().from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.to(how.pop("dtype", torch.float32)).save_pretrained(folder, **how)
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    return folder


def change_config(folder: Path, **changes: Any) -> Path:
    """Rewrite entries of `config.json`; None removes one."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return folder


def recompute(folder: Path, sequences: Sequence[TokenIds]) -> list[NDArray[np.float32]]:
    """Rows from plain transformers: each sequence whole, nothing kept."""
    import torch

    model = _causal_models().from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    with torch.inference_mode():
        for sequence in sequences:
            logits = model(input_ids=torch.tensor([sequence]), use_cache=False).logits
            rows.append(torch.log_softmax(logits[0, -1].float(), dim=-1).numpy())
    return rows


def _causal_models() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM
