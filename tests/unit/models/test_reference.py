"""The row-by-row reference against transformers' own loss, which masks labels with -100."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed.reference import reference_loss, row_losses, trained_positions, trained_weights

ROWS = (
    EncodedSequence("a", (5, 6, 7, 8, 9), ((0, 3),)),
    EncodedSequence("b", (9, 4, 3, 11, 12, 13, 14), ((1, 2), (4, 7)), weights=(1.0, 0.5)),
    EncodedSequence("nothing trained", (3, 2), ()),
)


def llama() -> LlamaForCausalLM:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=17, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.2,
    )  # fmt: skip
    return LlamaForCausalLM(config).double()


def own_loss(model: LlamaForCausalLM, row: EncodedSequence, span: tuple[int, int]) -> torch.Tensor:
    """transformers' mean loss over one span, which it computes in fp32, times its trained tokens."""
    labels = torch.full((1, len(row.ids)), -100)
    labels[0, slice(*span)] = torch.tensor(row.ids[slice(*span)])
    count = span[1] - max(span[0], 1)
    return model(input_ids=torch.tensor([row.ids]), labels=labels).loss * count


def test_loss_and_gradients_are_those_of_transformers() -> None:
    model = llama()
    loss, gradients = reference_loss(model, ROWS)
    expected = (
        own_loss(model, ROWS[0], (0, 3)) + own_loss(model, ROWS[1], (1, 2)) + 0.5 * own_loss(model, ROWS[1], (4, 7))
    )
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    for name, value in model.named_parameters():
        assert (gradients[name] - value.grad).norm() <= 1e-6 * value.grad.norm(), name


def test_positions_and_weights_of_trained_tokens() -> None:
    """The first token is never trained: nothing precedes it."""
    assert [trained_positions(row) for row in ROWS] == [[1, 2], [1, 4, 5, 6], []]
    assert [trained_weights(row) for row in ROWS] == [[1.0, 1.0], [1.0, 0.5, 0.5, 0.5], []]
    assert row_losses(llama(), ROWS[2]).shape == (0,)
