"""GGUF files against the models they were written from, and against the readers of `gguf` and transformers."""

import hashlib
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from gguf import GGUFReader
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config, Qwen3Config

from tunesmith.errors import DataError
from tunesmith.models.bases.gguf import convert
from tunesmith.models.bases.gguf.header import read_header

FAMILIES = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}


def made(path: Path, folder: Path) -> dict[str, torch.Tensor]:
    folder.mkdir()
    convert(path, folder)
    return load_file(folder / "model.safetensors")


def rounded_trip(value: torch.Tensor, kind: str) -> torch.Tensor:
    """A weight quantised and dequantised by the reference of the `gguf` package, in bf16."""
    if value.ndim == 1:
        return value.to(torch.bfloat16)
    type_of = GGMLQuantizationType[kind]
    return torch.from_numpy(dequantize(quantize(value.float().numpy(), type_of), type_of)).to(torch.bfloat16)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_is_the_one_it_was_written_from(tiny_gguf: Any, tmp_path: Path, family: str, kind: str) -> None:
    source = tiny_gguf.model(FAMILIES[family], tied=family != "qwen2")
    found = made(tiny_gguf.write_gguf(tmp_path / "m.gguf", source, kind), tmp_path / "out")
    wanted = {
        name: value for name, value in source.state_dict().items() if name != "lm_head.weight" or family == "qwen2"
    }
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == torch.bfloat16
        assert torch.equal(found[name], rounded_trip(value, kind)), name


@pytest.mark.parametrize("family", FAMILIES)
def test_the_converted_model_gives_the_logits_of_its_source(tiny_gguf: Any, tmp_path: Path, family: str) -> None:
    source = tiny_gguf.model(FAMILIES[family]).eval()
    made(tiny_gguf.write_gguf(tmp_path / "m.gguf", source), tmp_path / "out")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32, use_safetensors=True).eval()
    ids = torch.arange(20, 60)[None]
    with torch.no_grad():
        torch.testing.assert_close(found(ids).logits, source(ids).logits, rtol=1e-6, atol=1e-6)
    assert getattr(found.config, "quantization_config", None) is None


def test_transformers_reads_the_same_weights(tiny_gguf: Any, tmp_path: Path) -> None:
    found = made(tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model(), "Q4_1"), tmp_path / "out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
    for name, value in oracle.state_dict().items():
        if name != "lm_head.weight":
            assert torch.equal(found[name], value.to(torch.bfloat16)), name


def test_the_header_is_what_the_gguf_package_reads(tiny_gguf: Any, tmp_path: Path) -> None:
    path = tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model(), "Q8_0")
    header, oracle = read_header(path), GGUFReader(path)
    fields = {name: field.contents() for name, field in oracle.fields.items() if not name.startswith("GGUF.")}
    assert header.keys == fields
    assert [
        (one.name, list(reversed(one.shape)), one.kind, one.offset, one.bytes) for one in header.tensors.values()
    ] == [(one.name, one.shape.tolist(), one.tensor_type, one.data_offset, one.n_bytes) for one in oracle.tensors]


def test_the_tokenizer_is_the_one_that_was_written(tiny_gguf: Any, tmp_path: Path) -> None:
    made(tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model()), tmp_path / "out")
    source, found = tiny_gguf.tokenizer(), AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in (*tiny_gguf.TEXTS, "tab\tand  spaces\n\n12345 naïve 東京 🙂", "<|user|>hi<|end|>"):
        assert found(text).input_ids == source(text).input_ids
        assert found.decode(found(text).input_ids) == text
    names = ("bos_token_id", "eos_token_id", "pad_token_id", "chat_template")
    assert [getattr(found, name) for name in names] == [getattr(source, name) for name in names]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert found.apply_chat_template(turns, tokenize=False) == source.apply_chat_template(turns, tokenize=False)


