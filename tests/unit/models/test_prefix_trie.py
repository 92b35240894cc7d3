"""The flat sequence of a batch: every distinct token is stored once, and every row is found along its path."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import (
    common_prefix_length,
    count_distinct_tokens,
    pack_rows,
    split_micro_batches,
    summed_loss,
)
from tunesmith.models.packed.prefix_trie import Segment, lay_out, narrow_segments, path_indices

CPU = torch.device("cpu")
ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=12)


def encoded(rows: list[list[int]], *, trained: bool = True) -> list[EncodedSequence]:
    return [EncodedSequence(str(at), tuple(ids), ((0, len(ids)),) if trained else ()) for at, ids in enumerate(rows)]


def nodes(rows: list[list[int]]) -> int:
    """The outside truth: the set of all prefixes."""
    return len({tuple(row[:end]) for row in rows for end in range(1, len(row) + 1)})


@given(ROWS)
def test_every_prefix_is_stored_once_and_every_row_is_found_along_its_path(rows: list[list[int]]) -> None:
    layout = lay_out(encoded(rows), share=True, whole=True)
    assert len(layout.ids) == count_distinct_tokens(encoded(rows)) == nodes(rows)
    for row, path in zip(rows, layout.paths, strict=True):
        indices = path_indices(path)
        assert [layout.ids[index] for index in indices] == row
        assert [layout.positions[index] for index in indices] == list(range(len(row)))


@given(ROWS)
def test_the_last_token_of_a_trained_row_is_dropped(rows: list[list[int]]) -> None:
    layout = lay_out(encoded(rows), share=True)
    assert len(layout.ids) == nodes([row[:-1] if len(row) > 1 else row for row in rows])
    assert lay_out(encoded(rows, trained=False), share=True) == lay_out(encoded(rows), share=True, whole=True)


@given(ROWS, st.data())
def test_segments_are_narrowed_to_the_chosen_indices(rows: list[list[int]], data: st.DataObject) -> None:
    layout = lay_out(encoded(rows), share=True, whole=True)
    chosen = sorted(data.draw(st.sets(st.sampled_from(range(len(layout.ids))))))
    narrowed = narrow_segments(layout.segments, chosen)
    for segment in layout.segments:
        own = range(segment.start, segment.end)
        inside = [index for index in chosen if index in own]
        cuts = [cut for cut in narrowed if cut.start in own]
        assert [(cut.start, cut.end - 1) for cut in cuts] == ([(inside[0], inside[-1])] if inside else [])
        for cut in cuts:
            path = path_indices(cut.path)
            assert path == path_indices(segment.path)[: len(path)] and cut.prefix_length == len(path) - cut.length
    assert len(narrowed) == sum(
        any(segment.start <= index < segment.end for index in chosen) for segment in layout.segments
    )


@given(ROWS)
def test_segments_follow_each_other_and_their_prefixes_are_stored_before_them(rows: list[list[int]]) -> None:
    layout = lay_out(encoded(rows), share=True)
    at = 0
    for segment in layout.segments:
        assert segment.start == at and segment.length > 0
        assert segment.prefix_length == layout.positions[at]
        assert all(end <= at for _, end in segment.prefix)
        at += segment.length
    assert at == len(layout.ids)


@given(ROWS, st.integers(1, 30))
def test_micro_batches_with_sharing_fit_and_hold_every_row_once(rows: list[list[int]], size: int) -> None:
    groups = list(split_micro_batches(encoded(rows), size, share=True))
    assert sorted(row.row_id for group in groups for row in group) == sorted(map(str, range(len(rows))))
    for group in groups:
        tokens = pack_rows(group, CPU, share=True).tokens
        assert tokens <= size or len(group) == 1
        assert tokens == nodes([list(row.ids) for row in group])


@given(st.lists(st.integers(0, 1), max_size=9), st.lists(st.integers(0, 1), max_size=9))
def test_the_common_prefix_length(one: list[int], two: list[int]) -> None:
    expected = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    assert common_prefix_length(tuple(one), tuple(two)) == expected


def test_a_layout_written_by_hand() -> None:
    rows = encoded([[1, 2, 3, 4], [5, 6], [1, 2, 7], [1, 2, 3, 4], [1, 2, 3, 4, 8]])
    layout = lay_out(rows, share=True, whole=True)
    assert layout.ids == [1, 2, 3, 4, 8, 7, 5, 6]
    assert layout.positions == [0, 1, 2, 3, 4, 2, 0, 1]
    assert layout.segments == (Segment(0, 4), Segment(4, 1, ((0, 4),)), Segment(5, 1, ((0, 2),)), Segment(6, 2))
    assert layout.paths == (((0, 4),), ((6, 8),), ((0, 2), (5, 6)), ((0, 4),), ((0, 5),))


def test_the_first_token_of_every_completion_keeps_its_loss() -> None:
    prompt = (1, 2, 3)
    rows = [EncodedSequence(str(n), (*prompt, 10 + n, 4), ((3, 5),)) for n in range(3)]
    batch = pack_rows(rows, CPU, share=True)
    assert sorted(batch.labels[batch.hidden_index == 2].tolist()) == [10, 11, 12]
    assert batch.inverse.shape == (6,)


def test_a_pair_that_rows_share_has_the_sum_of_their_weights() -> None:
    rows = [
        EncodedSequence("a", (1, 2, 3), ((1, 3),)),
        EncodedSequence("b", (1, 2, 4), ((1, 3),)),
        EncodedSequence("c", (1, 2, 4), ((2, 3),), 0, (0.5,)),
    ]
    batch = pack_rows(rows, CPU, share=True)
    pairs = zip(batch.hidden_index.tolist(), batch.labels.tolist(), batch.weights.tolist(), strict=True)
    assert sorted(pairs) == [(0, 2, 2.0), (1, 3, 1.0), (1, 4, 1.5)]
    assert batch.unit_weights == 1 and batch.weights[0] == 1.0


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("prefix", [0, 1, 30])
@pytest.mark.parametrize("rows", [1, 2, 7, 32])
def test_sharing_changes_no_loss_and_no_gradient_in_fp32(rows: int, prefix: int, tied: bool) -> None:
    torch.manual_seed(4)
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    llama = LlamaForCausalLM(config)
    shared = torch.randint(3, 97, (prefix,)).tolist()
    data = []
    for number in range(rows):
        own = torch.randint(3, 97, (5 + number % 9,)).tolist()
        data.append(EncodedSequence(str(number), (*shared, *own), ((max(prefix - 2, 0), prefix + 3),)))

    def trained(share: bool) -> tuple[float, dict[str, torch.Tensor]]:
        llama.zero_grad()
        loss = summed_loss(llama, pack_rows(data, CPU, share=share))
        loss.backward()
        return loss.item(), {name: value.grad.clone() for name, value in llama.named_parameters()}

    (loss, expected), (found, gradients) = trained(False), trained(True)
    assert found == pytest.approx(loss, rel=1e-6)
    for name, value in gradients.items():
        assert (value - expected[name]).norm() <= 1e-6 * expected[name].norm(), name
