"""Small sums with everyday units, days and months, and comparisons."""

from . import things, words
from .grammar import expand, fill
from .shape import chat
from .values import NUMBER_WORDS

ASKING = ["", "", "", "[Give|Write] only the answer. ", "A small sum: ", "[Please |]work this out. ",
        "Question: ",
          "[Quick|Easy] question: ", "Just the [answer|result] please. ",
              "[Can you|Could you] tell me this? ",
          "[Work out|Find] the answer. ", "Answer [briefly|in a word or two]: "]


def add(rng):
    """Adding and taking away."""
    first, second = rng.randint(2, 60), rng.randint(2, 40)
    thing = rng.choice(("apples", "eggs", "books", "coins", "cards", "stamps", "nails", "buttons",
        "plates", "tickets"))
    if rng.random() < 0.5:
        return (f"{{name}} has {first} {thing} and [gets|buys|finds] {second} more[ in {{town}}|]. "
                f"How many {thing} are there now?",
                f"{first + second}")
    first, second = max(first, second) + 1, min(first, second)
    return (f"{{name}} has {first} {thing} and [gives|sells] {second} [to {{name2}}|away]. How many {thing} are left?",
            f"{first - second}")


def times(rng):
    """Price of several pieces."""
    count, cost = rng.randint(2, 9), rng.randint(2, 12)
    unit = rng.choice(("euros", "dollars", "pounds"))
    return (f"One {{noun}} costs {cost} {unit}. {{name}} buys {NUMBER_WORDS[count]}. "
            "What is the price [together|in all]?",
            f"{count * cost} {unit}")


def days(rng):
    """Days and months before and after."""
    pool, unit = (words.DAYS, "day") if rng.random() < 0.6 else (words.MONTHS, "month")
    at, count = rng.randrange(len(pool)), rng.randint(1, 6)
    plural = unit if count == 1 else unit + "s"
    if rng.random() < 0.6:
        return (f"[{{name}} asks: |]what {unit} is {NUMBER_WORDS[count]} {plural} after {pool[at]}?",
            pool[(at + count) % len(pool)])
    return (f"[{{name}} asks: |]what {unit} is {NUMBER_WORDS[count]} {plural} before {pool[at]}?",
            pool[(at - count) % len(pool)])


def compare(rng):
    """Which of two things is more."""
    first, second = rng.sample(range(2, 90), 2)
    one, two = rng.sample(things.NOUNS, 2)
    high = rng.random() < 0.5
    kinds = (("costs", "euros", "costs more", "costs less"), ("weighs", "kg", "is heavier", "is lighter"),
             ("is", "years old", "is older", "is newer"), ("measures", "cm", "is longer", "is shorter"))
    verb, unit, more, less = rng.choice(kinds)
    text = f"The {one} {verb} {first} {unit}, the {two} {verb} {second} {unit}. Which {more if high else less}?"
    return text, f"the {one}" if (first > second) == high else f"the {two}"


def clock(rng):
    """Minutes added to a time."""
    hour, minute, more = rng.randint(6, 20), rng.choice((0, 5, 10, 15, 20, 25, 30)), rng.choice((10, 15, 20, 25,
        30, 45, 60))
    total = hour * 60 + minute + more
    what = rng.choice(("film", "walk", "lesson", "train ride", "meeting", "game", "bath"))
    return (f"The {what} [with {{name}}|in {{town}}] begins at {hour}:{minute:02d} and takes {more} minutes. "
            "When does it end?",
            f"{total // 60}:{total % 60:02d}")


def units(rng):
    """Everyday units."""
    big, small, size = rng.choice((("hours", "minutes", 60), ("weeks", "days", 7),
                                   ("metres", "centimetres", 100), ("kilos", "grams", 1000),
                                   ("dozen eggs", "eggs", 12), ("years", "months", 12),
                                   ("days", "hours", 24), ("minutes", "seconds", 60)))
    count = rng.randint(2, 9)
    return (f"[{{name}} wants to know: |{{name}} asks: ]how many {small} are {NUMBER_WORDS[count]} {big}?",
            f"{count * size} {small}")


def half(rng):
    """Sharing into equal parts."""
    parts, each = rng.randint(2, 6), rng.randint(2, 12)
    return (f"{{name}} shares {parts * each} [nuts|sweets|cards] [fairly|equally] with {parts} [friends|children] "
            f"and keeps none. How many does each one get?", str(each))


def make(rng):
    """One sum."""
    text, answer = rng.choice((add, add, times, days, days, compare, compare, clock, units, half))(rng)
    text = fill(rng, expand(rng, text))
    ask = expand(rng, rng.choice(ASKING))
    return chat(rng, f"{ask[:1].upper()}{ask[1:]} {text[0].upper()}{text[1:]}".strip(), "", answer)
