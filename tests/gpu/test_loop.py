"""On CUDA in bf16: the loop resumes bit for bit, micro-batches do not change the loss, and packed logits equal the model's."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS sums in no fixed order

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.models.packed import pack_rows, summed_loss, token_logprobs
from tunesmith.recipe import TrainSettings
from tunesmith.store import open_store
from tunesmith.train import loop
from tunesmith.train.loop import TrainingPlan, run_loop
from tunesmith.train.methods.master_weights import accumulate_gradients_in_fp32

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:.*deterministic")]
CUDA = "cuda"
HALF = torch.bfloat16
STEPS, ROWS = 4, 6
SHAPE = {
    "vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64,
}  # fmt: skip
FAMILIES: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "qwen3, tied": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, tie_word_embeddings=True)),
    "mistral, window": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=16)),
    "gemma3, windows": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, sliding_window=16)),
}


class Killed(BaseException):
    """Like SIGKILL: nothing in the loop may catch it."""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    opened = Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=5)
    yield opened
    opened.store.ledger.close()


@pytest.fixture
def repeatable() -> Iterator[None]:
    """Use deterministic kernels only."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def model(family: str = "llama", dtype: torch.dtype = HALF) -> Any:
    torch.manual_seed(6)
    made = FAMILIES[family]().to(CUDA, dtype)
    accumulate_gradients_in_fp32(made)
    return made


def rows() -> list[EncodedSequence]:
    """Rows with a common prefix of 24 tokens and answers of 9 to 14 tokens."""
    generator = torch.Generator().manual_seed(4)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 512, (count,), generator=generator).tolist())

    system = draw(24)
    return [EncodedSequence(str(n), system + draw(20 + n), ((35, 44 + n),)) for n in range(ROWS)]


def plan(folder: Path) -> TrainingPlan:
    steps = [[(step + at) % ROWS for at in range(4)] for step in range(STEPS)]
    return TrainingPlan(rows(), steps, [], "k" * 64, folder)


def settings(tokens_per_pass: int = 64) -> TrainSettings:
    return TrainSettings(
        method="full", rows_per_step=4, tokens_per_pass=tokens_per_pass, learning_rate=1e-3, checkpoint_every=1,
        precision="bf16",
    )  # fmt: skip


def same(one: Any, two: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.usefixtures("repeatable")
def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken, resumed = model(), model(), model()
    left_alone = run_loop(whole, plan(tmp_path / "whole"), settings=settings(), context=context)
    real, seen = loop.micro_batch_loss, [0]

    def dying(*arguments: Any, **options: Any) -> torch.Tensor:
        seen[0] += 1
        if seen[0] == 10:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "micro_batch_loss", dying)
        with pytest.raises(Killed):
            run_loop(broken, plan(tmp_path / "killed"), settings=settings(), context=context)
    assert run_loop(resumed, plan(tmp_path / "killed"), settings=settings(), context=context) == left_alone
    assert same(whole, resumed)


@pytest.mark.usefixtures("repeatable")
def test_equal_seeds_give_equal_bits(tmp_path: Path, context: Context) -> None:
    one, two = model(), model()
    for name, each in (("one", one), ("two", two)):
        run_loop(each, plan(tmp_path / name), settings=settings(), context=context)
    assert same(one, two)


def test_micro_batches_do_not_change_the_loss(tmp_path: Path, context: Context) -> None:
    curves = [
        run_loop(model(dtype=torch.float32), plan(tmp_path / str(size)), settings=settings(size), context=context).curve
        for size in (16, 4096)
    ]
    for small, large in zip(*curves, strict=True):
        assert small.loss == pytest.approx(large.loss, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_log_probabilities_equal_the_models(family: str) -> None:
    family_model, data = model(family).eval(), rows()
    log_probabilities = token_logprobs(family_model, pack_rows(data, torch.device(CUDA), share=True)).float()
    family_model.set_attn_implementation("eager")
    with torch.no_grad():
        own = torch.cat([_own(family_model, row) for row in data])
    assert (log_probabilities - own).abs().max() <= 2e-2 * own.abs().max()


def _own(family_model: Any, row: EncodedSequence) -> torch.Tensor:
    ids = torch.tensor([row.ids], device=CUDA)
    (start, end) = row.spans[0]
    each = family_model(input_ids=ids).logits[0, start - 1 : end - 1].float().log_softmax(-1)
    return each.gather(1, ids[0, start:end, None])[:, 0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_head_on_supervised_tokens_equals_the_whole_head(smoothing: float) -> None:
    """Loss and gradient of the head against logits of every token."""
    llama, data = model(dtype=torch.float32), rows()
    summed_loss(llama, pack_rows(data, torch.device(CUDA)), label_smoothing=smoothing).backward()
    gradient = llama.lm_head.weight.grad.clone()
    llama.zero_grad()
    llama.set_attn_implementation("eager")
    total = sum(_whole(llama, row, smoothing) for row in data)
    total.backward()
    assert (gradient - llama.lm_head.weight.grad).norm() <= 1e-5 * gradient.norm()


def _whole(llama: Any, row: EncodedSequence, smoothing: float) -> torch.Tensor:
    labels = torch.tensor(row.ids, device=CUDA)
    (start, end) = row.spans[0]
    masked_labels = torch.full_like(labels, -100)
    masked_labels[start:end] = labels[start:end]
    logits = llama(input_ids=labels[None]).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, masked_labels[1:], reduction="sum", label_smoothing=smoothing)
