"""Shared prefixes read in place: every query sees the same keys, with the same outputs and gradients as segment by segment."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import padded_batches, prefix_attention
from tunesmith.models.packed.exactness import shared_prefix_rows
from tunesmith.models.packed.padded_batches import (
    SharedPrefix,
    find_shared_prefixes,
    plan_attention,
    remove_shared_prefixes,
)
from tunesmith.models.packed.prefix_trie import Segment, lay_out, narrow_segments, path_indices
from tunesmith.models.packed.sdpa import AttentionOptions, attend_segments
from tunesmith.models.probe_rows import ProbeTokens

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=14)


def encoded(rows: list[list[int]]) -> list[EncodedSequence]:
    return [EncodedSequence(str(number), tuple(ids), ()) for number, ids in enumerate(rows)]


def nested_rows() -> list[list[int]]:
    """Two prompts behind one start, questions on each, several answers of a question, and one row that is all prefix."""
    rows = []
    for prompt in (range(10, 34), range(40, 59)):
        for question in (range(60, 66), range(70, 79), range(80, 82)):
            rows += [[1, *prompt, *question, 90 + n, *range(91, 91 + n)] for n in range(6)]
        rows.append([1, *prompt])
    return rows


@pytest.fixture(autouse=True)
def share_short_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padded_batches, "MIN_SAVED_COPIES", 6)


def test_shared_prefixes_of_segments_written_by_hand() -> None:
    """Four rows behind eight tokens. Two of them share two more, which saves too little."""
    segments = (
        Segment(0, 12), Segment(12, 2, ((0, 10),)), Segment(14, 3, ((0, 8),)), Segment(17, 1, ((0, 8),)), Segment(18, 9),
    )  # fmt: skip
    prefixes = find_shared_prefixes(segments)
    assert prefixes == (SharedPrefix(0, 8, 18),)
    assert remove_shared_prefixes(segments, prefixes) == (
        Segment(0, 8), Segment(8, 4), Segment(12, 2, ((8, 10),)), Segment(14, 3), Segment(17, 1), Segment(18, 9),
    )  # fmt: skip


def visible_keys(query: int, segments: tuple[Segment, ...], prefixes: tuple[SharedPrefix, ...]) -> list[int]:
    """The flat indices that a query sees, each as often as it sees it."""
    keys = [key for prefix in prefixes if prefix.end <= query < prefix.stop for key in range(prefix.start, prefix.end)]
    for segment in segments:
        if segment.start <= query < segment.end:
            keys += [key for key in path_indices(segment.path) if key <= query]
    return sorted(keys)


@given(ROWS)
def test_every_query_sees_its_own_path_once(rows: list[list[int]]) -> None:
    layout = lay_out(encoded(rows), share=True)
    prefixes = find_shared_prefixes(layout.segments)
    segments = remove_shared_prefixes(layout.segments, prefixes)
    for path in layout.paths:
        indices = path_indices(path)
        for position, query in enumerate(indices):
            assert visible_keys(query, segments, prefixes) == sorted(indices[: position + 1])


def random_tensors(total: int, heads: int, key_heads: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """query, key, value [1, heads, total, 8]."""
    generator = torch.Generator().manual_seed(total)
    counts = (heads, key_heads, key_heads)
    return [torch.randn((1, n, total, 8), generator=generator, dtype=dtype).requires_grad_() for n in counts]


def output_and_gradients(tensors: list[torch.Tensor], slope: torch.Tensor, **how: object) -> list[torch.Tensor]:
    out = attend_segments(*tensors, **how)
    return [out.detach(), *torch.autograd.grad((out * slope).sum(), tensors)]


@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("some_queries", [False, True])
@pytest.mark.parametrize("single", [False, True])
def test_outputs_and_gradients_are_those_of_segments_one_by_one(
    key_heads: int, some_queries: bool, single: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`some_queries`: every third index only. `single`: no row is short enough to be batched, and blocks have two queries."""
    if single:
        monkeypatch.setattr(padded_batches, "SHORT_ROW_TOKENS", 0)
        monkeypatch.setattr(padded_batches, "MAX_ROW_TOKENS", 0)
        monkeypatch.setattr(prefix_attention, "QUERIES_PER_BLOCK", 2)
    layout = lay_out(encoded(nested_rows()), share=True)
    total = len(layout.ids)
    queries = list(range(0, total, 3)) if some_queries else None
    plan = plan_attention(layout.segments, total, query_indices=queries, share_prefixes=True)
    assert len(plan.shared_prefixes) >= 3 and bool(plan.batches) != single
    segments = layout.segments if queries is None else narrow_segments(layout.segments, queries)
    slope = torch.randn((1, 4, total, 8), generator=torch.Generator().manual_seed(1))
    if queries is not None:
        slope = slope * torch.zeros(total).index_fill(0, torch.tensor(queries), 1.0)[:, None]
    tensors = random_tensors(total, 4, key_heads, torch.float32)
    options = AttentionOptions(0.3)
    found = output_and_gradients(tensors, slope, segments=segments, options=options, plan=plan)
    wide = [tensor.detach().double().requires_grad_() for tensor in tensors]
    expected = output_and_gradients(wide, slope.double(), segments=segments, options=options)
    if queries is not None:
        found[0], expected[0] = found[0][:, :, queries], expected[0][:, :, queries]
    for value, truth in zip(found, expected, strict=True):
        assert float((value - truth).norm()) <= 1e-6 * float(truth.norm())


def test_a_window_or_a_soft_cap_is_attended_without_shared_prefixes() -> None:
    layout = lay_out(encoded(nested_rows()), share=True)
    total = len(layout.ids)
    plan = plan_attention(layout.segments, total, share_prefixes=True)
    tensors = random_tensors(total, 4, 2, torch.float32)
    for options in (AttentionOptions(0.3, window=5), AttentionOptions(0.3, softcap=2.0)):
        slope = torch.ones(1)
        found = output_and_gradients(tensors, slope, segments=layout.segments, options=options, plan=plan)
        expected = output_and_gradients(tensors, slope, segments=layout.segments, options=options)
        assert all(torch.equal(value, truth) for value, truth in zip(found, expected, strict=True))


def test_the_check_before_a_run_covers_a_prefix_read_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    rows = shared_prefix_rows(ProbeTokens(tuple(range(3, 99)), None, None))
    assert find_shared_prefixes(lay_out([EncodedSequence("probe", row, ()) for row in rows], share=True).segments)
