"""Copying text exactly, with one replacement, in other letters, or only one part of it."""

from . import things, words
from .sentences import odd_token, sentence, short_words
from .grammar import expand, write
from .shape import chat, follow
from .values import NUMBER_WORDS, code, invented, ordinal

REPEAT = [
    "[Repeat|Copy|Write out] [this|the following|the text below] [exactly|word for word|without any change].",
    "[Say|Write] [this|the following] again[, letter by letter|].", "[Please |]copy the text.",
    "[Give|Send] back [exactly|just] what [I write|stands below].",
        "Type this [again|once more] and change nothing.",
    "[Write|Output] the [same|very same] text[ again|].", "Echo this.", "Repeat after me:", "Copy, do not answer:",
    "Your answer must be [identical to|the same as] the text [below|].", "Repeat the [line|text] and add nothing.",
    "Make an exact copy [of this|].", "Write down what I say:"]
UPPER = ["[Write|Put|Set] [this|the text] in [capital letters|upper case|capitals].",
    "[Make|Turn] [this|it all] [upper case|into capitals].",
         "Shout this: use capital letters only.", "Upper case please:"]
LOWER = ["[Write|Put|Set] [this|the text] in [small letters|lower case].",
    "[Make|Turn] [this|it all] [lower case|into small letters].",
         "No capital letters please:", "Lower case:"]
ORDINALS = ["first", "second", "third", "fourth", "fifth"]


def material(rng):
    """Something to copy: sentences, words, tokens or codes."""
    draw = rng.randrange(7)
    if draw < 3:
        return " ".join(sentence(rng) for _ in range(rng.choice((1, 2, 3, 4, 6))))
    if draw == 3:
        return rng.choice((" ", ", ", "\n")).join(odd_token(rng) for _ in range(rng.randint(3, 14)))
    if draw == 4:
        return rng.choice((" ", ", ")).join(short_words(rng, rng.randint(4, 20)))
    if draw == 5:
        return rng.choice((" ", "\n", "; ")).join(code(rng) for _ in range(rng.randint(2, 9)))
    return " ".join(invented(rng) for _ in range(rng.randint(4, 16)))


def repeat(rng):
    """Copy a text, once or several times."""
    text = material(rng)
    if rng.random() < 0.15 and len(text) < 60 and "\n" not in text:
        times = rng.choice((2, 3, 4))
        how = expand(rng, f"[Write|Repeat|Copy] this [{NUMBER_WORDS[times]}|{times}] times, "
                          "[each time on its own line|one per line].")
        return how, text, "\n".join([text] * times)
    return write(rng, rng.choice(REPEAT)), text, text


def replace(rng):
    """Copy a sentence with one word exchanged."""
    while True:
        text = sentence(rng)
        found = [word for word in text.rstrip(".").replace(",", "").split()
            if text.count(word) == 1 and len(word) > 3]
        if found:
            break
    old = rng.choice(found)
    new = rng.choice((rng.choice(things.NOUNS), invented(rng), rng.choice(words.WOMEN), code(rng)))
    how = expand(rng, rng.choice((
        "[Copy|Repeat|Write] the sentence, but [replace|exchange] '{0}' with '{1}'.",
        "[Write|Put] '{1}' [instead of|in place of] '{0}' and keep [the rest|all else].",
        "[Change|Turn] the word '{0}' into '{1}'. Leave the rest as it is.",
        "Replace '{0}' [by|with] '{1}':", "Same sentence, but with '{1}' where it says '{0}'."))).format(old, new)
    return how, text, text.replace(old, new)


def letters(rng):
    """Change the case of a text."""
    text = " ".join(sentence(rng) for _ in range(rng.choice((1, 1, 2))))
    if rng.random() < 0.5:
        return write(rng, rng.choice(UPPER)), text, text.upper()
    return write(rng, rng.choice(LOWER)), text if rng.random() < 0.5 else text.upper(), text.lower()


