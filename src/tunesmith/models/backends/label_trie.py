"""The best of a fixed set of completions for one prompt: best-first search over the trie of their tokens.

A log-probability only falls along a path, so the first complete option that is taken from the queue is the best of all, and
most of the trie is never looked at. Nothing here knows of tensors: whoever runs the nodes says what their children cost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from tunesmith.errors import Misuse

TokenIds = Sequence[int]

MAX_COST_RATIO = 1.25
"""A node is worth running along with the best one when it costs at most so much more: an answer is seldom cheaper than that.
A model that has decided is not made to look at what it has ruled out."""


@dataclass(frozen=True)
class Choice:
    """Which option is best, and the natural log of its probability, its end token included."""

    index: int
    logprob: float


@dataclass
class TrieNode:
    """A token of the trie. `option` is the option that ends here, if one does."""

    token: int
    parent: int
    depth: int
    children: dict[int, int] = field(default_factory=dict)
    option: int | None = None


def build_trie(options: Sequence[TokenIds]) -> list[TrieNode]:
    """Nodes, the root first. Raises Misuse when there is no option, an empty one or the same twice."""
    if not options:
        raise Misuse("there is nothing to choose from")
    trie = [TrieNode(token=-1, parent=-1, depth=0)]
    for option, ids in enumerate(options):
        place = 0
        for token in ids:
            if token not in trie[place].children:
                trie[place].children[token] = len(trie)
                trie.append(TrieNode(token=token, parent=place, depth=trie[place].depth + 1))
            place = trie[place].children[token]
        if place == 0 or trie[place].option is not None:
            raise Misuse(f"option {option} is empty or the same as another one")
        trie[place].option = option
    return trie


@dataclass
class LabelSearch:
    """Where the search of one prompt of `length` tokens stands: the queue of (-logprob, option or none, node), what is known
    of each node, and the slot of each node whose token has been run."""

    index: int
    length: int
    queue: list[tuple[float, int, int]] = field(default_factory=list)
    logprobs: dict[int, float] = field(default_factory=lambda: {0: 0.0})
    slots: dict[int, int] = field(default_factory=dict)

    def offer(self, trie: list[TrieNode], node: int, gains: Sequence[float]) -> None:
        """Queue the children of a node that has been run; `gains` are their log-probabilities behind it."""
        for child, gain in zip(trie[node].children.values(), gains, strict=True):
            self.logprobs[child] = self.logprobs[node] + gain
            if child not in self.slots:
                option = trie[child].option
                heappush(self.queue, (-self.logprobs[child], len(trie) if option is None else option, child))

    def answer(self, trie: list[TrieNode]) -> Choice | None:
        """The best option, when nothing unfinished can still beat it."""
        cost, _, node = self.queue[0]
        option = trie[node].option
        return None if option is None else Choice(option, -cost)

    def take(self, trie: list[TrieNode], width: int) -> list[int]:
        """The nodes to run next, at most `width`, each given its slot; none that is worse than the best finished option.

        When only one is worth it, what must follow it is run along: the single children below it.
        """
        limit = MAX_COST_RATIO * self.queue[0][0]
        taken: list[int] = []
        while self.queue and len(taken) < width and self.queue[0][0] <= limit and not self._finished(trie):
            taken.append(heappop(self.queue)[2])
        if len(taken) == 1:
            taken.extend(_single_child_chain(trie, taken[0], width - 1))
        for node in taken:
            self.slots[node] = self.length + len(self.slots)
        return taken

    def _finished(self, trie: list[TrieNode]) -> bool:
        return trie[self.queue[0][2]].option is not None

    def path(self, trie: list[TrieNode], node: int) -> Iterator[int]:
        """Slots of a node and its ancestors."""
        while node > 0:
            yield self.slots[node]
            node = trie[node].parent


def _single_child_chain(trie: list[TrieNode], node: int, room: int) -> list[int]:
    found: list[int] = []
    while len(found) < room and len(trie[node].children) == 1:
        (node,) = trie[node].children.values()
        if trie[node].option is not None:
            break
        found.append(node)
    return found
