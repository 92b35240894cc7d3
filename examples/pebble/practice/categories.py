"""Sorting a message into one of the categories that the prompt lists."""

from .grammar import capitalised, expand, fill, write
from .labels import STYLES, styled
from .shape import chat, follow
from .style import Style, wrapped
from .topics_life import TOPICS_LIFE
from .topics_money import BANK, HOUSE, SHOP
from .values import invented, letters

TOPICS = {"bank": BANK, "shop": SHOP, "house": HOUSE, **TOPICS_LIFE}
CLOSE = [{"late parcel", "card not arrived"}, {"missing refund", "return request"},
         {"unknown payment", "high bill"}, {"size exchange", "return request"},
         {"lost luggage", "card lost"}, {"lost key", "card lost"}]
INSTRUCTIONS = [
    "[Sort|Put] the message into one [category|group].", "[Which|What] category [fits|is right] [best|]?",
    "[Choose|Pick] the [category|label|topic] of the message.",
        "[Give|Name] the [topic|category] of this message.",
    "What is the message about? [Answer|Reply] with one [name|category] [from the list|].",
    "[Classify|Label] the message.", "Where does this message belong?",
        "[Read|Look at] the message and [choose|pick] one label.",
    "Every message gets [exactly |]one [label|category].",
        "[Please |]decide which [label|category|group] the message belongs to.",
    "[Assign|Give] the message one of the [labels|categories|names] below.",
        "Find the right [category|label].",
    "A customer wrote to us. [Which|What] [category|topic] is it?",
        "Answer with the [label|category] [only|and nothing else]."]
LISTING = ["Categories", "Labels", "Choose from", "The categories are", "Possible answers", "Options",
        "Topics", "List"]
TAILS = ["", "", "", " Write only the name.", " Answer with the exact name.", " [Give|Write] nothing else.",
         " Spell it as in the list.", " One name only."]
AGAIN = ["", "", "Next message: ", "Next: ", "And this one? ", "Another one: ", "Now this: "]


def names_of():
    """Every topic with its meaning and its templates."""
    return {name: (group, *entry) for group, topics in TOPICS.items() for name, entry in topics.items()}


ALL = names_of()


def distinct(name, chosen):
    """Whether a topic can stand in one list with the chosen ones."""
    return not any({name, other} in CLOSE for other in chosen)


def draw_topics(rng):
    """Three to twelve topics, often mostly from one area."""
    count = rng.choice((3, 3, 4, 4, 5, 6, 7, 8, 10, 12))
    group = rng.choice(list(TOPICS))
    near = list(TOPICS[group])
    names = list(ALL) if rng.random() < 0.35 else near + rng.sample(list(ALL), 6)
    rng.shuffle(names)
    chosen = []
    for name in names:
        if len(chosen) < count and name not in chosen and distinct(name, chosen):
            chosen.append(name)
    return chosen


def message(rng, name):
    """A message about the topic as a real person may type it."""
    style = Style(rng)
    text = fill(rng, expand(rng, rng.choice(ALL[name][2])))
    if rng.random() < 0.55:
        text = wrapped(rng, text)
    return style.literal(rng, capitalised(text) if rng.random() < 0.85 else text)


def made_up(rng, topics):
    """Code words for the topics, explained in the prompt."""
    if rng.random() < 0.5:
        makers = [invented]
    else:
        makers = [lambda source: letters(source, 1) + str(source.randint(1, 99)),
                  lambda source: invented(source).upper()]
    maker, codes = rng.choice(makers), []
    while len(codes) < len(topics):
        code = maker(rng)
        if code not in codes:
            codes.append(code)
    return dict(zip(topics, codes))


def listing(rng, labels, explained):
    """The list of categories as it stands in the prompt."""
    head = rng.choice(LISTING)
    if explained:
        sign = rng.choice((": ", " = ", " - ", " means "))
        return f"{head}:\n" + "\n".join(f"{label}{sign}{ALL[topic][1]}" for topic, label in labels.items())
    shape = rng.randrange(4)
    names = list(labels.values())
    if shape == 0:
        return f"{head}:\n" + "\n".join(f"- {name}" for name in names)
    if shape == 1:
        return f"{head}:\n" + "\n".join(names)
    return f"{head}: " + rng.choice((", ", ", ", "; ", " | ")).join(names)


def make(rng):
    """One chat with one to three messages to sort."""
    topics = draw_topics(rng)
    kind = rng.random()
    if kind < 0.15:
        labels = made_up(rng, topics)
    else:
        style = rng.choice(STYLES)
        labels = {topic: styled(topic, style) for topic in topics}
    instruction = write(rng, rng.choice(INSTRUCTIONS))
    names = listing(rng, labels, kind < 0.27)
    tail = expand(rng, rng.choice(TAILS)).strip()
    order = [instruction, names] if rng.random() < 0.8 else [names, instruction]
    head = "\n".join(part for part in (*order, tail) if part)
    topic = rng.choice(topics)
    messages = chat(rng, head, message(rng, topic), labels[topic],
                    ["Message", "Mail", "Customer", "Request", "Text"])
    again = rng.choice(AGAIN)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        topic = rng.choice(topics)
        messages = follow(messages, again + message(rng, topic), labels[topic])
    return messages
