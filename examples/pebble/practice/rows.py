"""Drawing the kind of every row and writing the row."""

from random import Random

from . import categories, copying, dialogues, fields, lists, patterns, questions, sums

SOURCE = "tunesmith-practice"
KINDS = {
    "questions": (20, questions.make), "fields": (25, fields.make), "categories": (20, categories.make),
    "patterns": (8, patterns.make), "lists": (8, lists.make), "copying": (8, copying.make),
    "dialogues": (8, dialogues.make), "sums": (3, sums.make)}
NAMES = list(KINDS)
WEIGHTS = [weight for weight, _ in KINDS.values()]


def row(seed, index, kind=None):
    """The row with this index; it depends on the seed, the kind and the index alone."""
    if kind is None:
        kind = Random(f"{seed}:kind:{index}").choices(NAMES, WEIGHTS)[0]
    messages = KINDS[kind][1](Random(f"{seed}:{kind}:{index}"))
    return {"messages": messages, "source": SOURCE, "kind": kind}


def rows(count, seed):
    """The first rows of a seed, one after the other."""
    for index in range(count):
        yield row(seed, index)
