"""What a pass never makes: a [T, V] tensor of logits, a [T, T] mask, a copy of the keys when nothing is shared."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import sdpa
from tunesmith.models.packed.forward import summed_loss
from tunesmith.models.packed.pack import pack_rows

CPU = torch.device("cpu")
VOCABULARY, ROWS, LENGTH, TRAINED = 4096, 16, 64, 6


class Largest(TorchDispatchMode):
    """The largest tensor that any operation gives back, forward and backward, and the operation's name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[int, str] = (0, "")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.found = max(self.found, (tensor.numel(), f"{func} {tuple(tensor.shape)}"))
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
    made = []
    for number in range(ROWS):
        own = torch.randint(100, VOCABULARY, (LENGTH - prefix,), generator=torch.Generator().manual_seed(number))
        made.append(EncodedSequence(str(number), (*shared, *own.tolist()), ((LENGTH - TRAINED, LENGTH),)))
    return made


def largest(prefix: int, share: bool) -> tuple[int, str]:
    model = llama()
    batch = pack_rows(rows(prefix), CPU, share=share)
    with Largest() as watched:
        summed_loss(model, batch).backward()
    return watched.found


def test_no_tensor_is_as_large_as_all_logits_or_a_square_mask() -> None:
    tokens = ROWS * LENGTH
    for prefix, share in ((0, False), (40, True)):
        size, what = largest(prefix, share)
        assert size < tokens * tokens, what
        assert size < tokens * VOCABULARY, what


def test_the_watch_sees_full_logits() -> None:
    batch = pack_rows(rows(0), CPU, whole=True)
    with Largest() as watched:
        llama()(input_ids=batch.ids).logits.sum().backward()
    assert watched.found[0] == ROWS * LENGTH * VOCABULARY


def test_a_window_bounds_the_mask_of_a_long_row() -> None:
    shapes = []
    kept = sdpa._causal_mask

    def seen(n: int, m: int, window: int | None, device: torch.device) -> torch.Tensor:
        shapes.append((n, m))
        return kept(n, m, window, device)

    sdpa._causal_mask = seen
    try:
        one = torch.randn(1, 1, 2500, 4)
        sdpa.attend_segments(
            one, one, one, segments=(sdpa.Segment(0, 2500),), rule=sdpa.AttentionOptions(0.5, window=100)
        )
    finally:
        sdpa._causal_mask = kept
    assert shapes == [(1024, 1024), (1024, 1123), (452, 551)]
