"""The tensors of a GGUF file under the names of transformers, as bf16 in a safetensors file."""

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from tunesmith.errors import DataError
from tunesmith.models.bases.gguf.config import OTHER_FORMAT_HINT, ROPE_FACTORS
from tunesmith.models.bases.gguf.header import Header, TensorInfo

Array = numpy.ndarray[Any, Any]

SUPPORTED_TYPES: Final = tuple(
    GGMLQuantizationType[name]
    for name in ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
)

TOP_LEVEL_NAMES: Final = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


MAX_BF16: Final = 255 / 128 * 2.0**127
"""The largest number of bf16; what is larger may be rounded to infinity."""


@dataclass(frozen=True)
class MappedTensor:
    """One tensor of the model: its name in transformers, where it lies, and the heads whose rows are interleaved, or 0."""

    name: str
    info: TensorInfo
    heads: int = 0


def map_tensors(header: Header, config: dict[str, Any], where: str) -> list[MappedTensor]:
    """Every tensor that the model needs, by name. Raises DataError when one is missing, misshapen, unknown or not supported."""
    wanted = dict(_expected_tensors(config))
    known = {*wanted, ROPE_FACTORS}
    missing = [name for name in wanted if name not in header.tensors]
    if missing:
        what = f"{len(missing)} tensors are missing, the first is {missing[0]}"
        raise DataError(what, where=where, hint="download the file again")
    unknown = [name for name in header.tensors if name not in known]
    if unknown:
        what = f"{len(unknown)} tensors that a {config['model_type']} model does not have, the first is {unknown[0]}"
        raise DataError(what, where=where, hint=OTHER_FORMAT_HINT)
    placed = []
    for name, (target, shape, heads) in wanted.items():
        info = header.tensors[name]
        if info.shape != shape:
            what = f"{name} has the shape {list(info.shape)}; the file's own keys make it {list(shape)}"
            raise DataError(what, where=where, hint="download the file again")
        if info.kind not in SUPPORTED_TYPES:
            kinds = ", ".join(kind.name for kind in SUPPORTED_TYPES)
            what = f"{name} is quantised as {info.kind.name}, which is not supported"
            raise DataError(what, where=where, hint=f"take a file in one of {kinds}")
        placed.append(MappedTensor(target, info, heads))
    return sorted(placed, key=lambda one: one.name)


def _expected_tensors(config: dict[str, Any]) -> Iterator[tuple[str, tuple[str, tuple[int, ...], int]]]:
    """{name in GGUF: (name in transformers, shape, interleaved heads)} for a config."""
    hidden, wide, inner = config["hidden_size"], config["head_dim"], config["intermediate_size"]
    heads, key_heads, vocabulary = config["num_attention_heads"], config["num_key_value_heads"], config["vocab_size"]
    yield "token_embd.weight", (TOP_LEVEL_NAMES["token_embd.weight"], (vocabulary, hidden), 0)
    yield "output_norm.weight", (TOP_LEVEL_NAMES["output_norm.weight"], (hidden,), 0)
    if not config["tie_word_embeddings"]:
        yield "output.weight", (TOP_LEVEL_NAMES["output.weight"], (vocabulary, hidden), 0)
    # llama.cpp rotates neighbouring rows where transformers rotates halves: for `llama` the rows lie in another order.
    turned = config["model_type"] == "llama"
    shapes: dict[str, tuple[tuple[int, ...], int]] = {
        "attn_norm": ((hidden,), 0),
        "attn_q": ((heads * wide, hidden), heads if turned else 0),
        "attn_k": ((key_heads * wide, hidden), key_heads if turned else 0),
        "attn_v": ((key_heads * wide, hidden), 0),
        "attn_output": ((hidden, heads * wide), 0),
        "ffn_norm": ((hidden,), 0),
        "ffn_gate": ((inner, hidden), 0),
        "ffn_up": ((inner, hidden), 0),
        "ffn_down": ((hidden, inner), 0),
    }
    if config["model_type"] == "qwen3":
        shapes |= {"attn_q_norm": ((wide,), 0), "attn_k_norm": ((wide,), 0)}
    biased = ("attn_q", "attn_k", "attn_v") if config["model_type"] == "qwen2" else ()
    for layer in range(config["num_hidden_layers"]):
        for part, (shape, turn) in shapes.items():
            target = f"model.layers.{layer}.{LAYER_NAMES[part]}"
            yield f"blk.{layer}.{part}.weight", (f"{target}.weight", shape, turn)
            if part in biased:
                yield f"blk.{layer}.{part}.bias", (f"{target}.bias", shape[:1], 0)


def read_tensor(path: Path, info: TensorInfo) -> Array:
    """A tensor in fp32, dequantised by the reference of the `gguf` package."""
    raw = numpy.memmap(path, dtype=numpy.uint8, mode="r", offset=info.offset, shape=(info.bytes,))
    rows = numpy.asarray(raw).reshape(*info.shape[:-1], -1)
    with numpy.errstate(invalid="ignore", over="ignore"):
        values: Array = dequantize(rows, info.kind)
    return values.reshape(info.shape)


def write_bf16(path: Path, source: Path, tensors: list[MappedTensor]) -> None:
    """A safetensors file in bf16, one tensor in memory at a time. Raises DataError where a number is not finite.

    The same tensors give the same bytes: header keys in order, names sorted, the header padded to eight bytes.
    """
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for one in tensors:
        begin, end = end, end + 2 * _element_count(one.info.shape)
        entries[one.name] = {"dtype": "BF16", "shape": list(one.info.shape), "data_offsets": [begin, end]}
    head = json.dumps(entries, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)))
        file.write(head)
        for one in tensors:
            values = read_tensor(source, one.info)
            if not (numpy.abs(values) <= MAX_BF16).all():
                raise DataError(f"{one.info.name} holds numbers that are not finite in bf16", where=str(source))
            file.write(round_to_bf16(_deinterleave_heads(values, one.heads) if one.heads else values).tobytes())
        file.flush()
        os.fsync(file.fileno())


def _deinterleave_heads(values: Array, heads: int) -> Array:
    """Rows of each head from pairs (0, n/2, 1, n/2 + 1, ...) back into halves (0, 1, ..., n/2, n/2 + 1, ...)."""
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)


def round_to_bf16(values: Array) -> Array:
    """fp32 to the 16 bits of the nearest bf16, ties to even."""
    bits = numpy.ascontiguousarray(values, dtype="<f4").view("<u4")
    nearest: Array = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return nearest


def _element_count(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total
