"""The best of a fixed set of completions, exactly: best-first search over the trie of their tokens.

A log-probability only falls along a path, so the first complete option that is taken from the queue is the best of all,
and most of the trie is never looked at. The branches of one prompt lie side by side in its row of the cache; a token
sees the prompt and its own ancestors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from tunesmith import process
from tunesmith.artifacts import message
from tunesmith.data.chat import prompt_ids, render, stop_ids, token_ids
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends.engine import Batch, Engine, Ids

process.prepare()

import torch  # noqa: E402


class Choice(NamedTuple):
    """Which option is best, and the natural log of its probability, its end token included."""

    index: int
    logprob: float


@dataclass
class Node:
    """A token of the trie. `option` is the option that ends here, if one does."""

    token: int
    parent: int
    depth: int
    children: dict[int, int] = field(default_factory=dict)
    option: int | None = None


def label_options(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[tuple[int, ...]]:
    """Each label as the completion the model was trained to write: its tokens and the template's end-of-turn token.

    Raises DataError when the template gives an assistant turn no end, or tokens that depend on what precedes them.
    """
    question = message("user", "?")
    start = prompt_ids(tokenizer, (question,))
    stops = stop_ids(tokenizer)
    found = []
    for label in labels:
        turns = (question, message("assistant", label))
        ids = token_ids(tokenizer, render(tokenizer, turns, ask=False))
        end = next((place for place in range(len(start), len(ids)) if ids[place] in stops), None)
        if ids[: len(start)] != start or end is None:
            raise DataError(f"the chat template cannot write the label {label!r} as an answer")
        found.append(tuple(ids[len(start) : end + 1]))
    return found


def build_trie(options: Sequence[Ids]) -> list[Node]:
    """Nodes, the root first. Raises Misuse when there is no option, an empty one or the same twice."""
    if not options:
        raise Misuse("there is nothing to choose from")
    trie = [Node(token=-1, parent=-1, depth=0)]
    for option, ids in enumerate(options):
        place = 0
        for token in ids:
            if token not in trie[place].children:
                trie[place].children[token] = len(trie)
                trie.append(Node(token=token, parent=place, depth=trie[place].depth + 1))
            place = trie[place].children[token]
        if place == 0 or trie[place].option is not None:
            raise Misuse(f"option {option} is empty or the same as another one")
        trie[place].option = option
    return trie


def choose(
    engine: Engine,
    prompts: Sequence[Ids],
    options: Sequence[Ids],
    *,
    batch: int,
    report: Callable[[int], None] = lambda rows: None,
) -> list[Choice]:
    """For each prompt the option with the highest summed log-probability.

    Exact up to the rounding of fp32 logits; ties are broken the same way every time. `report` is called with the number of finished rows of each batch.
    """
    trie = build_trie(options)
    deepest = max(node.depth for node in trie)
    longest = max(map(len, prompts), default=0)
    if longest + deepest > engine.context:
        raise DataError(f"a prompt of {longest} tokens leaves no room for a label of {deepest}", hint="shorten it")
    found: dict[int, Choice] = {}
    for part in engine.read(prompts, batch=batch, room=2 * deepest):
        _search(engine, part, trie, found)
        report(len(part.indices))
    return [found[index] for index in range(len(prompts))]


@dataclass
class Search:
    """Where the search of one prompt stands: the queue of (-logprob, option or none, node), and the slot of each node
    whose token has been run."""

    index: int
    length: int
    queue: list[tuple[float, int, int]] = field(default_factory=list)
    slots: dict[int, int] = field(default_factory=dict)

    def offer(self, trie: list[Node], place: int, logprob: float, children: Iterator[float]) -> None:
        """Queue the children of a node whose own path has `logprob`."""
        for child, gain in zip(trie[place].children.values(), children, strict=True):
            option = trie[child].option
            heappush(self.queue, (-(logprob + gain), len(trie) if option is None else option, child))

    def path(self, trie: list[Node], place: int) -> list[int]:
        """Slots of a node's ancestors."""
        slots = []
        while (place := trie[place].parent) > 0:
            slots.append(self.slots[place])
        return slots


def _search(engine: Engine, part: Batch, trie: list[Node], found: dict[int, Choice]) -> None:
    rows = [
        Search(index, length) for index, length in zip(part.indices, part.lengths.tolist(), strict=True)
    ]
    _spread(engine, trie, rows, [(0.0, 0)] * len(rows), part.hidden)
    while True:
        taken = [heappop(row.queue) for row in rows]
        open_rows = []
        for place, (row, (cost, _, node)) in enumerate(zip(rows, taken, strict=True)):
            option = trie[node].option
            if option is None:
                open_rows.append(place)
            else:
                found[row.index] = Choice(option, -cost)
        if not open_rows:
            return
        if len(open_rows) < len(rows):
            part.seen.keep(torch.tensor(open_rows, device=part.hidden.device))
            rows, taken = [rows[place] for place in open_rows], [taken[place] for place in open_rows]
        nodes = [(-cost, node) for cost, _, node in taken]
        _spread(engine, trie, rows, nodes, _run(engine, part, trie, rows, nodes))


def _run(
    engine: Engine, part: Batch, trie: list[Node], rows: list[Search], nodes: list[tuple[float, int]]
) -> torch.Tensor:
    """Hidden states [B, D] after one more token in each row, seen from its own branch."""
    device = part.hidden.device
    slots = [row.length + len(row.slots) for row in rows]
    used = max(slots) + 1
    if used > part.seen.capacity:
        part.seen.grow(2 * used)
    positions = [row.length + trie[node].depth - 1 for row, (_, node) in zip(rows, nodes, strict=True)]
    visible = torch.arange(used) < torch.tensor([row.length for row in rows])[:, None]
    for place, (row, (_, node)) in enumerate(zip(rows, nodes, strict=True)):
        visible[place, [*row.path(trie, node), slots[place]]] = True
        row.slots[node] = slots[place]
    part.seen.aim(torch.tensor(slots, device=device)[:, None], visible[:, None].to(device))
    tokens = torch.tensor([[trie[node].token] for _, node in nodes], device=device)
    return engine.forward(tokens, torch.tensor(positions, device=device)[:, None], part.seen)[:, 0]


def _spread(
    engine: Engine, trie: list[Node], rows: list[Search], nodes: list[tuple[float, int]], hidden: torch.Tensor
) -> None:
    """Queue the children of the node each row has just run."""
    logits = engine.logits(hidden)
    totals = logits.logsumexp(dim=-1)
    for place, (row, (logprob, node)) in enumerate(zip(rows, nodes, strict=True)):
        tokens = torch.tensor(list(trie[node].children), device=logits.device)
        gains = (logits[place, tokens] - totals[place]).clamp(max=0.0).tolist()
        row.offer(trie, node, logprob, iter(gains))
