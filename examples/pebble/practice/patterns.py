"""Patterns shown by two to five examples, to be followed for a new input."""

from . import things, words
from .grammar import expand, fill, fresh
from .sentences import sentence
from .shape import chat
from .values import SLOTS, digits, email, first_name, invented, price, town

INSTRUCTIONS = [
    "[Follow|Continue] the pattern.", "[Do|Go on] the same [way|as in the examples].",
        "[Complete|Finish] the last line.",
    "[Look at|Study] the examples and answer the last one.", "What comes [next|last]?",
        "[Here are|These are] some examples.",
    "[Give|Write] the missing [output|answer].", "[Learn|See] the rule from the examples[ and use it|].",
    "[Same rule|Same pattern] for the last [input|one].", "Find the rule.",
        "[Fill in|Add] what is missing.", "",
    "", "Examples first, then a new [input|case]."]


def mapping(rng):
    """Words changed by a fixed rule."""
    rules = [
        lambda word: word.upper(), lambda word: word[::-1], lambda word: word[0], lambda word: word[-1],
        lambda word: f"{word} {word}", lambda word: f"({word})", lambda word: "-".join(word),
        lambda word: word.capitalize() + "!", lambda word: f"my {word}", lambda word: f"the {word} is here",
        lambda word: f"<{word}>", lambda word: str(len(word)), lambda word: f"{word[0]}. {word}"]
    rule = rng.choice(rules)
    short = [word for word in things.NOUNS if len(word) < 7 and " " not in word]
    return [(word, rule(word)) for word in rng.sample(short, 6)]


def opposite(rng):
    """Opposites or past forms, both ways round."""
    pairs = rng.sample(rng.choice((things.OPPOSITES, things.IRREGULAR_PAST)), 6)
    return [tuple(pair[::-1]) for pair in pairs] if rng.random() < 0.3 else [tuple(pair) for pair in pairs]


def person_line(rng):
    """A name and a number set in a new form."""
    form = rng.choice(("{2} | {0} {1}", "{1}, {0} ({2})", "{0}: {2}", "name={0};age={2}", "{1}-{2}",
        "{0} {1} is {2}",
                       '{{"name": "{0}", "age": {2}}}', "[{2}] {1}", "{0} of the {1} family, {2}"))
    pairs = []
    for _ in range(6):
        first, last, age = first_name(rng), rng.choice(words.SURNAMES), SLOTS["age"](rng)
        pairs.append((f"{first} {last}, {age}", form.format(first, last, age)))
    return pairs


def date_line(rng):
    """A date set in a new form."""
    form = rng.choice(("{2}-{1:02d}-{0:02d}", "{3} {0}, {2}", "{0}.{1}.{2}", "{3}", "{2}", "{0:02d}/{1:02d}"))
    pairs = []
    for _ in range(6):
        day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1990, 2026)
        name = words.MONTHS[month - 1]
        pairs.append((f"{day} {name} {year}", form.format(day, month, year, name)))
    return pairs


def kind_of(rng):
    """Words sorted into kinds, named plainly or by a made-up mark."""
    names = rng.sample(list(things.CROPS), rng.choice((2, 3)))
    marks = {name: name for name in names}
    if rng.random() < 0.5:
        marks = dict(zip(names, rng.choice((["A", "B", "C"], ["1", "2", "3"],
            [invented(rng) for _ in names]))))
    chosen = [(rng.choice(things.CROPS[name]), marks[name]) for name in names * 3]
    chosen = list(dict(chosen).items())
    seen = dict(zip([mark for _, mark in chosen[:len(names)]], chosen))
    rest = [pair for pair in chosen if pair not in seen.values()]
    rng.shuffle(rest)
    return list(seen.values()) + rest


def extraction(rng):
    """One part taken out of a sentence."""
    slot, frames = rng.choice((
        ("town", ["{name} drove to {0}.", "The {job} from {0} called.", "In {0} it rained on {day}.",
            "We met {name} in {0}."]),
        ("price", ["The {noun} was {0}.", "{name} paid {0} for the {product}.", "It costs {0} in {town}."]),
        ("code", ["Order {0} is ready.", "My number is {0}, sent on {day}.", "{name} asks about {0}."]),
        ("name", ["{0} {verbed} the {noun}.", "I saw {0} in {town}.", "The {noun} belongs to {0}."]),
        ("colour", ["The {0} {noun} is {spot}.", "{name} wants the {0} {noun}."]),
        ("food", ["{name} {verbed} {0} on {day}.", "We need {0} from {town}.", "{name} found {0} {spot}."]),
        ("day", ["{name} comes on {0}.", "On {0} the {venue} is closed.", "The {event} is on {0}."])))
    pairs = []
    for _ in range(6):
        value = fresh(rng, slot, [answer for _, answer in pairs])
        pairs.append((fill(rng, rng.choice(frames)).replace("{0}", value), value))
    return pairs


