"""The most likely of a fixed set of completions for many prompts, exact, by searches that run side by side.

Each forward runs the nodes that all searches need next. The branches of one prompt lie side by side in its row of the KV cache;
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
"""Tokens per forward above which its cost grows in proportion. Below, running more nodes costs next to nothing."""

MAX_NODES_PER_PROMPT = 32
"""Nodes of one prompt per forward. With more, too many turn out not to be needed."""

EXTRA_CACHE_SLOTS = 64
"""Slots added when the cache is full."""

MAX_LOGIT_ROWS = 256
"""Rows of logits [256, V] in memory at once."""


def label_completions(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[tuple[int, ...]]:
    """Each label as the completion the model was trained to write: its tokens and the template's end-of-turn token.

    Raises DataError if the template has no end of an assistant turn, or if its tokens depend on what precedes them.
    """
    question = message("user", "?")
    start = prompt_ids(tokenizer, (question,))
    stops = stop_ids(tokenizer)
    completions = []
    for label in labels:
        turns = (question, message("assistant", label))
        ids = token_ids(tokenizer, render_conversation(tokenizer, turns, add_generation_prompt=False))
        end = next((position for position in range(len(start), len(ids)) if ids[position] in stops), None)
        if ids[: len(start)] != start or end is None:
            raise DataError(f"the chat template cannot write the label {label!r} as an answer")
        completions.append(tuple(ids[len(start) : end + 1]))
    return completions


def choose(
    engine: Engine,
    prompts: Sequence[TokenIds],
    options: Sequence[TokenIds],
    *,
    batch: int,
    report: Callable[[int], None] = lambda rows: None,
) -> list[Choice]:
    """For each prompt the option with the highest summed log-probability.

    Exact up to the rounding of fp32 logits; ties are broken the same way every time. `report` receives the number of finished
    rows of each batch. Raises DataError for a prompt that leaves no room for the longest option, and for NaN logits.
    """
    trie = build_trie(options)
    longest_option = max(node.depth for node in trie)
    longest_prompt = max(map(len, prompts), default=0)
    if longest_prompt + longest_option > engine.context:
        raise DataError(
            f"a prompt of {longest_prompt} tokens leaves no room for a label of {longest_option}; "
            f"the context holds {engine.context}",
            hint="shorten the prompt",
        )
    choices: dict[int, Choice] = {}
    for rows in engine.prefill(prompts, batch=batch, new_tokens=EXTRA_CACHE_SLOTS):
        _search_batch(engine, rows, trie, choices)
        report(len(rows.indices))
    return [choices[index] for index in range(len(prompts))]


def _search_batch(engine: Engine, batch: DecodingBatch, trie: list[TrieNode], choices: dict[int, Choice]) -> None:
    """Search all prompts of a batch to their end; finished rows leave the cache."""
    searches = [LabelSearch(index, length) for index, length in zip(batch.indices, batch.lengths.tolist(), strict=True)]
    _score_children(engine, trie, [(search, 0) for search in searches], batch.hidden)
    while True:
        results = [search.result(trie) for search in searches]
        choices.update(
            {search.index: result for search, result in zip(searches, results, strict=True) if result is not None}
        )
        active = [at for at, result in enumerate(results) if result is None]
        if not active:
            return
        if len(active) < MIN_ACTIVE_SHARE * len(searches):
            batch.cache.keep_rows(torch.tensor(active, device=batch.hidden.device))
            searches, active = [searches[at] for at in active], list(range(len(active)))
        width = min(MAX_NODES_PER_PROMPT, max(1, COMPUTE_BOUND_TOKENS // len(active)))
        nodes_by_row: list[list[int]] = [[] for _ in searches]
        for at in active:
            nodes_by_row[at] = searches[at].take_nodes(trie, width)
        hidden = _run_nodes(engine, batch, trie, searches, nodes_by_row)
        pairs = [(search, node) for search, nodes in zip(searches, nodes_by_row, strict=True) for node in nodes]
        _score_children(engine, trie, pairs, hidden)


def _run_nodes(
    engine: Engine,
    batch: DecodingBatch,
    trie: list[TrieNode],
    searches: list[LabelSearch],
    nodes_by_row: list[list[int]],
) -> torch.Tensor:
    """Hidden states [T, D] of the tokens of these nodes, row by row; each sees its prompt and its ancestors."""
    used = max(search.length + len(search.slots) for search in searches)
    if used > batch.cache.capacity:
        batch.cache.grow(used + EXTRA_CACHE_SLOTS)
    # One cell per node (row, column, token, slot, position), and every slot that a cell sees beside the prompt.
    cells, seen_slots = [], []
    for at, (search, nodes) in enumerate(zip(searches, nodes_by_row, strict=True)):
        for column, node in enumerate(nodes):
            cells.append((at, column, trie[node].token, search.slots[node], search.length + trie[node].depth - 1))
            seen_slots += [(at, column, slot) for slot in search.path_slots(trie, node)]
    cell_rows, cell_columns, *values = torch.tensor(cells).T
    shape = (len(searches), max(map(len, nodes_by_row)))  # (B, Q)
    grid = torch.zeros((3, *shape), dtype=torch.int64)
    grid[:, cell_rows, cell_columns] = torch.stack(values)
    tokens, slots, positions = grid
    present = torch.zeros(shape, dtype=torch.bool)
    present[cell_rows, cell_columns] = True
    prompts = torch.arange(used) < torch.tensor([search.length for search in searches])[:, None]  # (B, used)
    visible = prompts[:, None].repeat(1, shape[1], 1)  # (B, Q, used)
    visible[tuple(torch.tensor(seen_slots).T)] = True
    device = batch.hidden.device
    layout = ForwardLayout(slots.to(device), positions.to(device), visible.to(device), present.to(device))
    return engine.forward(tokens.to(device), layout, batch.cache)


def _score_children(
    engine: Engine, trie: list[TrieNode], nodes: list[tuple[LabelSearch, int]], hidden: torch.Tensor
) -> None:
    """Queue the children of nodes that were just run, parents before children; hidden [T, D] has one state per node."""
    for start in range(0, len(nodes), MAX_LOGIT_ROWS):
        group = nodes[start : start + MAX_LOGIT_ROWS]
        children = [list(trie[node].children) for _, node in group]
        lines = torch.tensor([line for line, tokens in enumerate(children) for _ in tokens], device=hidden.device)
        flat = torch.tensor([token for tokens in children for token in tokens], device=hidden.device)
        logprobs = engine.logits(hidden[start : start + MAX_LOGIT_ROWS]).log_softmax(dim=-1)  # (rows, V)
        child_logprobs = logprobs[lines, flat]  # (children of all nodes,)
        if child_logprobs.isnan().any():
            hint = "the weights are damaged, or training diverged: train again with a lower train.learning_rate"
            raise DataError("the model's logits are NaN", where="a prompt of this batch", hint=hint)
        remaining = iter(child_logprobs.tolist())
        for (search, node), tokens in zip(group, children, strict=True):
            search.add_children(trie, node, [next(remaining) for _ in tokens])
