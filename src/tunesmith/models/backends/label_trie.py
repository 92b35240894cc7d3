"""Best-first search for the most likely of a fixed set of completions, over the trie of their tokens.

A log-probability only falls along a path. The first complete option that reaches the head of the queue is therefore the best
one, and most of the trie is never visited. This module holds no tensors: the caller runs the nodes and reports the
log-probabilities of their children.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from tunesmith.errors import Misuse

TokenIds = Sequence[int]

MAX_COST_RATIO = 1.25
"""Nodes are run together with the best one if they cost at most this many times as much: an answer is seldom cheaper. A
confident model is not made to visit what it has ruled out."""


@dataclass(frozen=True)
class Choice:
    """Index of the best option, and the natural log of its probability, end token included."""

    index: int
    logprob: float


@dataclass
class TrieNode:
    """One token of the trie. `children` maps tokens to node indices. `option` is the option that ends here, if any."""

    token: int
    parent: int
    depth: int
    children: dict[int, int] = field(default_factory=dict)
    option: int | None = None


def build_trie(options: Sequence[TokenIds]) -> list[TrieNode]:
    """The nodes of the trie, root first. Raises Misuse without options, and for an empty or duplicate option."""
    if not options:
        raise Misuse("there are no options to choose from")
    trie = [TrieNode(token=-1, parent=-1, depth=0)]
    for option, ids in enumerate(options):
        node = 0
        for token in ids:
            if token not in trie[node].children:
                trie[node].children[token] = len(trie)
                trie.append(TrieNode(token=token, parent=node, depth=trie[node].depth + 1))
            node = trie[node].children[token]
        if node == 0 or trie[node].option is not None:
            raise Misuse(f"option {option} is empty or a duplicate")
        trie[node].option = option
    return trie


@dataclass
class LabelSearch:
    """State of the search for one prompt of `length` tokens: the queue of (-logprob, option or number of nodes, node), the
    log-probability of each node reached, and the cache slot of each node that was run."""

    index: int
    length: int
    queue: list[tuple[float, int, int]] = field(default_factory=list)
    logprobs: dict[int, float] = field(default_factory=lambda: {0: 0.0})
    slots: dict[int, int] = field(default_factory=dict)

    def add_children(self, trie: list[TrieNode], node: int, logprobs: Sequence[float]) -> None:
        """Queue the children of a node that was run, given their log-probabilities after it."""
        for child, logprob in zip(trie[node].children.values(), logprobs, strict=True):
            self.logprobs[child] = self.logprobs[node] + logprob
            if child not in self.slots:
                option = trie[child].option
                heappush(self.queue, (-self.logprobs[child], len(trie) if option is None else option, child))

    def result(self, trie: list[TrieNode]) -> Choice | None:
        """The best option, or None while an incomplete path can still beat it."""
        cost, _, node = self.queue[0]
        option = trie[node].option
        return None if option is None else Choice(option, -cost)

    def take_nodes(self, trie: list[TrieNode], width: int) -> list[int]:
        """The nodes to run next, at most `width`, each with a slot assigned; none is worse than the best complete option.

        If only one is worth running, the chain of single children below it is run along with it.
        """
        limit = MAX_COST_RATIO * self.queue[0][0]
        nodes: list[int] = []
        while self.queue and len(nodes) < width and self.queue[0][0] <= limit and trie[self.queue[0][2]].option is None:
            nodes.append(heappop(self.queue)[2])
        if len(nodes) == 1:
            nodes.extend(_single_child_chain(trie, nodes[0], width - 1))
        for node in nodes:
            self.slots[node] = self.length + len(self.slots)
        return nodes

    def path_slots(self, trie: list[TrieNode], node: int) -> Iterator[int]:
        """Slots of a node and its ancestors, root excluded."""
        while node > 0:
            yield self.slots[node]
            node = trie[node].parent


def _single_child_chain(trie: list[TrieNode], node: int, max_nodes: int) -> list[int]:
    """Descendants of a node as long as each is an only child and completes no option."""
    chain: list[int] = []
    while len(chain) < max_nodes and len(trie[node].children) == 1:
        (node,) = trie[node].children.values()
        if trie[node].option is not None:
            break
        chain.append(node)
    return chain
