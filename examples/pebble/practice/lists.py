"""Small jobs on lists: sort, reverse, count, pick, remove, add, join and set as points."""

from . import things, words
from .grammar import expand, write
from .sentences import items
from .shape import chat, follow, joined
from .values import NUMBER_WORDS

PLACES = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
          "eleventh", "twelfth"]
ONTO = ["", "", " Separate them with commas.", " Write one line with commas.", " Use commas."]


def shown(rng, entries):
    """A list as it may stand in a prompt."""
    shape = rng.randrange(7)
    if shape < 3:
        return ", ".join(entries)
    if shape == 3:
        return "\n".join(f"- {entry}" for entry in entries)
    if shape == 4:
        return "\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, 1))
    return "\n".join(entries) if shape == 5 else joined(entries)


def ordered(rng, entries):
    """Alphabetical order."""
    how = "[Put|Sort|Arrange|Set] [the list|these|the words|the entries] in[to|] alphabetical order." \
        if rng.random() < 0.6 else "[Sort|Order] [these|the list|the words] from A to Z."
    return how, ", ".join(sorted(entries, key=str.lower))


def backwards(rng, entries):
    """Reverse order."""
    return "[Reverse|Turn round] the [order of the |]list." if rng.random() < 0.6 else \
        "[Write|Give] the [list|entries] [backwards|from last to first].", ", ".join(entries[::-1])


def how_many(rng, entries):
    """The number of entries."""
    digits = rng.random() < 0.6
    how = "[How many [things|entries|words] are [in the list|here]?|Count the [entries|list].]"
    how += "" if digits else " Write the number as a word."
    return how, str(len(entries)) if digits else NUMBER_WORDS[len(entries)]


def nth(rng, entries):
    """One entry by its place."""
    at = rng.randrange(len(entries))
    place = "last" if at == len(entries) - 1 and rng.random() < 0.6 else PLACES[at]
    return f"[What|Which] is the {place} [entry|one|thing][ in the list|]?" if rng.random() < 0.5 else \
        f"[Give|Name|Copy] the {place} [entry|one][ of the list|].", entries[at]


def without(rng, entries):
    """The list with one entry taken out."""
    gone = rng.choice(entries)
    return f"[Remove|Delete|Take out|Strike] {gone}[ from the list|]." if rng.random() < 0.7 else \
        f"[Write|Give] the list without {gone}.", ", ".join(entry for entry in entries if entry != gone)


def added(rng, entries):
    """The list with one more entry at one end."""
    new = rng.choice([entry for entry in things.NOUNS if entry not in entries])
    if rng.random() < 0.6:
        return f"[Add|Put|Write] {new} [at|to] the end of the list.", ", ".join([*entries, new])
    return f"[Add|Put] {new} at the start of the list.", ", ".join([new, *entries])


def points(rng, entries):
    """The list as points or numbered lines."""
    if rng.random() < 0.5:
        return "[Make|Write] [a bullet list|points with dashes]." if rng.random() < 0.5 else \
            "[Turn this into|Write this as] a list with one dash per line.", "\n".join(f"- {entry}"
                for entry in entries)
    return "[Number|Make a numbered list of] the entries.", \
        "\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, 1))


def signed(rng, entries):
    """The list joined with another sign."""
    name, sign = rng.choice((("commas", ", "), ("semicolons", "; "), ("slashes", "/"), ("dashes", " - "),
                             ("plus signs", " + "), ("the word and", " and "), ("bars", " | ")))
    return f"[Join|Connect|Link] the [entries|words] with {name}.", sign.join(entries)


def swapped(rng, entries):
    """The list with first and last exchanged."""
    return "[Swap|Exchange] the first and the last [entry|one]." if rng.random() < 0.7 else \
        "[Let|Have] the first and the last entry change places.", ", ".join([entries[-1], *entries[1:-1],
            entries[0]])


def contains(rng, entries):
    """Whether the list has an entry."""
    asked = rng.choice(entries) if rng.random() < 0.5 else rng.choice(rng.choice((things.NOUNS, things.FOODS,
        words.ANIMALS)))
    return f"[Is|Do you see] {asked} in the list?[ Answer yes or no.| Yes or no?|]", "yes" if asked in entries else "no"