def only_code(rng):
    """Copy only the code that stands in a text."""
    value, before, after = code(rng), sentence(rng), sentence(rng)
    while any(character.isdigit() for character in before + after):
        before, after = sentence(rng), sentence(rng)
    name = rng.choice(("order number", "code", "booking number", "part number", "ticket number", "number"))
    carrier = expand(rng, rng.choice((f"[The|Your|My] {name} is {value}.",
        f"[Note|Please note] the {name} {value}.",
                                      f"It is listed under {name} {value}.", f"{name.capitalize()}: {value}.")))
    text = " ".join(rng.choice(([before, carrier, after], [carrier, after], [before, carrier])))
    how = expand(rng, f"[Copy|Give me|Write] [only|just] the {name}[ from the text|].")
    return how, text, value


def part(rng):
    """Copy one sentence or line out of several."""
    parts = [sentence(rng) for _ in range(rng.randint(3, 5))]
    at = rng.randrange(len(parts))
    place = "last" if at == len(parts) - 1 and rng.random() < 0.5 else ORDINALS[at]
    if rng.random() < 0.5:
        return expand(rng, f"[Copy|Repeat|Write] [only |]the {place} sentence."), " ".join(parts), parts[at]
    return expand(rng, f"[Copy|Repeat|Give] [only |]the {place} line."), "\n".join(parts), parts[at]


def quoted(rng):
    """Copy what stands between two marks."""
    inner = rng.choice((sentence(rng), " ".join(short_words(rng, rng.randint(2, 5))), odd_token(rng)))
    left, right, name = rng.choice((('"', '"', "between the quotes"), ("(", ")", "in brackets"),
                                    ("**", "**", "between the stars"), ("<<", ">>", "between << and >>"),
                                    ("[", "]", "in square brackets"), ("START ", " END", "between START and END")))
    text = f"{' '.join(short_words(rng, 3))} {left}{inner}{right} {' '.join(short_words(rng, 3))}"
    how = expand(rng, f"[Copy|Write|Give|Repeat] [what stands|the text|the part] {name}.")
    return how, text, inner


def spell(rng):
    """Spell a word letter by letter."""
    word = rng.choice((rng.choice(things.NOUNS), invented(rng), rng.choice(words.ANIMALS)))
    sign = rng.choice(("-", " ", ", ", "."))
    how = expand(rng, f"[Spell|Write] the word '{word}' letter by letter, like this: {sign.join('abc')}")
    return how, "", sign.join(word)


def first_words(rng):
    """Copy the first or last words of a sentence."""
    text = sentence(rng)
    parts = text.rstrip(".").split()
    count = rng.randint(2, min(4, len(parts) - 1))
    end = rng.choice(("first", "last"))
    answer = " ".join(parts[:count] if end == "first" else parts[-count:])
    return expand(rng, f"[Copy|Write|Give] the {end} {NUMBER_WORDS[count]} words[ of the sentence|]."), text, answer


def entry(rng):
    """Copy the value that belongs to one key of a small table."""
    keys = rng.sample(things.NOUNS, rng.randint(3, 8)) if rng.random() < 0.6 else \
        list(dict.fromkeys(invented(rng) for _ in range(rng.randint(3, 8))))
    values = [rng.choice((code(rng), rng.choice(words.COLOURS), invented(rng), rng.choice(words.WOMEN)))
        for _ in keys]
    sign = rng.choice((": ", " = ", " -> ", " | ", ", "))
    at = rng.randrange(len(keys))
    table = "\n".join(f"{key}{sign}{value}" for key, value in zip(keys, values))
    draw = rng.random()
    if draw < 0.6:
        return expand(rng, f"[What|Which value] [stands|is] [next to|behind] {keys[at]}?"), table, values[at]
    if draw < 0.8:
        return f"Copy line {at + 1}.", table, f"{keys[at]}{sign}{values[at]}"
    return f"Copy the {ordinal(at + 1)} line.", table, f"{keys[at]}{sign}{values[at]}"


TASKS = [repeat, repeat, repeat, replace, replace, letters, only_code, part, quoted, spell, first_words, entry,
    entry]


def make(rng):
    """One chat with one or two copying tasks."""
    task = rng.choice(TASKS)
    how, text, answer = task(rng)
    messages = chat(rng, how, text, answer)
    if rng.random() < 0.15:
        how, text, answer = rng.choice(TASKS)(rng)
        messages = follow(messages, f"{how}\n{text}" if text else how, answer)
    return messages