def test_the_same_file_gives_the_same_bytes(tiny_gguf: Any, tmp_path: Path) -> None:
    path = tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model(), "Q4_1")
    digests = []
    for name in ("one", "two"):
        made(path, tmp_path / name)
        files = sorted((tmp_path / name).iterdir())
        digests.append([(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])
    assert digests[0] == digests[1]
    assert [name for name, _ in digests[0]] == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_llama3_positions_are_found_from_their_divisors(tiny_gguf: Any, tmp_path: Path) -> None:
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    source = tiny_gguf.model(rope_parameters=rope)
    plain = source.config.rope_parameters["rope_theta"] ** -(numpy.arange(0, 16, 2) / 16)
    divisors = (plain / source.model.rotary_emb.inv_freq.numpy()).astype("float32")
    path = tiny_gguf.write_gguf(tmp_path / "m.gguf", source, extra={"rope_freqs.weight": divisors})
    made(path, tmp_path / "out")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "out", use_safetensors=True)
    assert found.config.rope_parameters == rope
    odd = tiny_gguf.write_gguf(tmp_path / "odd.gguf", source, extra={"rope_freqs.weight": divisors * 1.5})
    with pytest.raises(DataError, match="does not match any published rope scaling"):
        made(odd, tmp_path / "odd")


