"""The best of a fixed set of completions for many prompts, exactly: their searches go on side by side.

Each forward runs the nodes that all searches want next. The branches of one prompt lie side by side in its row of the cache;
a token sees the prompt and its own ancestors.
"""

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import message
from tunesmith.chat.encode import prompt_ids, render_conversation, stop_ids, token_ids
from tunesmith.errors import DataError
from tunesmith.models.backends.engine import DecodingBatch, Engine, TokenIds
from tunesmith.models.backends.greedy import MIN_ACTIVE_SHARE
from tunesmith.models.backends.kv_cache import ForwardLayout
from tunesmith.models.backends.label_trie import Choice, LabelSearch, TrieNode, build_trie

COMPUTE_BOUND_TOKENS = 512
"""Tokens per forward from which on more of them cost in proportion. Below, looking ahead costs next to nothing."""

MAX_NODES_PER_PROMPT = 32
"""Nodes of one prompt run together, at most: with more, too many turn out not to be needed."""

EXTRA_CACHE_SLOTS = 64
"""Slots that a full cache is given more."""

MAX_LOGIT_ROWS = 256
"""Rows of logits [256, V] that are made at once."""


def label_completions(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[tuple[int, ...]]:
    """Each label as the completion the model was trained to write: its tokens and the template's end-of-turn token.

    Raises DataError when the template gives an assistant turn no end, or tokens that depend on what precedes them.
    """
    question = message("user", "?")
    start = prompt_ids(tokenizer, (question,))
    stops = stop_ids(tokenizer)
    found = []
    for label in labels:
        turns = (question, message("assistant", label))
        ids = token_ids(tokenizer, render_conversation(tokenizer, turns, ask=False))
        end = next((place for place in range(len(start), len(ids)) if ids[place] in stops), None)
        if ids[: len(start)] != start or end is None:
            raise DataError(f"the chat template cannot write the label {label!r} as an answer")
        found.append(tuple(ids[len(start) : end + 1]))
    return found


def choose(
    engine: Engine,
    prompts: Sequence[TokenIds],
    options: Sequence[TokenIds],
    *,
    batch: int,
    report: Callable[[int], None] = lambda rows: None,
) -> list[Choice]:
    """For each prompt the option with the highest summed log-probability.

    Exact up to the rounding of fp32 logits; ties are broken the same way every time. `report` is called with the number of
    finished rows of each batch. Raises DataError for a prompt that leaves no room for the longest option, and for NaN.
    """
    trie = build_trie(options)
    deepest = max(node.depth for node in trie)
    longest = max(map(len, prompts), default=0)
    if longest + deepest > engine.context:
        raise DataError(f"a prompt of {longest} tokens leaves no room for a label of {deepest}", hint="shorten it")
    found: dict[int, Choice] = {}
    for part in engine.read(prompts, batch=batch, room=EXTRA_CACHE_SLOTS):
        _search_batch(engine, part, trie, found)
        report(len(part.indices))
    return [found[index] for index in range(len(prompts))]


def _search_batch(engine: Engine, part: DecodingBatch, trie: list[TrieNode], found: dict[int, Choice]) -> None:
    rows = [LabelSearch(index, length) for index, length in zip(part.indices, part.lengths.tolist(), strict=True)]
    _score_children(engine, trie, [(row, 0) for row in rows], part.hidden)
    while True:
        answers = [row.answer(trie) for row in rows]
        found.update({row.index: answer for row, answer in zip(rows, answers, strict=True) if answer is not None})
        waiting = [place for place, answer in enumerate(answers) if answer is None]
        if not waiting:
            return
        if len(waiting) < MIN_ACTIVE_SHARE * len(rows):
            part.seen.keep(torch.tensor(waiting, device=part.hidden.device))
            rows, waiting = [rows[place] for place in waiting], list(range(len(waiting)))
        width = min(MAX_NODES_PER_PROMPT, max(1, COMPUTE_BOUND_TOKENS // len(waiting)))
        taken: list[list[int]] = [[] for _ in rows]
        for place in waiting:
            taken[place] = rows[place].take(trie, width)
        hidden = _run_nodes(engine, part, trie, rows, taken)
        _score_children(
            engine, trie, [(row, node) for row, nodes in zip(rows, taken, strict=True) for node in nodes], hidden
        )


def _run_nodes(
    engine: Engine, part: DecodingBatch, trie: list[TrieNode], rows: list[LabelSearch], taken: list[list[int]]
) -> torch.Tensor:
    """Hidden states [T, D] of the taken nodes' tokens, row by row, each seen from its own branch."""
    used = max(row.length + len(row.slots) for row in rows)
    if used > part.seen.capacity:
        part.seen.grow(used + EXTRA_CACHE_SLOTS)
    cells, sights = [], []
    for at, (row, nodes) in enumerate(zip(rows, taken, strict=True)):
        for column, node in enumerate(nodes):
            cells.append((at, column, trie[node].token, row.slots[node], row.length + trie[node].depth - 1))
            sights += [(at, column, slot) for slot in row.path(trie, node)]
    at_rows, columns, *values = torch.tensor(cells).T
    shape = (len(rows), max(map(len, taken)))
    grid = torch.zeros((3, *shape), dtype=torch.int64)
    grid[:, at_rows, columns] = torch.stack(values)
    tokens, slots, positions = grid
    present = torch.zeros(shape, dtype=torch.bool)
    present[at_rows, columns] = True
    prompts = torch.arange(used) < torch.tensor([row.length for row in rows])[:, None]
    visible = prompts[:, None].repeat(1, shape[1], 1)
    visible[tuple(torch.tensor(sights).T)] = True
    device = part.hidden.device
    aim = ForwardLayout(slots.to(device), positions.to(device), visible.to(device), present.to(device))
    return engine.forward(tokens.to(device), aim, part.seen)


def _score_children(
    engine: Engine, trie: list[TrieNode], run: list[tuple[LabelSearch, int]], hidden: torch.Tensor
) -> None:
    """Queue the children of the nodes that have just been run, parents before children; hidden [T, D]."""
    for start in range(0, len(run), MAX_LOGIT_ROWS):
        some = run[start : start + MAX_LOGIT_ROWS]
        children = [list(trie[node].children) for _, node in some]
        lines = torch.tensor([line for line, tokens in enumerate(children) for _ in tokens], device=hidden.device)
        flat = torch.tensor([token for tokens in children for token in tokens], device=hidden.device)
        logprobs = engine.logits(hidden[start : start + MAX_LOGIT_ROWS]).log_softmax(dim=-1)
        gained = logprobs[lines, flat]
        if gained.isnan().any():
            raise DataError("the model's logits are not numbers", where="a prompt of this batch")
        gains = iter(gained.tolist())
        for (row, node), tokens in zip(some, children, strict=True):
            row.offer(trie, node, [next(gains) for _ in tokens])
