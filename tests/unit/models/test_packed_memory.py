"""Tensors that a packed forward never allocates: [T, vocabulary] logits, a [T, T] mask, copies of keys if nothing is shared."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import pack_rows, sdpa, summed_loss

CPU = torch.device("cpu")
VOCABULARY, ROWS, LENGTH, TRAINED = 4096, 16, 64, 6


class LargestTensor(TorchDispatchMode):
    """Records the largest tensor that any operation returns, forward and backward, and the operation."""

    def __init__(self) -> None:
        super().__init__()
        self.largest: tuple[int, str] = (0, "")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, (tensor.numel(), f"{func} {tuple(tensor.shape)}"))
        return out


def llama() -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def rows(prefix: int) -> list[EncodedSequence]:
    shared = tuple(range(prefix))
    encoded = []
    for number in range(ROWS):
        own = torch.randint(100, VOCABULARY, (LENGTH - prefix,), generator=torch.Generator().manual_seed(number))
        encoded.append(EncodedSequence(str(number), (*shared, *own.tolist()), ((LENGTH - TRAINED, LENGTH),)))
    return encoded


def largest(prefix: int, share: bool) -> tuple[int, str]:
    model = llama()
    batch = pack_rows(rows(prefix), CPU, share=share)
    with LargestTensor() as watched:
        summed_loss(model, batch).backward()
    return watched.largest


def test_no_tensor_is_as_large_as_all_logits_or_a_square_mask() -> None:
    tokens = ROWS * LENGTH
    for prefix, share in ((0, False), (40, True)):
        size, what = largest(prefix, share)
        assert size < tokens * tokens, what
        assert size < tokens * VOCABULARY, what


def test_the_recorder_sees_full_logits() -> None:
    batch = pack_rows(rows(0), CPU, whole=True)
    with LargestTensor() as watched:
        llama()(input_ids=batch.ids).logits.sum().backward()
    assert watched.largest[0] == ROWS * LENGTH * VOCABULARY


def test_a_window_bounds_the_mask_of_a_long_row(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    causal_mask = sdpa._causal_mask

    def record(n: int, m: int, window: int | None, device: torch.device) -> torch.Tensor:
        shapes.append((n, m))
        return causal_mask(n, m, window, device)

    monkeypatch.setattr(sdpa, "_causal_mask", record)
    tensor = torch.randn(1, 1, 2500, 4)
    options = sdpa.AttentionOptions(0.5, window=100)
    sdpa.attend_segments(tensor, tensor, tensor, segments=(sdpa.Segment(0, 2500),), options=options)
    assert shapes == [(1024, 1024), (1024, 1123), (452, 551)]
