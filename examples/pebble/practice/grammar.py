"""A small template language: [one|another|] picks a wording and {slot} asks for a value."""

import re

from .things import PAIRS
from .values import SLOTS

CHOICE = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(a:)?([a-z_]+)(\d?)\}")
SPACES = re.compile(r" {2,}")
BEFORE_MARK = re.compile(r" +([,.!?;:])(?=\s|$)")
SENTENCE_START = re.compile(r"(^|(?<!\d)[.!?] )([a-z])")
PLURALS = set(PAIRS)


def expand(rng, text):
    """Resolve the choices of a template, innermost first, and tidy the spaces."""
    while "[" in text:
        replaced = CHOICE.sub(lambda found: rng.choice(found.group(1).split("|")), text)
        if replaced == text:
            break
        text = replaced
    return BEFORE_MARK.sub(r"\1", SPACES.sub(" ", text)).strip()


def capitalised(text):
    """Start every sentence with a capital letter."""
    return SENTENCE_START.sub(lambda found: found.group(1) + found.group(2).upper(), text)


def with_article(word):
    """The word with a or an in front, or nothing for a plural."""
    if word.lower() in PLURALS or word.lower().split(" ", 1)[-1] in PLURALS:
        return word
    vowel = word[0].lower() in "aeiou" and not word.lower().startswith(("eu", "uk", "usb", "one"))
    return f"{'an' if vowel else 'a'} {word}"


def fill(rng, text, known=None):
    """Replace the slots of a text; equal slots get the equal value, kept in known."""
    known = {} if known is None else known

    def value_of(found):
        article, name, number = found.groups()
        key = name + number
        if key not in known:
            taken = {value for other, value in known.items() if other.startswith(name)}
            known[key] = fresh(rng, name, taken)
        return with_article(known[key]) if article else known[key]

    return SLOT.sub(value_of, text)


def fresh(rng, name, taken):
    """A value of the named slot that is not taken yet."""
    for _ in range(40):
        value = SLOTS[name](rng)
        if value not in taken:
            return value
    return value


def write(rng, template, known=None):
    """Expand and fill a template as English sentences."""
    return capitalised(fill(rng, capitalised(expand(rng, template)), known))


def pick(rng, templates, known=None):
    """Write one of several templates."""
    return write(rng, rng.choice(templates), known)
