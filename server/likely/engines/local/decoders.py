"""Forward passes of the architectures that are worked out here: Llama's family and GPT-2.

The same arithmetic as transformers' modules, with what one row costs besides reading the
weights left out: no mask building, no cache objects, one matrix for what is multiplied by
the same input. Tokens form a tree in a slab of keys and values (`prefix_cache.py`), so each
pass takes an additive mask that says which slots a token sees.

Sources: Radford et al. 2019 (GPT-2); Touvron et al. 2023 (arXiv 2302.13971), Su et al. 2021
(arXiv 2104.09864, rotary positions), Ainslie et al. 2023 (arXiv 2305.13245, grouped queries).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from likely.engines.local.weights import Weights

Poll = Callable[[], None]


@dataclass(slots=True)
class Slab:
    """Keys and values of a tree of tokens; each of shape (layers, heads, capacity, head size)."""

    keys: Tensor
    values: Tensor


class Decoder(Protocol):
    """A causal decoder that works on trees of tokens."""

    layers: int
    key_value_heads: int
    head_size: int
    width: int
    max_positions: int
    vocabulary_size: int

    def forward(
        self, tokens: Tensor, positions: Tensor, slab: Slab, used: int, mask: Tensor, poll: Poll
    ) -> Tensor:
        """Run n tokens; returns their final hidden states, shape (n, width).

        `tokens`, `positions`: shape (n,). Their keys and values go to slots used..used+n of
        `slab`. `mask`: added to the attention scores, shape (n, used + n), 0 or -inf.
        `poll` is called before each layer.
        """
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of hidden states of shape (n, width): shape (n, vocabulary size), float32."""
        ...


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X W^T + b. x: (n, in), weight: (out, in), bias: (out,); returns (n, out).

    oneDNN streams a float32 matrix past few rows about twice as fast as the BLAS that torch
    calls by default; both are used as they ship. Past many rows W X^T is faster still, since
    the rows are packed and not the matrix.
    """
    if not (x.device.type == "cpu" and _ONE_DNN and x.dtype == torch.float32):
        return F.linear(x, weight, bias)
    product: Tensor
    if len(x) >= _MANY_ROWS and weight.is_contiguous():
        product = torch.ops.mkldnn._linear_pointwise(weight, x, None, "none", [], "").t()
        return product if bias is None else product + bias
    product = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


_MANY_ROWS = 8

_ONE_DNN: bool = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)


def attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Scaled dot-product attention with grouped queries.

    query: (n, heads, size); keys, values: (key-value heads, slots, size); mask: (n, slots).
    Returns (n, heads * size).
    """
    n, heads, size = query.shape
    groups, slots, _ = keys.shape
    share = heads // groups
    # Queries that share keys become rows of one product: (groups, share * n, size).
    rows = query.view(n, groups, share, size).permute(1, 2, 0, 3).reshape(groups, share * n, size)
    added = mask.expand(groups * share, n, slots).reshape(groups, share * n, slots)
    scores = torch.baddbmm(added, rows, keys.transpose(1, 2), alpha=scale)
    mixed = torch.bmm(scores.softmax(-1), values).view(groups, share, n, size)
    return mixed.permute(2, 0, 1, 3).reshape(n, heads * size)


@dataclass(frozen=True, slots=True)
class _LlamaLayer:
    attention_norm: Tensor
    query_key_value: Tensor
    query_key_value_bias: Tensor | None
    output: Tensor
    output_bias: Tensor | None
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor


