"""Convert a GGUF file to a transformers folder: bf16 safetensors, config, tokenizer, chat template."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tunesmith.errors import DataError
from tunesmith.models.bases.gguf.config import ROPE_FACTORS, llama3_rope_parameters, transformers_config
from tunesmith.models.bases.gguf.header import Header, read_header
from tunesmith.models.bases.gguf.tokenizer import SpecialIds, build_tokenizer, read_special_ids, tokenizer_config
from tunesmith.models.bases.gguf.weights import SUPPORTED_TYPES, map_tensors, read_tensor, write_bf16

CONVERTER_VERSION: Final = "gguf-1"
"""Part of the cache key of a converted base: change it whenever the conversion changes."""

UNQUANTISED_TYPES: Final = ("F32", "F16", "BF16")


def convert(path: Path, folder: Path) -> str:
    """Write the files of a base into an empty folder; returns a description of the weight conversion.

    Header, tokenizer and shapes are checked before anything is written. The same file gives the same bytes. Raises DataError
    for a damaged or unsupported file.
    """
    if not path.is_file():
        raise DataError("no such GGUF file", where=str(path))
    where = path.name
    header = read_header(path)
    config = transformers_config(header, where)
    tensors = map_tensors(header, config, where)
    tokenizer, special = build_tokenizer(header, where), read_special_ids(header, where)
    if ROPE_FACTORS in header.tensors:
        config["rope_parameters"] = llama3_rope_parameters(_rope_factors(path, header, where), config, where)
    config |= _special_token_ids(special)
    write_bf16(folder / "model.safetensors", path, tensors)
    _write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", _special_token_ids(special))
    _write_json(
        folder / "tokenizer_config.json", tokenizer_config(special, header, int(config["max_position_embeddings"]))
    )
    template = header.keys.get("tokenizer.chat_template")
    if isinstance(template, str) and template:
        _write_text(folder / "chat_template.jinja", template)
    return _describe_conversion([tensor.info.kind.name for tensor in tensors])


def check_gguf(path: Path) -> dict[str, Any]:
    """The config that `convert` would write, read from the header alone. Raises the same errors as `convert` before writing."""
    where = path.name
    header = read_header(path)
    config = transformers_config(header, where)
    map_tensors(header, config, where)
    build_tokenizer(header, where)
    read_special_ids(header, where)
    template = header.keys.get("tokenizer.chat_template")
    return {**config, "chat_template": template if isinstance(template, str) else ""}


def _rope_factors(path: Path, header: Header, where: str) -> list[float]:
    info = header.tensors[ROPE_FACTORS]
    if info.kind not in SUPPORTED_TYPES:
        raise DataError(f"{ROPE_FACTORS} is quantised as {info.kind.name}", where=where)
    return [float(value) for value in read_tensor(path, info).ravel()]


def _special_token_ids(special: SpecialIds) -> dict[str, int]:
    ids = {
        "bos_token_id": special.bos,
        "eos_token_id": special.eos,
        "pad_token_id": special.eos if special.pad is None else special.pad,
    }
    return {name: number for name, number in ids.items() if number is not None}


def _describe_conversion(kinds: list[str]) -> str:
    """`dequantised from Q4_1 (210 tensors) and Q8_0 (1) to bf16`, the most common type first; stored in the reports of a base."""
    counted = sorted(Counter(kinds).items(), key=lambda item: (-item[1], item[0]))
    quantised = [(kind, count) for kind, count in counted if kind not in UNQUANTISED_TYPES]
    if not quantised:
        return f"converted from GGUF {', '.join(kind for kind, _ in counted)} to bf16"
    parts = [
        f"{kind} ({count} tensors)" if at == 0 else f"{kind} ({count})" for at, (kind, count) in enumerate(quantised)
    ]
    return f"dequantised from {' and '.join(parts)} to bf16"


def _write_json(path: Path, value: dict[str, Any]) -> None:
    _write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
