"""A tiny random model as a GGUF file, written by the `gguf` package, and wheels. Loaded by path from conftest files."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy
import torch
from gguf import GGUFWriter, TokenType
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import quantize
from transformers import AutoModelForCausalLM, LlamaConfig

from tunesmith.models.bases.new_tokenizer import train_tokenizer

TEXTS = (
    "Where is my order 48213? It should have been here on 3 May, and nobody answers.",
    "The kettle leaks; I'd like 20 back.",
)
OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
INNER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
}


def tokenizer() -> Any:
    """Byte-level BPE that splits digits one by one, which is what SmolLM2's does."""
    return train_tokenizer(TEXTS, 350, positions=256)


def model(config: Any = None, *, tied: bool = True, seed: int = 3, **more: Any) -> Any:
    """A random model with norms that are not one, every weight a number that bf16 has."""
    torch.manual_seed(seed)
    sizes = {**SIZES, **more, "vocab_size": len(tokenizer()), "tie_word_embeddings": tied}
    made = AutoModelForCausalLM.from_config((config or LlamaConfig)(**sizes))
    with torch.no_grad():
        for name, value in made.named_parameters():
            drawn = torch.rand_like(value) + 0.5 if "norm" in name else torch.randn_like(value) * 0.3
            value.copy_(drawn.to(torch.bfloat16))
    return made


def gguf_name(name: str) -> str:
    """The name of one of transformers' tensors in a GGUF file."""
    if name in OUTER:
        return OUTER[name]
    _, _, layer, inner = name.split(".", 3)
    part, _, kind = inner.rpartition(".")
    return f"blk.{layer}.{INNER[part]}.{kind}"


def paired(weight: numpy.ndarray[Any, Any], heads: int) -> numpy.ndarray[Any, Any]:
    """Rows of each head from halves into pairs, as llama.cpp's converter does for `llama` (`LlamaModel.permute`, MIT)."""
    return (
        weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)
    )


def write_gguf(
    path: Path, source: Any, kind: str = "F32", *, extra: dict[str, Any] | None = None, drawn: str = "", **keys: Any
) -> Path:
    """`keys` replace keys of the file, None takes one out; matrices are written as `kind`, vectors and `extra` as F32."""
    config, family = source.config, source.config.model_type
    values = {
        f"{family}.context_length": config.max_position_embeddings,
        f"{family}.embedding_length": config.hidden_size,
        f"{family}.block_count": config.num_hidden_layers,
        f"{family}.feed_forward_length": config.intermediate_size,
        f"{family}.attention.head_count": config.num_attention_heads,
        f"{family}.attention.head_count_kv": config.num_key_value_heads,
        f"{family}.attention.key_length": getattr(config, "head_dim", None)
        or config.hidden_size // config.num_attention_heads,
        f"{family}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{family}.rope.freq_base": float(config.rope_parameters["rope_theta"]),
        **token_keys(),
        **keys,
    }
    writer = GGUFWriter(path, values.pop("general.architecture", family))
    for name, value in values.items():
        _add(writer, name, value)
    type_of = GGMLQuantizationType[kind]
    for name, value in source.state_dict().items():
        target = gguf_name(name)
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = value.float().numpy()
        if family == "llama" and ".attn_q." in target:
            array = paired(array, config.num_attention_heads)
        if family == "llama" and ".attn_k." in target:
            array = paired(array, config.num_key_value_heads)
        if drawn and ".ffn_down." in target:
            writer.add_tensor(target, blocks(array.shape, drawn), raw_dtype=GGMLQuantizationType[drawn])
        elif array.ndim == 1:
            writer.add_tensor(target, array)
        else:
            writer.add_tensor(target, quantize(array, type_of), raw_dtype=type_of)
    for name, value in (extra or {}).items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def blocks(shape: tuple[int, ...], kind: str) -> numpy.ndarray[Any, Any]:
    """Random blocks of a K-quant with small scales, which stand at the end in Q2_K, Q3_K and Q6_K and else at the beginning."""
    size, width = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    draw = numpy.random.default_rng(7)
    made = draw.integers(0, 256, (shape[0] * shape[1] // size, width), dtype=numpy.uint8)
    count = 1 if kind in ("Q3_K", "Q6_K") else 2
    scales = draw.uniform(0.001, 0.01, (len(made), count)).astype("<f2").view(numpy.uint8)
    if kind in ("Q2_K", "Q3_K", "Q6_K"):
        made[:, -2 * count :] = scales
    else:
        made[:, : 2 * count] = scales
    return made.reshape(shape[0], -1)


def token_keys() -> dict[str, Any]:
    """The keys that hold the tokenizer."""
    made = tokenizer()
    raw = json.loads(made.backend_tokenizer.to_str())
    tokens = [token for token, _ in sorted(made.get_vocab().items(), key=lambda item: item[1])]
    special = set(made.all_special_tokens) | {token["content"] for token in raw["added_tokens"]}
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [
            int(TokenType.CONTROL if token in special else TokenType.NORMAL) for token in tokens
        ],
        "tokenizer.ggml.merges": [
            " ".join(pair) if isinstance(pair, list) else pair for pair in raw["model"]["merges"]
        ],
        "tokenizer.ggml.bos_token_id": made.bos_token_id,
        "tokenizer.ggml.eos_token_id": made.eos_token_id,
        "tokenizer.ggml.padding_token_id": made.pad_token_id,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": made.chat_template,
    }


def _add(writer: GGUFWriter, name: str, value: Any) -> None:
    match value:
        case None:
            return
        case bool():
            writer.add_bool(name, value)
        case int():
            writer.add_uint32(name, value)
        case float():
            writer.add_float32(name, value)
        case str():
            writer.add_string(name, value)
        case _:
            writer.add_array(name, value)


def write_wheel(folder: Path, package: str, version: str, members: dict[str, bytes]) -> tuple[Path, str]:
    """A wheel that pip accepts, and its SHA-256."""
    name = package.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    files = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in files.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in [*files, f"{info}/RECORD"]))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()
