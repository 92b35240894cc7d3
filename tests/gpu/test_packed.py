"""On CUDA in bf16: variable-length attention equals separate rows, with and without sharing, and no layer synchronizes."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import (
    check_packable,
    compare_shared_prefixes,
    hidden_states,
    pack_rows,
    summed_loss,
    varlen,
)
from tunesmith.models.packed.prefix_trie import lay_out
from tunesmith.models.packed.sdpa import AttentionOptions, attend_segments

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[1] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)
LETTERS = fixtures_models.letters(512)

pytestmark = pytest.mark.gpu
CUDA = "cuda"


def model(dtype: torch.dtype) -> Qwen3ForCausalLM:
    torch.manual_seed(2)
    config = Qwen3Config(
        vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=8,
        num_key_value_heads=2, head_dim=64,
    )  # fmt: skip
    return Qwen3ForCausalLM(config).to(CUDA, dtype)


def rows() -> list[EncodedSequence]:
    generator = torch.Generator().manual_seed(4)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 512, (count,), generator=generator).tolist())

    system = draw(70)
    document = system + draw(33)
    sequences = [EncodedSequence(f"a{n}", system + draw(9 + n), ((70, 78 + n),)) for n in range(5)]
    sequences += [EncodedSequence(f"b{n}", document + draw(7 + n), ((100, 109 + n),)) for n in range(5)]
    return [*sequences, EncodedSequence("alone", draw(40), ((0, 40),))]


@pytest.mark.parametrize("window", [None, 16])
def test_the_kernel_aligns_a_suffix_at_the_end(window: int | None) -> None:
    segments = lay_out(rows(), share=True).segments
    tokens = sum(segment.length for segment in segments)
    query = torch.randn(1, 8, tokens, 64, device=CUDA, dtype=torch.bfloat16)
    key, value = (torch.randn(1, 2, tokens, 64, device=CUDA, dtype=torch.bfloat16) for _ in range(2))
    options = AttentionOptions(0.125, window)
    fast = varlen.attend(
        query, key, value, bounds=varlen.segment_bounds(segments, query.device), options=options
    ).float()
    slow = attend_segments(query.float(), key.float(), value.float(), segments=segments, options=options)
    assert (fast - slow).norm() <= 1e-2 * slow.norm()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 3e-2), (torch.float32, 1e-5)])
def test_shared_gradients_equal_separate_ones(dtype: torch.dtype, tolerance: float) -> None:
    qwen, found = model(dtype), []
    for share in (False, True):
        qwen.zero_grad()
        loss = summed_loss(qwen, pack_rows(rows(), torch.device(CUDA), share=share))
        loss.backward()
        found.append((loss.item(), {name: value.grad.float() for name, value in qwen.named_parameters()}))
    assert found[1][0] == pytest.approx(found[0][0], rel=tolerance)
    for name, value in found[1][1].items():
        assert (value - found[0][1][name]).norm() <= tolerance * found[0][1][name].norm(), name


def test_the_exactness_check_passes() -> None:
    qwen = model(torch.bfloat16)
    check_packable(qwen, LETTERS)
    assert compare_shared_prefixes(qwen, LETTERS).agrees


def test_no_layer_synchronizes_with_the_device() -> None:
    qwen, batch = model(torch.bfloat16), pack_rows(rows(), torch.device(CUDA), share=True)
    hidden_states(qwen, batch)
    torch.cuda.set_sync_debug_mode("error")
    try:
        hidden_states(qwen, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_neighboring_row_changes_no_bit() -> None:
    qwen, data = model(torch.bfloat16).eval(), rows()
    other = EncodedSequence("other", tuple(reversed(data[0].ids)), data[0].spans)
    with torch.no_grad():
        one, two = (
            hidden_states(qwen, pack_rows([first, data[1]], torch.device(CUDA)))[len(first.ids) :]
            for first in (data[0], other)
        )
    assert torch.equal(one, two)
