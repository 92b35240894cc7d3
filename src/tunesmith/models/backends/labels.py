"""The best of a fixed set of completions, exactly: best-first search over the trie of their tokens.

A log-probability only falls along a path, so the first complete option that is taken from the queue is the best of all,
and most of the trie is never looked at. The branches of one prompt lie side by side in its row of the cache; a token
sees the prompt and its own ancestors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from tunesmith import process
from tunesmith.artifacts import message
from tunesmith.data.chat import prompt_ids, render, stop_ids, token_ids
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends.engine import Batch, Engine, Ids

process.prepare()

import torch  # noqa: E402
from transformers import PreTrainedTokenizerBase  # noqa: E402


@dataclass(frozen=True)
class Choice:
    """Which option is best, and the natural log of its probability, its end token included."""

    index: int
    logprob: float


class Step(NamedTuple):
    """A node whose token is to be run, and the log-probability of the path to it."""

    node: int
    logprob: float


WIDEST = 16
"""Nodes of one prompt run together, at most."""


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

    Exact up to the rounding of fp32 logits; ties are broken the same way every time. `report` is called with the number of
    finished rows of each batch. Raises DataError for a prompt that leaves no room for the longest option.
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

    def offer(self, trie: list[Node], step: Step, gains: Sequence[float]) -> None:
        """Queue the children of a node that has been run."""
        for child, gain in zip(trie[step.node].children.values(), gains, strict=True):
            option = trie[child].option
            heappush(self.queue, (-(step.logprob + gain), len(trie) if option is None else option, child))

    def answer(self, trie: list[Node]) -> Choice | None:
        """The best option, when nothing unfinished can still beat it."""
        cost, _, node = self.queue[0]
        option = trie[node].option
        return None if option is None else Choice(option, -cost)

    def take(self, trie: list[Node], width: int) -> list[Step]:
        """The best unfinished nodes, at most `width`; none that is worse than the best finished option."""
        steps: list[Step] = []
        while self.queue and len(steps) < width and trie[self.queue[0][2]].option is None:
            cost, _, node = heappop(self.queue)
            steps.append(Step(node, -cost))
        return steps

    def path(self, trie: list[Node], node: int) -> list[int]:
        """Slots of a node and its ancestors."""
        slots = []
        while node > 0:
            slots.append(self.slots[node])
            node = trie[node].parent
        return slots


def _search(engine: Engine, part: Batch, trie: list[Node], found: dict[int, Choice]) -> None:
    rows = [Search(index, length) for index, length in zip(part.indices, part.lengths.tolist(), strict=True)]
    _spread(engine, trie, rows, [[Step(0, 0.0)] for _ in rows], part.hidden[:, None])
    patience = max(node.depth for node in trie)
    for turn in count():
        answers = [row.answer(trie) for row in rows]
        found.update({row.index: answer for row, answer in zip(rows, answers, strict=True) if answer is not None})
        still = [place for place, answer in enumerate(answers) if answer is None]
        if not still:
            return
        if len(still) < len(rows):
            part.seen.keep(torch.tensor(still, device=part.hidden.device))
            rows = [rows[place] for place in still]
        # A model that knows the labels walks straight down; one that does not is helped by looking at more at once.
        width = min(2 ** max(0, turn - patience), WIDEST)
        steps = [row.take(trie, width) for row in rows]
        _spread(engine, trie, rows, steps, _run(engine, part, trie, rows, steps))


def _run(engine: Engine, part: Batch, trie: list[Node], rows: list[Search], steps: list[list[Step]]) -> torch.Tensor:
    """Hidden states [B, Q, D] of the taken nodes' tokens, each seen from its own branch.

    A row with fewer nodes than Q repeats its prompt's view in slots that the next call overwrites.
    """
    wide = max(map(len, steps))
    first = torch.tensor([row.length + len(row.slots) for row in rows])
    slots = first[:, None] + torch.arange(wide)
    used = int(slots.max()) + 1
    if used > part.seen.capacity:
        part.seen.grow(2 * used)
    prompt = torch.arange(used) < torch.tensor([row.length for row in rows])[:, None]
    visible = prompt[:, None].repeat(1, wide, 1)
    tokens, positions = torch.zeros_like(slots), torch.zeros_like(slots)
    for place, (row, taken) in enumerate(zip(rows, steps, strict=True)):
        for query, step in enumerate(taken):
            row.slots[step.node] = int(slots[place, query])
            visible[place, query, row.path(trie, step.node)] = True
            tokens[place, query] = trie[step.node].token
            positions[place, query] = row.length + trie[step.node].depth - 1
    device = part.hidden.device
    part.seen.aim(slots.to(device), visible.to(device))
    return engine.forward(tokens.to(device), positions.to(device), part.seen)


def _spread(
    engine: Engine, trie: list[Node], rows: list[Search], steps: list[list[Step]], hidden: torch.Tensor
) -> None:
    """Queue the children of the nodes that have just been run; hidden [B, Q, D]."""
    places = [(row, query) for row, taken in enumerate(steps) for query in range(len(taken))]
    index = torch.tensor(places, device=hidden.device).T
    logits = engine.logits(hidden[index[0], index[1]])
    totals = logits.logsumexp(dim=-1)
    taken_steps = [step for taken in steps for step in taken]
    children = [list(trie[step.node].children) for step in taken_steps]
    lines = torch.tensor([line for line, tokens in enumerate(children) for _ in tokens], device=hidden.device)
    flat = torch.tensor([token for tokens in children for token in tokens], device=hidden.device)
    gains = iter((logits[lines, flat] - totals[lines]).clamp(max=0.0).tolist())
    for (row, _), step, tokens in zip(places, taken_steps, children, strict=True):
        rows[row].offer(trie, step, [next(gains) for _ in tokens])