def test_a_cut_file_is_refused_wherever_it_is_cut(tiny_gguf: Any, tmp_path: Path) -> None:
    data = tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model()).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in (*range(0, 400, 7), len(data) // 2, len(data) - 1):
        cut.write_bytes(data[:length])
        with pytest.raises(DataError):
            read_header(cut)


BOMBS = {
    "keys": struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**62),
    "tensors": struct.pack("<4sIQQ", b"GGUF", 3, 2**62, 0),
    "name": struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**60),
    "text": struct.pack("<4sIQQQ1sIQ", b"GGUF", 3, 0, 1, 1, b"k", 8, 2**60),
    "array": struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 4, 2**60),
    "array of texts": struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 8, 2**60),
    "array of arrays": struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 9, 2**60),
    "shape": struct.pack("<4sIQQQ1sIQQIQ", b"GGUF", 3, 1, 0, 1, b"t", 2, 2**62, 2**62, 0, 0),
    "offset": struct.pack("<4sIQQQ1sIQIQ", b"GGUF", 3, 1, 0, 1, b"t", 1, 4, 0, 2**63),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_sizes_beyond_the_file_are_refused_before_anything_is_read(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "bomb.gguf"
    path.write_bytes(BOMBS[bomb] + bytes(64))
    with pytest.raises(DataError) as refused:
        read_header(path)
    assert refused.value.where == str(path) and refused.value.hint


REFUSALS = {
    "not supported (supported: llama, qwen2, qwen3)": {"general.architecture": "mamba"},
    "mixture-of-experts models are not supported": {"llama.expert_count": 8},
    "rope scaling of type yarn": {"llama.rope.scaling.type": "yarn"},
    "llama.block_count is None": {"llama.block_count": None},
    "llama.attention.head_count_kv is [2, 2]": {"llama.attention.head_count_kv": [2, 2]},
    "tensors are missing, the first is blk.2": {"llama.block_count": 3},
    "the metadata of the file requires [128, 64]": {"llama.feed_forward_length": 128},
    "2,000,000,000 layers are declared": {"llama.block_count": 2_000_000_000},
    "64 heads of size 1 do not fit": {"llama.attention.head_count": 64, "llama.attention.key_length": None},
    "partial rotary embeddings (less than the head size 16)": {"llama.rope.dimension_count": 8},
    "the file has no tokenizer": {"tokenizer.ggml.tokens": None},
    "has no token types or no merges": {"tokenizer.ggml.merges": None},
    "tokenizer type 'llama' is not supported": {"tokenizer.ggml.model": "llama"},
    "the pre-tokenizer 'tekken' is not supported": {"tokenizer.ggml.pre": "tekken"},
    "no end token": {"tokenizer.ggml.eos_token_id": None},
    "eos_token_id is 9999, but there are": {"tokenizer.ggml.eos_token_id": 9999},
    "the merges do not fit the tokens": {"tokenizer.ggml.merges": ["no such"]},
}


@pytest.mark.parametrize("message", REFUSALS)
def test_what_is_not_supported_is_refused_with_one_error_and_no_file(
    tiny_gguf: Any, tmp_path: Path, message: str
) -> None:
    path = tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model(), **REFUSALS[message])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError, match=re.escape(message)) as refused:
        convert(path, out)
    assert refused.value.hint and refused.value.where == "m.gguf"
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_header_is_refused_or_read_but_never_a_crash(tiny_gguf: Any, tmp_path: Path, seed: int) -> None:
    path = tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model(), "Q4_1")
    data, start = path.read_bytes(), min(one.offset for one in read_header(path).tensors.values())
    draw, outcomes = numpy.random.default_rng(seed), set()
    for number in range(60):
        damaged, place = bytearray(data), int(draw.integers(start))
        width = int(draw.choice([1, 4, 8]))
        damaged[place : place + width] = draw.choice([b"\0", b"\1", b"\x7f", b"\xff"]) * width
        path.write_bytes(damaged)
        out = tmp_path / str(number)
        out.mkdir()
        try:
            convert(path, out)
            outcomes.add("read")
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("kind", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"])
def test_k_quants_are_what_transformers_reads(tiny_gguf: Any, tmp_path: Path, kind: str) -> None:
    """The gguf package cannot write them, so their blocks are drawn: every bit, and scales that are finite."""
    source = tiny_gguf.model(hidden_size=256, intermediate_size=256, head_dim=64, num_hidden_layers=1)
    path = tiny_gguf.write_gguf(tmp_path / "m.gguf", source, "F16", drawn=kind)
    found = made(path, tmp_path / "out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32).state_dict()
    name = "model.layers.0.mlp.down_proj.weight"
    assert len(found[name].unique()) > 100
    for one in (name, "model.layers.0.self_attn.q_proj.weight"):
        assert torch.equal(found[one], oracle[one].to(torch.bfloat16))


def test_an_unsupported_number_type_is_named(tiny_gguf: Any, tmp_path: Path) -> None:
    path = tiny_gguf.write_gguf(tmp_path / "m.gguf", tiny_gguf.model(), "Q8_0")
    data = bytearray(path.read_bytes())
    name = b"blk.0.ffn_down.weight"
    place = data.index(name) + len(name) + 4 + 16
    assert struct.unpack_from("<I", data, place)[0] == GGMLQuantizationType.Q8_0
    struct.pack_into("<I", data, place, GGMLQuantizationType.IQ4_NL)
    path.write_bytes(data)
    with pytest.raises(DataError, match="IQ4_NL, which is not supported"):
        made(path, tmp_path / "out")
    struct.pack_into("<I", data, place, 999)
    path.write_bytes(data)
    with pytest.raises(DataError, match="unknown tensor type 999"):
        read_header(path)


def test_numbers_that_are_not_finite_are_refused(tiny_gguf: Any, tmp_path: Path) -> None:
    source = tiny_gguf.model()
    with torch.no_grad():
        source.model.norm.weight[3] = float("nan")
    with pytest.raises(DataError, match=r"output_norm\.weight has values that are not finite"):
        made(tiny_gguf.write_gguf(tmp_path / "m.gguf", source), tmp_path / "out")


def test_what_was_done_is_said(tiny_gguf: Any, tmp_path: Path) -> None:
    words = {}
    for kind in ("Q4_1", "F16"):
        path = tiny_gguf.write_gguf(tmp_path / f"{kind}.gguf", tiny_gguf.model(), kind)
        (tmp_path / kind).mkdir()
        words[kind] = convert(path, tmp_path / kind)
    assert words == {
        "Q4_1": "dequantised from Q4_1 (15 tensors) to bf16",
        "F16": "converted from GGUF F16, F32 to bf16",
    }


def test_numbers_that_bf16_would_make_infinite_are_refused(tiny_gguf: Any, tmp_path: Path) -> None:
    source = tiny_gguf.model()
    largest = torch.finfo(torch.bfloat16).max
    with torch.no_grad():
        source.model.norm.weight[3] = largest
    found = made(tiny_gguf.write_gguf(tmp_path / "m.gguf", source), tmp_path / "out")
    assert found["model.norm.weight"][3] == largest
    with torch.no_grad():
        source.model.norm.weight[3] = torch.finfo(torch.float32).max
    with pytest.raises(DataError, match=r"output_norm\.weight has values that are not finite in bf16"):
        made(tiny_gguf.write_gguf(tmp_path / "n.gguf", source), tmp_path / "more")
