"""Free sentences, odd tokens and item lists for copying and list work."""

from . import things, words
from .grammar import pick
from .values import SLOTS, code, invented

TEMPLATES = [
    "the {adjective} {noun} [is|was|lies|stood] {spot}.",
    "{name} {verbed} [{a:adjective}|the {adjective}] {noun} [on {day}|in {month}|at {time}|].",
    "{name} and {name2} went to {town} [by train|by bus|on foot|in {month}].",
    "[yesterday|last {day}|on {date}|this morning] {name} {verbed} {food} and {food2}.",
    "[my|our|her|his] {pet} [sleeps|hides|sits] {spot}.",
    "the {job} from {town} {verbed} the {noun} [for {price}|before {time}|without a word].",
    "{few} {adjective} [boxes|bags|crates] of {food} came from {town}.",
    "[please|do not forget to] bring [the|your] {adjective} {noun} to the {venue}[ on {day}|].",
    "the {event} in the {venue} begins at {time}.",
    "{person} lives [at|near] {street} in {town}.", "order {code} contains {a:product} and {a:product2}.",
    "[we|they] had {dish} for [dinner|lunch] and talked about the {event}.",
    "{a:colour} {animal} [ran|walked|looked] past the {room} window.",
    "the {noun} costs {price}, but the {noun2} is [cheaper|free|sold out].",
    "[nobody|everybody|only {name}] knew that the {noun} was made of {material}.",
    "when the {job} came home, the {noun} was [gone|broken|wet|{spot}].",
    "call {phone} and ask for {name}.", "the train to {town} leaves at {time} from platform {few}.",
    "{name} [teaches|learns|likes] {subject} and plays the {instrument}.",
    "there is a {adjective} {noun} {spot}, next to the {noun2}.",
    "if it rains on {day}, the {event} will be in the {venue}.",
    "the {animal} and the {animal2} [met|waited|drank] near the {noun}.",
    "write to {email} before {date}.", "my {product} is {colour}, yours is {colour2}."]


def sentence(rng):
    """One English sentence."""
    return pick(rng, TEMPLATES)


def short_words(rng, count):
    """A few plain words without any order."""
    return rng.sample(things.NOUNS, count)


def odd_token(rng):
    """A token that no one has seen before."""
    mark = rng.choice("_-.:/+~#@*=")
    return rng.choice((invented(rng), code(rng), f"{invented(rng)}{mark}{invented(rng)}",
                       f"<{invented(rng)}>", f"{invented(rng)}{rng.randint(1, 99)}",
                       f"[{invented(rng).upper()}]", f"{invented(rng).capitalize()}{mark}{code(rng)}",
                       f"%{invented(rng)}%", f"{{{invented(rng)}}}", f"v{rng.randint(0, 9)}.{rng.randint(0, 20)}"))


POOLS = [things.NOUNS, things.FOODS, words.ANIMALS, words.WOMEN, words.MEN, words.JOBS, words.SURNAMES,
         things.PRODUCTS, words.COLOURS, words.SPORTS, words.INSTRUMENTS, words.MONTHS,
         [entry for kind in things.CROPS.values() for entry in kind]]


def items(rng, low=3, high=7):
    """Distinct entries from one pool, or towns, or codes."""
    count = rng.randint(low, high)
    draw = rng.random()
    if draw < 0.12:
        maker = SLOTS["town"] if draw < 0.08 else SLOTS["code"]
        found = []
        while len(found) < count:
            entry = maker(rng)
            if entry not in found:
                found.append(entry)
        return found
    pool = sorted(set(rng.choice(POOLS)))
    return rng.sample(pool, min(count, len(pool)))