def some(rng, entries):
    """The first or last few entries."""
    count = rng.randint(2, len(entries) - 1)
    if rng.random() < 0.6:
        return f"[Give|Write|Copy] the first {NUMBER_WORDS[count]}[ entries|].", ", ".join(entries[:count])
    return f"[Give|Write|Copy] the last {NUMBER_WORDS[count]}[ entries|].", ", ".join(entries[-count:])


def starting(rng, entries):
    """The entries that begin with a letter."""
    letter = rng.choice(entries)[0]
    found = [entry for entry in entries if entry.lower().startswith(letter.lower())]
    return f"[Which|What] [entries|of these] [begin|start] with the letter {letter.upper()}?", ", ".join(found)


def numbers(rng):
    """Sorting numbers, or finding the largest and smallest."""
    values = rng.sample(range(2, rng.choice((40, 100, 1000))), rng.randint(3, 7))
    draw = rng.randrange(4)
    if draw == 0:
        how, answer = "[Sort|Order] the numbers from small to large.", sorted(values)
    elif draw == 1:
        how, answer = "[Sort|Order] the numbers from large to small.", sorted(values, reverse=True)
    else:
        how, answer = (("[Which|What] is the largest number?", [max(values)]) if draw == 2 else
                       ("[Which|What] is the smallest number?", [min(values)]))
    return how, ", ".join(map(str, values)), ", ".join(map(str, answer))


def doubled(rng):
    """A list with entries that stand there twice."""
    entries = items(rng, 3, 5)
    twice = entries + rng.sample(entries, rng.randint(1, 2))
    rng.shuffle(twice)
    how = "[Remove|Delete] [what stands there twice|the doubles] [and keep the order|, keeping the order]."
    return how, ", ".join(twice), ", ".join(dict.fromkeys(twice))


FRAMES = ["{name} {verbed} {0}.", "[We|They] need {0} [for the {event}|today|from {town}].",
          "In the {room} there are {0}.", "[Please|Do not forget to] buy {0}.", "The box holds {0}.",
          "For the trip to {town}, pack {0}.", "{name} wrote down {0}."]


def from_sentence(rng):
    """The things of a sentence as points or with commas."""
    entries = rng.sample(rng.choice((things.NOUNS, things.FOODS)), rng.randint(3, 6))
    text = write(rng, rng.choice(FRAMES).replace("{0}", joined(entries)))
    if rng.random() < 0.6:
        how = "[Turn|Make] the things [in|of] the sentence into a bullet list [with dashes|(-)]."
        return how, text, "\n".join(f"- {entry}" for entry in entries)
    return "[List|Name] the things in the sentence, with commas.", text, ", ".join(entries)


JOBS = [ordered, ordered, backwards, backwards, how_many, nth, nth, without, without, added, points,
        signed, swapped, contains, some, starting]


def task(rng):
    """An instruction, a text and an answer."""
    draw = rng.random()
    if draw < 0.22:
        how, text, answer = rng.choice((numbers, doubled, from_sentence, from_sentence))(rng)
        return expand(rng, how), text, answer, None
    entries = items(rng, 3, rng.choice((5, 7, 10, 12)))
    job = rng.choice(JOBS)
    how, answer = job(rng, entries)
    extra = rng.choice(ONTO) if ", " in answer and job is not signed else ""
    return expand(rng, how) + extra, shown(rng, entries), answer, entries


def make(rng):
    """One chat with one to three jobs on a list."""
    how, text, answer, entries = task(rng)
    head = expand(rng, rng.choice(("", "", "", "[Here is|This is] a list. ",
        "[Please help me|A small job] with a list. ",
                                   "[Look at|Take] the [list|entries] below. ")))
    messages = chat(rng, f"{head} {how}".strip() if entries else how, text, answer, ["List", "Words", "Entries",
        "Text", "Input"])
    if entries and rng.random() < 0.2:
        for job in rng.sample((how_many, nth, without, backwards, ordered, some), rng.choice((1, 1, 2))):
            how, answer = job(rng, entries)
            start = rng.choice(("From the list you were given: ", "Take the first list again. ", "Same list: "))
            messages = follow(messages, start + expand(rng, how), answer)
    return messages
