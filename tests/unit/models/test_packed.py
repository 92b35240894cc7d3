"""Packing changes no number: loss, log-probabilities and gradients equal the row-by-row reference; no row sees another."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from tunesmith.chat.encode import EncodedSequence
from tunesmith.errors import Misuse
from tunesmith.models.packed import (
    attention,
    check_packable,
    pack_rows,
    split_micro_batches,
    summed_loss,
    token_logprobs,
)
from tunesmith.models.packed import loss as loss_module
from tunesmith.models.packed.attention import packed_attention
from tunesmith.models.packed.prefix_trie import Segment
from tunesmith.models.packed.reference import reference_loss, row_losses

CPU = torch.device("cpu")
VOCABULARY = 97


def model(*, heads: int = 4, groups: int = 2, tied: bool = False, **options: Any) -> LlamaForCausalLM:
    """A tiny random Llama in evaluation mode; `groups` key-value heads."""
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=heads,
        num_key_value_heads=groups, max_position_embeddings=64, tie_word_embeddings=tied, initializer_range=0.08,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, **options,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def row(number: int, length: int, *spans: tuple[int, int]) -> EncodedSequence:
    generator = torch.Generator().manual_seed(number)
    ids = torch.randint(3, VOCABULARY, (length,), generator=generator).tolist()
    return EncodedSequence(f"{number:016x}", tuple(ids), spans)


ROWS = (
    row(1, 9, (4, 9)),
    row(2, 5, (0, 5)),
    row(3, 17, (2, 6), (11, 17)),
    row(4, 2, (1, 2)),
    row(5, 12, (11, 12)),
)


def gradients(llama: LlamaForCausalLM) -> dict[str, torch.Tensor]:
    copies = {name: value.grad.clone() for name, value in llama.named_parameters()}
    llama.zero_grad()
    return copies


def packed_loss(llama: LlamaForCausalLM, rows: Sequence[EncodedSequence], size: int, smoothing: float = 0.0) -> float:
    """Loss of all rows in batches of `size` tokens; gradients accumulate."""
    total = 0.0
    for group in split_micro_batches(rows, size):
        loss = summed_loss(llama, pack_rows(group, CPU), label_smoothing=smoothing)
        loss.backward()
        total += loss.item()
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("groups", "tied"), [(4, False), (2, False), (1, True)])
def test_loss_and_gradients_equal_the_reference(groups: int, tied: bool, smoothing: float) -> None:
    llama = model(groups=groups, tied=tied)
    loss, expected = reference_loss(llama, ROWS, label_smoothing=smoothing)
    assert packed_loss(llama, ROWS, 1000, smoothing) == pytest.approx(loss, rel=1e-6)
    for name, value in gradients(llama).items():
        assert (value - expected[name]).norm() <= 1e-6 * expected[name].norm(), name


def test_logprobs_equal_the_reference() -> None:
    llama = model()
    expected = torch.cat([-row_losses(llama, one) for one in ROWS]).detach()
    logprobs = token_logprobs(llama, pack_rows(ROWS, CPU))
    assert logprobs.shape == (sum(one.supervised for one in ROWS),)
    assert (logprobs - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_a_row_does_not_see_its_neighbours() -> None:
    llama = model()
    middle = ROWS[2]
    one = token_logprobs(llama, pack_rows((ROWS[0], middle, ROWS[1]), CPU))
    two = token_logprobs(llama, pack_rows((row(70, 9, (4, 9)), middle, row(71, 5, (0, 5))), CPU))
    start = ROWS[0].supervised
    kept = slice(start, start + middle.supervised)
    assert torch.equal(one[kept], two[kept])
    assert not torch.equal(one[:start], two[:start])


def test_a_token_does_not_see_the_future() -> None:
    llama = model()
    ids = ROWS[2].ids
    changed = EncodedSequence("c", (*ids[:10], (ids[10] + 1) % VOCABULARY, *ids[11:]), ((1, 17),))
    one = token_logprobs(llama, pack_rows((EncodedSequence("o", ids, ((1, 17),)),), CPU))
    two = token_logprobs(llama, pack_rows((changed,), CPU))
    assert torch.equal(one[:9], two[:9])
    assert not torch.equal(one[9:], two[9:])


@pytest.mark.parametrize("size", [1, 14, 20, 33])
def test_smaller_batches_change_neither_loss_nor_gradient(size: int) -> None:
    llama = model()
    whole = packed_loss(llama, ROWS, 1000)
    expected = gradients(llama)
    assert packed_loss(llama, ROWS, size) == pytest.approx(whole, rel=1e-6)
    for name, value in gradients(llama).items():
        assert (value - expected[name]).norm() <= 1e-6 * expected[name].norm(), name


@pytest.mark.parametrize(
    ("size", "groups"),
    [(1, [[0], [1], [2], [3], [4]]), (14, [[0, 1], [2], [3, 4]]), (19, [[0, 1], [2, 3], [4]]), (99, [[0, 1, 2, 3, 4]])],
)
def test_micro_batches_are_consecutive_rows_that_fit(size: int, groups: list[list[int]]) -> None:
    assert [list(group) for group in split_micro_batches(ROWS, size)] == [[ROWS[n] for n in group] for group in groups]
    assert list(split_micro_batches((), size)) == []


def test_the_tensors_of_a_batch_written_by_hand() -> None:
    """The last trained token of a row and the tokens behind it do not go through the model."""
    batch = pack_rows(
        (
            EncodedSequence("a", (5, 6, 7), ((0, 3),)),
            EncodedSequence("b", (8, 9, 4, 4), ((1, 2),)),
            EncodedSequence("c", (3, 2), ()),
        ),
        CPU,
    )
    assert batch.ids.tolist() == [[5, 6, 8, 3, 2]]
    assert batch.positions.tolist() == [[0, 1, 0, 0, 1]]
    assert batch.segments == (Segment(0, 2), Segment(2, 1), Segment(3, 2))
    assert batch.hidden_index.tolist() == [0, 1, 2]
    assert batch.labels.tolist() == [6, 7, 9]
    assert batch.tokens == 9


def test_whole_keeps_the_ends_of_rows() -> None:
    batch = pack_rows(
        (EncodedSequence("a", (5, 6, 7), ((0, 3),)), EncodedSequence("b", (8, 9), ((1, 2),))), CPU, whole=True
    )
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9]]
    assert batch.segments == (Segment(0, 3), Segment(3, 2))
    assert batch.hidden_index.tolist() == [0, 1, 3]


def test_a_batch_with_nothing_to_train_is_zero_with_a_gradient() -> None:
    llama = model()
    batch = pack_rows((EncodedSequence("a", (5, 6, 7), ()),), CPU)
    loss = summed_loss(llama, batch)
    loss.backward()
    assert loss.item() == 0.0
    assert llama.model.layers[0].mlp.up_proj.weight.grad.abs().sum() == 0
    assert token_logprobs(llama, batch).shape == (0,)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_equals_full_logits_over_many_chunks(monkeypatch: pytest.MonkeyPatch, smoothing: float) -> None:
    monkeypatch.setattr(loss_module, "MAX_LOGITS_PER_CHUNK", 4 * VOCABULARY)
    monkeypatch.setattr(loss_module, "MIN_TOKENS_PER_CHUNK", 1)
    llama = model()
    truth, _ = reference_loss(llama, ROWS, label_smoothing=smoothing)
    with torch.no_grad():
        assert summed_loss(llama, pack_rows(ROWS, CPU), label_smoothing=smoothing).item() == pytest.approx(
            truth, rel=1e-6
        )
    assert packed_loss(llama, ROWS, 1000, smoothing) == pytest.approx(truth, rel=1e-6)


def test_a_uniform_model_has_the_logarithm_of_the_vocabulary_as_loss() -> None:
    llama = model()
    with torch.no_grad():
        llama.lm_head.weight.zero_()
    supervised = sum(one.supervised for one in ROWS)
    assert packed_loss(llama, ROWS, 1000) == pytest.approx(supervised * math.log(VOCABULARY), rel=1e-6)


def attend(**options: Any) -> torch.Tensor:
    query = torch.zeros(1, 2, 5, 4)
    mask = options.pop("attention_mask", None)
    segments = options.pop("segments", (Segment(0, 3), Segment(3, 2)))
    return packed_attention(torch.nn.Module(), query, query, query, mask, segments=segments, **options)[0]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"attention_mask": torch.ones(1, 5)}, "packed attention needs segments and no mask"),
        ({"segments": None}, "packed attention needs segments and no mask"),
        ({"dropout": 0.1}, "attention dropout and attention sinks are not supported"),
        ({"s_aux": torch.zeros(2)}, "attention dropout and attention sinks are not supported"),
    ],
)
def test_unsupported_attention_is_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(Misuse, match=what):
        attend(**options)


def test_options_that_are_off_are_accepted() -> None:
    assert attend(sliding_window=None, dropout=0.0, softcap=None, s_aux=None).shape == (1, 5, 2, 4)


def test_a_model_with_dropout_is_refused_in_training() -> None:
    llama = model(attention_dropout=0.1).train()
    with pytest.raises(Misuse, match="dropout"):
        summed_loss(llama, pack_rows(ROWS, CPU))


def test_the_attention_is_registered_with_transformers() -> None:
    llama = model()
    token_logprobs(llama, pack_rows(ROWS, CPU))
    assert llama.config._attn_implementation == attention.ATTENTION_NAME == "tunesmith_packed"


def test_a_llama_can_be_packed_and_its_state_is_restored(letters: PreTrainedTokenizerFast) -> None:
    llama = model().train()
    before = llama.config._attn_implementation
    check_packable(llama, letters)
    assert llama.training
    assert llama.config._attn_implementation == before != attention.ATTENTION_NAME


def test_a_model_whose_rows_influence_each_other_is_refused(letters: PreTrainedTokenizerFast) -> None:
    config = Lfm2Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, layer_types=["conv", "full_attention"], initializer_range=0.2,
    )  # fmt: skip
    with pytest.raises(Misuse, match="rows of a lfm2 model influence each other when they are packed"):
        check_packable(Lfm2ForCausalLM(config), letters)


@pytest.mark.parametrize(("dropout", "refused"), [(0.0, False), (0.1, True)])
def test_dropout_outside_attention_is_refused(dropout: float, refused: bool, letters: PreTrainedTokenizerFast) -> None:
    config = GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=4, n_positions=64, attn_pdrop=0.0, embd_pdrop=0.0,
        resid_pdrop=dropout, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with pytest.raises(Misuse, match="the gpt2 model has dropout") if refused else nullcontext():
        check_packable(GPT2LMHeadModel(config), letters)