class LlamaDecoder:
    """Llama and those built alike: SmolLM2, Mistral without a sliding window, Qwen 2."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        self.layers = int(config["num_hidden_layers"])
        self.width = int(config["hidden_size"])
        self.heads = int(config["num_attention_heads"])
        self.key_value_heads = int(config.get("num_key_value_heads") or self.heads)
        self.head_size = int(config.get("head_dim") or self.width // self.heads)
        self.max_positions = int(config["max_position_embeddings"])
        self._epsilon = float(config["rms_norm_eps"])
        self._scale = self.head_size**-0.5
        self._embedding = weights.get("model.embed_tokens.weight")
        self.vocabulary_size = self._embedding.shape[0]
        self._norm = weights.get("model.norm.weight")
        tied = config.get("tie_word_embeddings", False)
        self._head = self._embedding if tied else weights.get("lm_head.weight")
        output_bias = bool(config.get("attention_bias")) and config["model_type"] == "llama"
        biased = output_bias or config["model_type"] == "qwen2"
        self._layers = [
            self._read_layer(weights, i, biased, output_bias) for i in range(self.layers)
        ]
        device = self._embedding.device
        exponents = torch.arange(0, self.head_size, 2, device=device).float() / self.head_size
        self._frequencies = 1.0 / (rope_theta(config) ** exponents)

    @staticmethod
    def fits(config: Mapping[str, Any]) -> bool:
        """Whether this class computes exactly what the configuration says."""
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        return (
            config.get("model_type") in ("llama", "mistral", "qwen2")
            and config.get("hidden_act", "silu") == "silu"
            and (rope.get("rope_type") or rope.get("type") or "default") == "default"
            and not config.get("mlp_bias")
            and not config.get("use_sliding_window")
            and (config["model_type"] != "mistral" or config.get("sliding_window") is None)
        )

    @staticmethod
    def _read_layer(weights: Weights, i: int, biased: bool, output_bias: bool) -> _LlamaLayer:
        name = f"model.layers.{i}."
        queries = [f"{name}self_attn.{part}_proj" for part in "qkv"]
        return _LlamaLayer(
            attention_norm=weights.get(f"{name}input_layernorm.weight"),
            query_key_value=weights.stacked([f"{part}.weight" for part in queries]),
            query_key_value_bias=(
                weights.stacked([f"{part}.bias" for part in queries]) if biased else None
            ),
            output=weights.get(f"{name}self_attn.o_proj.weight"),
            output_bias=weights.get(f"{name}self_attn.o_proj.bias") if output_bias else None,
            mlp_norm=weights.get(f"{name}post_attention_layernorm.weight"),
            gate_up=weights.stacked([f"{name}mlp.{part}_proj.weight" for part in ("gate", "up")]),
            down=weights.get(f"{name}mlp.down_proj.weight"),
        )

    def forward(
        self, tokens: Tensor, positions: Tensor, slab: Slab, used: int, mask: Tensor, poll: Poll
    ) -> Tensor:
        """See `Decoder.forward`."""
        n = len(tokens)
        heads, groups, size, half = (
            self.heads,
            self.key_value_heads,
            self.head_size,
            self.head_size // 2,
        )
        x = self._embedding[tokens]
        angles = torch.outer(positions.float(), self._frequencies)
        cosine = torch.cat([angles.cos()] * 2, 1).unsqueeze(1).to(x.dtype)
        sine = torch.cat([-angles.sin(), angles.sin()], 1).unsqueeze(1).to(x.dtype)
        for i, layer in enumerate(self._layers):
            poll()
            normal = F.rms_norm(x, (self.width,), layer.attention_norm, self._epsilon)
            projected = linear(normal, layer.query_key_value, layer.query_key_value_bias)
            parts = projected.view(n, heads + 2 * groups, size)
            turned = parts[:, : heads + groups]
            # Rotary positions: (a, b) -> (a cos - b sin, b cos + a sin) on the two halves.
            turned = turned * cosine + turned.roll(half, -1) * sine
            slab.keys[i, :, used : used + n] = turned[:, heads:].transpose(0, 1)
            slab.values[i, :, used : used + n] = parts[:, heads + groups :].transpose(0, 1)
            mixed = attend(
                turned[:, :heads],
                slab.keys[i, :, : used + n],
                slab.values[i, :, : used + n],
                mask,
                self._scale,
            )
            x = x + linear(mixed, layer.output, layer.output_bias)
            normal = F.rms_norm(x, (self.width,), layer.mlp_norm, self._epsilon)
            gate, up = linear(normal, layer.gate_up).chunk(2, dim=-1)
            x = x + linear(F.silu(gate).mul_(up), layer.down)
        return F.rms_norm(x, (self.width,), self._norm, self._epsilon)

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Decoder.logits`."""
        return linear(hidden, self._head).float()


