"""Prefixes that are kept in place: what stands behind them sees the same keys, and gives the same numbers and gradients."""

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
from tunesmith.models.packed.prefix_trie import Segment, lay_out, narrow_segments
from tunesmith.models.packed.sdpa import AttentionOptions, attend_segments
from tunesmith.models.probe_rows import ProbeTokens

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=14)


def encoded(rows: list[list[int]]) -> list[EncodedSequence]:
    return [EncodedSequence(str(at), tuple(ids), ()) for at, ids in enumerate(rows)]


def nested() -> list[list[int]]:
    """Two prompts behind one start, questions on each, several answers of a question, and one row that is all prefix."""
    rows = []
    for prompt in (range(10, 34), range(40, 59)):
        for question in (range(60, 66), range(70, 79), range(80, 82)):
            rows += [[1, *prompt, *question, 90 + n, *range(91, 91 + n)] for n in range(6)]
        rows.append([1, *prompt])
    return rows


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padded_batches, "MIN_SAVED_COPIES", 6)


def test_roots_drawn_by_hand() -> None:
    """Four rows behind eight tokens; two of them share two more, which is not worth it."""
    segments = (
        Segment(0, 12), Segment(12, 2, ((0, 10),)), Segment(14, 3, ((0, 8),)), Segment(17, 1, ((0, 8),)), Segment(18, 9),
    )  # fmt: skip
    (root,) = found = find_shared_prefixes(segments)
    assert root == SharedPrefix(0, 8, 18)
    assert remove_shared_prefixes(segments, found) == (
        Segment(0, 8), Segment(8, 4), Segment(12, 2, ((8, 10),)), Segment(14, 3), Segment(17, 1), Segment(18, 9),
    )  # fmt: skip


def seen_by(place: int, parts: tuple[Segment, ...], roots: tuple[SharedPrefix, ...]) -> list[int]:
    """The places whose keys a query is shown, each as often as it is shown."""
    found = [key for root in roots if root.end <= place < root.stop for key in range(root.start, root.end)]
    for one in parts:
        if one.start <= place < one.start + one.length:
            found += [key for start, end in one.path for key in range(start, end) if key <= place]
    return sorted(found)


@given(ROWS)
def test_every_place_sees_its_own_path_once(rows: list[list[int]]) -> None:
    layout = lay_out(encoded(rows), share=True)
    roots = find_shared_prefixes(layout.segments)
    parts = remove_shared_prefixes(layout.segments, roots)
    for path in layout.paths:
        places = [place for start, end in path for place in range(start, end)]
        for at, place in enumerate(places):
            assert seen_by(place, parts, roots) == sorted(places[: at + 1])


def tensors(total: int, heads: int, kept: int, dtype: torch.dtype) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(total)
    return [torch.randn((1, n, total, 8), generator=made, dtype=dtype).requires_grad_() for n in (heads, kept, kept)]


def numbers(given: list[torch.Tensor], slope: torch.Tensor, **how: object) -> list[torch.Tensor]:
    out = attend_segments(*given, **how)
    return [out.detach(), *torch.autograd.grad((out * slope).sum(), given)]


@pytest.mark.parametrize("kept", [1, 2, 4])
@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_values_and_gradients_are_those_of_segments_one_by_one(
    kept: int, some: bool, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`some`: only every third place is asked; `alone`: no row is short enough to be stacked, and blocks have two queries."""
    if alone:
        monkeypatch.setattr(padded_batches, "SHORT_ROW_TOKENS", 0)
        monkeypatch.setattr(padded_batches, "MAX_ROW_TOKENS", 0)
        monkeypatch.setattr(prefix_attention, "QUERIES_PER_BLOCK", 2)
    layout = lay_out(encoded(nested()), share=True)
    total = len(layout.ids)
    asked = list(range(0, total, 3)) if some else None
    arrangement = plan_attention(layout.segments, total, asked=asked, roots=True)
    assert len(arrangement.roots) >= 3 and bool(arrangement.stacks) != alone
    segments = layout.segments if asked is None else narrow_segments(layout.segments, asked)
    slope = torch.randn((1, 4, total, 8), generator=torch.Generator().manual_seed(1))
    if asked is not None:
        slope = slope * torch.zeros(total).index_fill(0, torch.tensor(asked), 1.0)[:, None]
    given = tensors(total, 4, kept, torch.float32)
    mine = numbers(given, slope, segments=segments, rule=AttentionOptions(0.3), arrangement=arrangement)
    wide = [one.detach().double().requires_grad_() for one in given]
    theirs = numbers(wide, slope.double(), segments=segments, rule=AttentionOptions(0.3))
    if asked is not None:
        mine[0], theirs[0] = mine[0][:, :, asked], theirs[0][:, :, asked]
    for one, other in zip(mine, theirs, strict=True):
        assert float((one - other).norm()) <= 1e-6 * float(other.norm())


def test_a_window_or_a_soft_cap_goes_without_roots() -> None:
    layout = lay_out(encoded(nested()), share=True)
    total = len(layout.ids)
    arrangement = plan_attention(layout.segments, total, roots=True)
    given = tensors(total, 4, 2, torch.float32)
    for rule in (AttentionOptions(0.3, window=5), AttentionOptions(0.3, softcap=2.0)):
        slope = torch.ones(1)
        mine = numbers(given, slope, segments=layout.segments, rule=rule, arrangement=arrangement)
        theirs = numbers(given, slope, segments=layout.segments, rule=rule)
        assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def test_the_trial_before_a_run_tries_a_prefix_that_is_kept_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    rows = shared_prefix_rows(ProbeTokens(tuple(range(3, 99)), None, None))
    assert find_shared_prefixes(lay_out([EncodedSequence("tried", row, ()) for row in rows], share=True).segments)
