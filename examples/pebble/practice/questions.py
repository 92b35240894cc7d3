"""Questions whose answer stands in a short text, or does not stand there at all."""

from . import words
from .grammar import capitalised, expand, fresh, pick, with_article, write
from .relations import FILLERS, LINKS, RELATIONS
from .shape import chat, follow, labelled
from .values import code

INSTRUCTIONS = [
    "[Read|Look at] the [text|note|passage] [and answer|and then answer] the question.{how}",
    "Answer the question [from|with the help of|using] the text [below|].{how}",
    "[Please |]answer from the [text|passage] only.{how}", "Use the [text|note] to answer.{how}",
    "[Find|Look up] the answer in the [text|passage].{how}", "What does the text say?{how}",
    "[Here is|This is] a [short |]text and a question about it.{how}",
    "[Can you|Could you] answer this [for me|] from the text?{how}", "Text and question:{how}",
    "[Answer|Reply to] the question [about the text|at the end].{how}", "Reading task.{how}",
    "The answer [to the question |]is in the text.{how}", "{how}", "{how}"]
SHORT = ["", "", " [Be brief|Keep it short|Answer briefly].", " [Give|Write] only the answer.",
         " [Answer|Reply] in a few words.", " Copy the answer from the text.", " No full sentence."]
FULL = [" [Answer|Reply] [in|with] a [full|whole|complete] sentence.", " Write one [full |]sentence.",
        " Give the answer as a sentence."]
ABSENT = ["not stated", "not stated", "unknown", "not given", "no answer", "The text does not say.", "?"]
IF_ABSENT = [' If [the text does not say|it is not there|the answer is missing], [write|answer|say] "{0}".',
             ' [Write|Answer] "{0}" [if the text does not tell|when there is no answer].']


def subjects(rng, kind, count):
    """Distinct subjects of a text, each with the pronoun that stands for it."""
    found, heads = {}, set()
    while len(found) < count:
        if kind == "people":
            woman = rng.random() < 0.5
            name = rng.choice(words.WOMEN if woman else words.MEN)
            if name in heads:
                continue
            heads.add(name)
            if rng.random() < 0.2:
                name += " " + rng.choice(words.SURNAMES)
            found[name] = "she" if woman else "he"
        elif kind == "parcels":
            found[f"{rng.choice(('parcel', 'box', 'crate', 'packet'))} {code(rng)}"] = "it"
        else:
            slot = "event" if kind == "events" else "noun"
            phrase = fresh(rng, slot, ())
            if phrase in heads:
                continue
            heads.add(phrase)
            if slot == "noun" and rng.random() < 0.6:
                phrase = f"{fresh(rng, 'adjective', ())} {phrase}"
            found[f"the {phrase}"] = "it"
    return found


def facts(rng, kind):
    """Choose who or what is told about, and which values are told."""
    count = rng.choice((1, 2, 3, 3, 4, 4, 5, 6))
    people = subjects(rng, kind, count)
    wanted = {1: (4, 6), 2: (2, 4), 3: (2, 4), 4: (2, 3), 5: (1, 3), 6: (1, 3)}[count]
    shared = rng.sample(RELATIONS[kind], min(len(RELATIONS[kind]) - 1, rng.randint(*wanted)))
    taken, told = set(), []
    for name in people:
        own = shared if rng.random() < 0.7 else rng.sample(RELATIONS[kind], len(shared))
        for relation in own:
            value = fresh(rng, relation[0], taken)
            taken.add(value)
            told.append((name, relation, value, expand(rng, rng.choice(relation[1]))))
    return people, told


def put(template, subject, value):
    """Fill subject and value into a template."""
    text = template.replace("{a:V}", with_article(value) if "{a:V}" in template else "")
    return text.replace("{S}", subject).replace("{V}", value)


def tell(rng, people, told):
    """The text that tells the facts, with a filler sentence here and there."""
    sentences, last = [], None
    for name, _, value, template in told:
        link = rng.choice(LINKS)
        subject = people[name] if name == last and rng.random() < 0.5 and "{S}" in template[:4] else name
        sentences.append(capitalised(link + put(template, subject, value)) + ".")
        if rng.random() < 0.12:
            sentences.append(pick(rng, FILLERS))
        last = name
    return rng.choice((" ", " ", " ", "\n")).join(sentences)


def ask(rng, people, told, kind, full):
    """A question, its answer (None when the text does not tell) and the key of what was asked."""
    draw = rng.random()
    if draw < 0.14:
        known = {(name, relation[0]) for name, relation, _, _ in told}
        spare = [(name, relation) for name in people for relation in RELATIONS[kind]
                 if (name, relation[0]) not in known]
        if spare:
            name, relation = rng.choice(spare)
            return put(rng.choice(relation[2]), name, ""), None, (name, relation[0])
    name, relation, value, template = rng.choice(told)
    if draw < 0.3 and len(people) > 1:
        question = capitalised(put(rng.choice(relation[4]), "", value))
        answer = capitalised(put(template, name, value)) + "." if full else name
        return question, answer, (name, relation[0], "who")
    answer = capitalised(put(rng.choice(relation[3]), name, value)) if full else value
    return put(rng.choice(relation[2]), name, value), answer, (name, relation[0])


def make(rng):
    """One chat with one to three questions about a text."""
    kind = rng.choice(("people", "people", "people", "events", "parcels", "goods", "goods"))
    people, told = facts(rng, kind)
    text = tell(rng, people, told)
    full = rng.random() < 0.2
    absent = rng.choice(ABSENT)
    asked, seen = [], set()
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        question, answer, key = ask(rng, people, told, kind, full)
        if key not in seen:
            asked.append((question, answer))
            seen.add(key)
    how = rng.choice(FULL if full else SHORT)
    if any(answer is None for _, answer in asked) or rng.random() < 0.3:
        how += rng.choice(IF_ABSENT).format(absent)
    elif not full and rng.random() < 0.3:
        how = ""
    instruction = write(rng, rng.choice(INSTRUCTIONS).replace("{how}", how)).replace('.".', '."')
    asked = [(question, absent if answer is None else answer) for question, answer in asked]
    return build(rng, instruction, text, asked)


def build(rng, instruction, text, asked):
    """Put text and questions in one of several orders."""
    (question, answer), rest = asked[0], asked[1:]
    label = rng.choice(("", "", "Question: ", "Q: "))
    order = rng.random()
    if not instruction:
        text = labelled(rng, text)
        body = f"{text}\n\n{label}{question}" if order < 0.7 else f"{label}{question}\n\n{text}"
        messages = chat(rng, body, "", answer)
    elif order < 0.75:
        body = f"{labelled(rng, text)}\n\n{label}{question}"
        messages = chat(rng, instruction, body, answer, labels=None, before=1.0)
    else:
        messages = chat(rng, f"{instruction} {question}", text, answer)
    for question, answer in rest:
        messages = follow(messages, label + question, answer)
    return messages