def rope_theta(config: Mapping[str, Any]) -> float:
    """The base of the rotary frequencies, wherever this version of the format keeps it."""
    parameters = config.get("rope_parameters") or {}
    return float(parameters.get("rope_theta") or config.get("rope_theta") or 10000.0)


@dataclass(frozen=True, slots=True)
class _Gpt2Layer:
    attention_norm: tuple[Tensor, Tensor]
    query_key_value: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]
    mlp_norm: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]


class Gpt2Decoder:
    """GPT-2 and distilgpt2."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        self.layers = int(config["n_layer"])
        self.width = int(config["n_embd"])
        self.heads = self.key_value_heads = int(config["n_head"])
        self.head_size = self.width // self.heads
        self.max_positions = int(config.get("n_positions") or config["n_ctx"])
        self._epsilon = float(config["layer_norm_epsilon"])
        self._scale = self.head_size**-0.5
        prefix = "transformer." if "transformer.wte.weight" in weights else ""
        self._tokens = weights.get(f"{prefix}wte.weight")
        self._positions = weights.get(f"{prefix}wpe.weight")
        self.vocabulary_size = self._tokens.shape[0]
        self._norm = _pair(weights, f"{prefix}ln_f")
        tied = config.get("tie_word_embeddings", True)
        self._head = self._tokens if tied else weights.get("lm_head.weight")
        self._layers = [
            _Gpt2Layer(
                attention_norm=_pair(weights, f"{prefix}h.{i}.ln_1"),
                query_key_value=_transposed(weights, f"{prefix}h.{i}.attn.c_attn"),
                output=_transposed(weights, f"{prefix}h.{i}.attn.c_proj"),
                mlp_norm=_pair(weights, f"{prefix}h.{i}.ln_2"),
                up=_transposed(weights, f"{prefix}h.{i}.mlp.c_fc"),
                down=_transposed(weights, f"{prefix}h.{i}.mlp.c_proj"),
            )
            for i in range(self.layers)
        ]

    @staticmethod
    def fits(config: Mapping[str, Any]) -> bool:
        """Whether this class computes exactly what the configuration says."""
        return (
            config.get("model_type") == "gpt2"
            and config.get("activation_function", "gelu_new") == "gelu_new"
            and config.get("scale_attn_weights", True)
            and not config.get("scale_attn_by_inverse_layer_idx")
            and not config.get("add_cross_attention")
        )

    def forward(
        self, tokens: Tensor, positions: Tensor, slab: Slab, used: int, mask: Tensor, poll: Poll
    ) -> Tensor:
        """See `Decoder.forward`."""
        n = len(tokens)
        x = self._tokens[tokens] + self._positions[positions]
        for i, layer in enumerate(self._layers):
            poll()
            normal = F.layer_norm(x, (self.width,), *layer.attention_norm, self._epsilon)
            parts = linear(normal, *layer.query_key_value).view(n, 3, self.heads, self.head_size)
            slab.keys[i, :, used : used + n] = parts[:, 1].transpose(0, 1)
            slab.values[i, :, used : used + n] = parts[:, 2].transpose(0, 1)
            mixed = attend(
                parts[:, 0],
                slab.keys[i, :, : used + n],
                slab.values[i, :, : used + n],
                mask,
                self._scale,
            )
            x = x + linear(mixed, *layer.output)
            normal = F.layer_norm(x, (self.width,), *layer.mlp_norm, self._epsilon)
            x = x + linear(F.gelu(linear(normal, *layer.up), approximate="tanh"), *layer.down)
        return F.layer_norm(x, (self.width,), *self._norm, self._epsilon)

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Decoder.logits`."""
        return linear(hidden, self._head).float()


def _pair(weights: Weights, name: str) -> tuple[Tensor, Tensor]:
    return weights.get(f"{name}.weight"), weights.get(f"{name}.bias")


def _transposed(weights: Weights, name: str) -> tuple[Tensor, Tensor]:
    """GPT-2 stores (in, out)."""
    return weights.get(f"{name}.weight").t(), weights.get(f"{name}.bias")
