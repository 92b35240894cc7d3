"""How real people type: case, slips of the finger, greetings and anger."""

import re

from .grammar import SLOT, expand, with_article

WORD = re.compile(r"[a-zA-Z]{4,}")
OPENERS = [
    "", "", "", "", "", "hi,", "hello,", "hi there,", "good morning,", "good evening,", "hey,",
    "dear [team|sir or madam|all|support],", "hello [team|everyone|there]!", "excuse me,",
    "hi, [hope you are well.|quick question.|me again.]", "ok so", "to whom it may concern,",
    "hello, [sorry to bother you.|I hope you can help.|I need some help.]", "good afternoon."]
ANGER = [
    "", "", "", "", "", "", "this is [really|so|very] annoying.",
        "I am [not happy|very disappointed|fed up].",
    "honestly, what a mess!", "I have [waited|been patient] long enough.", "not good enough!",
    "this is the [second|third] time [I write|I am asking].", "nobody [answers|picks up] the phone.",
    "it is [a bit|rather] urgent.", "no rush[ though|].", "I am [a little|quite] worried."]
CLOSERS = [
    "", "", "", "", "thanks[!|.]", "thank you[ very much|].", "many thanks.", "[kind|best] regards",
    "cheers", "please [reply|answer|help|get back to me] [soon|quickly|today].", "bye", "thx",
    "[thanks in advance|I look forward to your answer|please let me know].", "hope to hear from you."]


class Style:
    """One person's way of typing, drawn once per message."""

    def __init__(self, rng):
        draw = rng.random()
        self.case = str.lower if draw < 0.22 else str.upper if draw < 0.25 else str
        self.slips = rng.choice((0, 0, 0, 0.02, 0.05, 0.1))
        self.marks = rng.choice(("", "", "", "!", "!!"))
        self.bare = rng.random() < 0.08

    def literal(self, rng, text):
        """Type the given words in this style."""
        if self.slips:
            text = slip(rng, text, self.slips)
        if self.marks:
            text = re.sub(r"\.(?=\s|$)", self.marks if rng.random() < 0.4 else ".", text)
        if self.bare:
            text = re.sub(r"[.,](?=\s)", "", text)
        return self.case(text)


def slip(rng, text, rate):
    """Swap, drop or double a letter in some of the words."""
    def typed(found):
        word = found.group(0)
        if rng.random() >= rate:
            return word
        at = rng.randrange(1, len(word) - 2)
        kind = rng.randrange(3)
        if kind == 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2:]
        if kind == 1:
            return word[:at] + word[at + 1:]
        return word[:at] + word[at] + word[at:]
    return WORD.sub(typed, text)


def typed_message(rng, template, values, style):
    """Write a message whose slot values stay whole; values are changed to their typed form."""
    for key in values:
        values[key] = style.case(values[key])
    pieces, end = [], 0
    for found in SLOT.finditer(template):
        value = values[found.group(2) + found.group(3)]
        pieces.append(style.literal(rng, template[end:found.start()]))
        pieces.append(style.case(with_article(value)) if found.group(1) else value)
        end = found.end()
    pieces.append(style.literal(rng, template[end:]))
    return "".join(pieces)


def wrapped(rng, body):
    """A template with a greeting in front and anger and a closing behind."""
    opener, anger, closer = (expand(rng, rng.choice(pool)) for pool in (OPENERS, ANGER, CLOSERS))
    parts = [part for part in (opener, body, anger, closer) if part]
    return " ".join(parts)