def mood(rng):
    """Happy and angry sentences with the marks of the examples."""
    good = ["I love my new {product}.", "The {dish} was great.", "Thank you, {name}, you were so kind.",
            "What a lovely {event}!", "The {noun} works very well."]
    bad = ["I hate this {product}.", "The {dish} was awful.", "{name} was very rude to me.",
           "What a boring {event}!", "The {noun} broke after a day."]
    marks = rng.choice((("good", "bad"), ("+", "-"), ("happy", "angry"), (invented(rng), invented(rng)),
        ("1", "0")))
    order = [0, 1] + [rng.randrange(2) for _ in range(4)]
    return [(fill(rng, rng.choice((good, bad)[side])), marks[side]) for side in order]


def code_line(rng):
    """Codes and mail addresses set in a new form."""
    draw = rng.randrange(4)
    if draw == 0:
        form = rng.choice(("{1}-{0}", "{0}{1}", "{0}/{1}", "no. {1} in row {0}", "{1}"))
        parts = [(rng.choice("ABCDEFGHKLM"), digits(rng, 3)) for _ in range(6)]
        return [(f"{left}:{right}", form.format(left, right)) for left, right in parts]
    if draw == 1:
        found = [email(rng) for _ in range(6)]
        return [(mail, mail.split("@")[0]) for mail in found]
    if draw == 2:
        form = rng.choice(("{1} -> {0}", "to {1} from {0}", "{0}/{1}", "{1}"))
        towns = [(town(rng), town(rng)) for _ in range(6)]
        return [(f"from {start} to {goal}", form.format(start, goal)) for start, goal in towns]
    form = rng.choice(("{1}: {0}", "{0} ({1})", "{1} for the {0}", "{0}={1}"))
    goods = [(rng.choice(things.PRODUCTS), price(rng)) for _ in range(6)]
    return [(f"{thing} costs {cost}", form.format(thing, cost)) for thing, cost in goods]


def word_of(rng):
    """The first, second or last word of a sentence or row."""
    at = rng.choice((0, 1, 2, -1))
    rows = [rng.sample(things.NOUNS, rng.randint(3, 5)) for _ in range(6)]
    if rng.random() < 0.5:
        return [(" ".join(row), row[at]) for row in rows]
    found = [sentence(rng).rstrip(".").split() for _ in range(6)]
    return [(" ".join(row), row[at]) for row in found]


TASKS = [mapping, opposite, person_line, date_line, kind_of, kind_of, extraction, extraction, mood, code_line,
    word_of]
FORMS = [("Input: {0}\nOutput: ", "\n\n"), ("Input: {0}\nOutput: ", "\n"), ("{0} -> ", "\n"), ("{0} => ",
        "\n"),
         ("Q: {0}\nA: ", "\n\n"), ("{0} = ", "\n"), ("In: {0} | Out: ", "\n"), ("Text: {0}\nAnswer: ",
             "\n\n"),
         ("{0}\t", "\n"), ("Example: {0} / Result: ", "\n"), ("x: {0}\ny: ", "\n\n"), ("{0} : ", "\n")]


def repeats(pairs, count):
    """The later pairs whose answer the examples show already."""
    shown = {answer for _, answer in pairs[:count]}
    return [pair for pair in pairs[count:] if pair[1] in shown]


def make(rng):
    """One chat with examples and a new input."""
    pairs = list(dict(rng.choice(TASKS)(rng)).items())
    count = min(len(pairs) - 1, rng.randint(3, 5) if rng.random() < 0.8 else 2)
    form, gap = rng.choice(FORMS)
    closed = len({answer for _, answer in pairs}) < 4
    repeated = repeats(pairs, count)
    while closed and not repeated and count < len(pairs) - 1:
        count += 1
        repeated = repeats(pairs, count)
    new, answer = rng.choice(repeated) if closed and repeated else pairs[count]
    lines = [form.format(given) + result for given, result in rng.sample(pairs[:count], count)]
    body = gap.join([*lines, form.format(new).rstrip()])
    instruction = expand(rng, rng.choice(INSTRUCTIONS))
    if not instruction:
        return chat(rng, body, "", answer)
    return chat(rng, instruction, body, answer, ["Examples", "Examples", "Examples"], before=0.9)
