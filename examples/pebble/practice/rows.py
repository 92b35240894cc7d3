"""Drawing the kind of every row and writing the row."""

from random import Random

from . import categories, copying, dialogues, drills, fields, lists, patterns, questions, sums

SOURCE = "tunesmith-practice"
KINDS = {
    "drills": (20, drills.make), "questions": (16, questions.make), "fields": (22, fields.make),
    "categories": (18, categories.make), "patterns": (5, patterns.make), "lists": (5, lists.make),
    "copying": (8, copying.make), "dialogues": (4, dialogues.make), "sums": (2, sums.make)}
NAMES = list(KINDS)
WEIGHTS = [weight for weight, _ in KINDS.values()]


SHORT_KINDS = {"patterns", "lists", "copying", "dialogues", "sums"}


def lengthened(rng, kind, messages):
    """Short chats of small jobs go on with more jobs, to three turns at most."""
    while messages[0]["role"] == "user" and len(messages) < 6:
        if sum(len(message["content"]) for message in messages) > 260 or rng.random() < 0.3:
            break
        more = KINDS[kind][1](rng)
        if len(more) == 2:
            messages = messages + more
    return messages


def row(seed, index, kind=None):
    """The row with this index; it depends on the seed, the kind and the index alone."""
    if kind is None:
        kind = Random(f"{seed}:kind:{index}").choices(NAMES, WEIGHTS)[0]
    rng = Random(f"{seed}:{kind}:{index}")
    messages = KINDS[kind][1](rng)
    if kind in SHORT_KINDS:
        messages = lengthened(rng, kind, messages)
    return {"messages": messages, "source": SOURCE, "kind": kind}


def rows(count, seed):
    """The first rows of a seed, one after the other."""
    for index in range(count):
        yield row(seed, index)
