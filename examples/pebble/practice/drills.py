"""Pure copying: long runs of unrelated words, codes and numbers, said again, looked up or carried on."""

from . import things, words
from .sentences import odd_token
from .shape import turn
from .values import code, digits, invented

JOINERS = (" ", " ", ", ", "\n", "; ", " - ")
POOLS = (things.NOUNS, things.FOODS, things.PRODUCTS, words.ANIMALS, words.WOMEN, words.MEN, words.SURNAMES,
         words.JOBS, words.COLOURS)


def scramble(rng):
    """A run of letters that is no word."""
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9)))


def piece(rng, kind):
    """One thing of a kind; kind 5 and above draw a kind anew for every piece."""
    kind = rng.randrange(5) if kind >= 5 else kind
    if kind == 0:
        return rng.choice(rng.choice(POOLS))
    if kind == 1:
        return rng.choice((code, odd_token))(rng)
    if kind == 2:
        return digits(rng, rng.randint(2, 8))
    return invented(rng) if kind == 3 else scramble(rng)


def run(rng, low, high, letters=70):
    """Between `low` and `high` pieces, of one kind or of all; no new one once there are `letters` letters."""
    kind, parts = rng.randrange(9), []
    for _ in range(rng.randint(low, high)):
        if len(parts) < 3 or sum(map(len, parts)) < letters:
            parts.append(piece(rng, kind))
    return parts


def again(rng):
    """A run, and the same run once more as the answer; then perhaps another."""
    messages = []
    for _ in range(rng.choice((1, 1, 2))):
        text = rng.choice(JOINERS).join(run(rng, 4, 24))
        messages += [turn("user", text), turn("assistant", text)]
    return messages


def carry_on(rng):
    """A run said twice and broken off the second time: the answer carries on where it broke off."""
    joiner, parts = rng.choice(JOINERS), run(rng, 8, 28, 130)
    at = rng.randint(1, len(parts) - 2)
    said = joiner.join(parts)
    return [turn("user", f"{said}\n\n{joiner.join(parts[:at])}"), turn("assistant", joiner.join(parts[at:]))]


def look_up(rng):
    """Pairs in any order, then one first half after the other: the answer is its other half."""
    keys = list(dict.fromkeys(run(rng, 4, 12)))
    values = [piece(rng, 9) for _ in keys]
    sign, joiner = rng.choice((" ", ": ", " = ", " is ", " has ", " -> ")), rng.choice(("\n", ", ", "; ", ". "))
    table = joiner.join(f"{key}{sign}{value}" for key, value in zip(keys, values))
    asked = rng.sample(range(len(keys)), min(len(keys), rng.randint(2, 4)))
    messages = []
    for position, at in enumerate(asked):
        messages += [turn("user", keys[at] if position else f"{table}\n\n{keys[at]}"), turn("assistant", values[at])]
    return messages


def marked(rng):
    """The one piece among many that stands between marks."""
    parts, joiner = run(rng, 5, 24, 250), rng.choice(JOINERS[:4])
    left, right = rng.choice((("*", "*"), ("(", ")"), ("[", "]"), ('"', '"'), (">> ", "")))
    at = rng.randrange(len(parts))
    value = parts[at]
    parts[at] = f"{left}{value}{right}"
    return [turn("user", joiner.join(parts)), turn("assistant", value)]


def make(rng):
    """One drill."""
    return rng.choice((again, again, again, carry_on, carry_on, look_up, look_up, look_up, marked))(rng)
