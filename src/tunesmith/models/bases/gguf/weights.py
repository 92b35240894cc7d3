"""Map the tensors of a GGUF file to the names of transformers, and write them as bf16 safetensors."""

import json
import math
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
"""The largest finite bf16 value; larger values may round to infinity."""


@dataclass(frozen=True)
class MappedTensor:
    """A tensor of the model: its transformers name, its location in the file, and the number of heads whose rows are interleaved
    (0 if none)."""

    name: str
    info: TensorInfo
    heads: int = 0


def map_tensors(header: Header, config: dict[str, Any], where: str) -> list[MappedTensor]:
    """The tensors of the model, sorted by name. Raises DataError for a missing, unknown, misshapen or unsupported tensor."""
    expected = dict(_expected_tensors(config))
    missing = [name for name in expected if name not in header.tensors]
    if missing:
        what = f"{len(missing)} tensors are missing, the first is {missing[0]}"
        raise DataError(what, where=where, hint="download the file again")
    unknown = [name for name in header.tensors if name not in expected and name != ROPE_FACTORS]
    if unknown:
        what = f"{len(unknown)} tensors are not part of a {config['model_type']} model, the first is {unknown[0]}"
        raise DataError(what, where=where, hint=OTHER_FORMAT_HINT)
    mapped = []
    for name, (target, shape, heads) in expected.items():
        info = header.tensors[name]
        if info.shape != shape:
            what = f"{name} has shape {list(info.shape)}; the metadata of the file requires {list(shape)}"
            raise DataError(what, where=where, hint="download the file again")
        if info.kind not in SUPPORTED_TYPES:
            kinds = ", ".join(kind.name for kind in SUPPORTED_TYPES)
            what = f"{name} has the quantisation {info.kind.name}, which is not supported"
            raise DataError(what, where=where, hint=f"use a file in one of {kinds}")
        mapped.append(MappedTensor(target, info, heads))
    return sorted(mapped, key=lambda tensor: tensor.name)


def _expected_tensors(config: dict[str, Any]) -> Iterator[tuple[str, tuple[str, tuple[int, ...], int]]]:
    """Yield (GGUF name, (transformers name, shape, interleaved heads)) for every tensor of a config."""
    hidden, head_size, inner = config["hidden_size"], config["head_dim"], config["intermediate_size"]
    heads, key_heads, vocabulary = config["num_attention_heads"], config["num_key_value_heads"], config["vocab_size"]
    yield "token_embd.weight", (TOP_LEVEL_NAMES["token_embd.weight"], (vocabulary, hidden), 0)
    yield "output_norm.weight", (TOP_LEVEL_NAMES["output_norm.weight"], (hidden,), 0)
    if not config["tie_word_embeddings"]:
        yield "output.weight", (TOP_LEVEL_NAMES["output.weight"], (vocabulary, hidden), 0)
    # llama.cpp rotates neighbouring rows where transformers rotates halves, so the rows of `llama` are in another order.
    interleaved = config["model_type"] == "llama"
    shapes: dict[str, tuple[tuple[int, ...], int]] = {
        "attn_norm": ((hidden,), 0),
        "attn_q": ((heads * head_size, hidden), heads if interleaved else 0),
        "attn_k": ((key_heads * head_size, hidden), key_heads if interleaved else 0),
        "attn_v": ((key_heads * head_size, hidden), 0),
        "attn_output": ((hidden, heads * head_size), 0),
        "ffn_norm": ((hidden,), 0),
        "ffn_gate": ((inner, hidden), 0),
        "ffn_up": ((inner, hidden), 0),
        "ffn_down": ((hidden, inner), 0),
    }
    if config["model_type"] == "qwen3":
        shapes |= {"attn_q_norm": ((head_size,), 0), "attn_k_norm": ((head_size,), 0)}
    biased = ("attn_q", "attn_k", "attn_v") if config["model_type"] == "qwen2" else ()
    for layer in range(config["num_hidden_layers"]):
        for part, (shape, interleaved_heads) in shapes.items():
            target = f"model.layers.{layer}.{LAYER_NAMES[part]}"
            yield f"blk.{layer}.{part}.weight", (f"{target}.weight", shape, interleaved_heads)
            if part in biased:
                yield f"blk.{layer}.{part}.bias", (f"{target}.bias", shape[:1], 0)


def read_tensor(path: Path, info: TensorInfo) -> Array:
    """A tensor in fp32, dequantised by the reference implementation of the `gguf` package."""
    raw = numpy.memmap(path, dtype=numpy.uint8, mode="r", offset=info.offset, shape=(info.bytes,))
    rows = numpy.asarray(raw).reshape(*info.shape[:-1], -1)
    with numpy.errstate(invalid="ignore", over="ignore"):
        values: Array = dequantize(rows, info.kind)
    return values.reshape(info.shape)


def write_bf16(path: Path, source: Path, tensors: list[MappedTensor]) -> None:
    """Write a bf16 safetensors file, with one tensor in memory at a time. Raises DataError for a value that is not finite.

    The same tensors give the same bytes: sorted names, fixed key order, header padded to eight bytes.
    """
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        begin, end = end, end + 2 * math.prod(tensor.info.shape)
        entries[tensor.name] = {"dtype": "BF16", "shape": list(tensor.info.shape), "data_offsets": [begin, end]}
    head = json.dumps(entries, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)))
        file.write(head)
        for tensor in tensors:
            values = read_tensor(source, tensor.info)
            if not (numpy.abs(values) <= MAX_BF16).all():
                raise DataError(f"{tensor.info.name} has values that are not finite in bf16", where=str(source))
            file.write(round_to_bf16(_deinterleave_heads(values, tensor.heads) if tensor.heads else values).tobytes())
        file.flush()
        os.fsync(file.fileno())


def _deinterleave_heads(values: Array, heads: int) -> Array:
    """Reorder the rows of each head from pairs (0, n/2, 1, n/2 + 1, ...) to halves (0, 1, ..., n/2, n/2 + 1, ...)."""
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)


def round_to_bf16(values: Array) -> Array:
    """The 16 bits of the nearest bf16 of fp32 values, ties to even."""
    bits = numpy.ascontiguousarray(values, dtype="<f4").view("<u4")
    nearest: Array = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return nearest
