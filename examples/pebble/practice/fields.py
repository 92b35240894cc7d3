"""Fields copied from a message into one JSON object, sometimes with a category and a reply."""

import json

from .domains_home import HOME
from .domains_out import OUT
from .field_names import FIELDS, MENTIONS, spelled
from .field_wording import (ABSENT, CATEGORY_KEYS, GROUP_KEYS, OPENINGS, REPLIES, REPLY_KEYS,
                            VERBATIM, WISH_REPLIES)
from .grammar import capitalised, expand, write
from .labels import STYLES, styled
from .shape import chat, joined
from .style import Style, typed_message, wrapped

DOMAINS = {**HOME, **OUT}


def message(rng, domain):
    """A message, its issue and the values of its fields as they were typed."""
    style = Style(rng)
    issue = rng.choice(list(domain["issues"]))
    slots = list(domain["clauses"])
    said = [slot for slot in slots if rng.random() < (0.62 if slot != "wish" else 0.55)]
    said = said[:5] or [rng.choice(slots)]
    rng.shuffle(said)
    values = {}
    for slot in said:
        values[slot] = rng.choice(domain["wishes"]) if slot == "wish" else value_of(rng, slot, values)
    clauses = [rng.choice(domain["clauses"][slot]) for slot in said]
    clauses.insert(rng.choice((0, 0, 0, len(clauses))), rng.choice(domain["issues"][issue]))
    template = expand(rng, wrapped(rng, " ".join(clauses)))
    text = typed_message(rng, start_big(rng, template), values, style)
    return text, issue, values


def value_of(rng, slot, values):
    """A value for a field that no other field of the message has."""
    for _ in range(20):
        value = FIELDS[slot][0](rng)
        if value not in values.values():
            break
    return value


def start_big(rng, template):
    """Most people begin their sentences with a capital letter."""
    return capitalised(template) if rng.random() < 0.8 else template


def schema(rng, domain, values, most):
    """The slots that are asked for and the key of each."""
    present, absent = list(values), [slot for slot in domain["clauses"] if slot not in values]
    count = rng.randint(2, most)
    missing = min(len(absent), rng.choice((0, 0, 1, 1, 2)), count - 1)
    chosen = rng.sample(present, min(len(present), count - missing)) + rng.sample(absent, missing)
    rng.shuffle(chosen)
    spelling = rng.choice(("snake", "snake", "snake", "camel", "spaced", "upper"))
    keys = {}
    for slot in chosen:
        options = [key for key in FIELDS[slot][1] if key not in keys.values()] or [slot]
        keys[slot] = rng.choice(options)
    return {slot: spelled(key, spelling) for slot, key in keys.items()}


def filled(keys, values, absent):
    """The object for the given keys, with the chosen way to mark what is missing."""
    marks = {"null": None, "empty": "", "unknown": "unknown", "drop": None}
    found = {key: values.get(slot, marks[absent]) for slot, key in keys.items()}
    if absent == "drop":
        found = {key: value for key, value in found.items() if value is not None}
    return found


def described(rng, keys):
    """Wording that tells which keys are wanted."""
    quoted = [f'"{key}"' for key in keys.values()]
    draw = rng.random()
    if draw < 0.3:
        return f" {expand(rng, '[Keys|The keys are|Use the keys|Fields]')}: {', '.join(quoted)}."
    if draw < 0.5:
        return f" {expand(rng, '[It has|Give it|With] the keys')} {joined(quoted)}."
    if draw < 0.8:
        return "\n" + "\n".join(f"{rng.choice('-*')} {key}: {FIELDS[slot][2]}" for slot, key in keys.items())
    form = json.dumps({key: "..." for key in keys.values()})
    return f" {expand(rng, '[Form|Use this form|Like this]')}: {form}"


def absence(rng, keys, values):
    """How missing values are marked, and the sentence that says so."""
    absent = rng.choice(("null",) * 8 + ("empty", "unknown", "drop"))
    if all(slot in values for slot in keys) and (absent != "null" or rng.random() < 0.4):
        return "null", ""
    return absent, expand(rng, rng.choice(ABSENT[absent]))


def plain(rng, domain):
    """A JSON object with the fields of a message."""
    text, issue, values = message(rng, domain)
    keys = schema(rng, domain, values, 6)
    absent, rule = absence(rng, keys, values)
    answer = filled(keys, values, absent)
    ask = described(rng, keys)
    if rng.random() < 0.15:
        group = rng.choice(GROUP_KEYS)
        ask += ("\n" if "\n" in ask else " ") + f'{expand(rng, "[Put|Place] them [all |]under")} "{group}".'
        answer = {group: answer}
    return assembled(rng, ask, rule, text, answer)


def reply(rng, issue, values):
    """A short reply that names what the message is about."""
    options = [slot for slot in values if slot in MENTIONS]
    about = f"the {issue}"
    if options and rng.random() < 0.8:
        about = MENTIONS[options[0]].format(values[options[0]])
    wish = values.get("wish")
    if wish and rng.random() < 0.6:
        wish = " ".join({"my": "your", "our": "your", "MY": "YOUR", "OUR": "YOUR"}.get(word, word)
                        for word in wish.split())
        template = rng.choice(WISH_REPLIES).replace("{wish}", wish)
    else:
        template = rng.choice(REPLIES)
    return write(rng, template.replace("{about}", about))


def choices(rng, domain, issue):
    """Category names: the right one, others of the domain and some from elsewhere."""
    others = [name for other in DOMAINS.values() for name in other["issues"]
              if other is not domain and not set(name.split()) & set(issue.split())]
    own = [name for name in domain["issues"] if name != issue]
    names = [issue, *rng.sample(own, rng.randint(1, len(own))), *rng.sample(others, rng.randint(1, 5))]
    rng.shuffle(names)
    return names


def combined(rng, domain):
    """A JSON object with a category, the fields and mostly a reply sentence."""
    text, issue, values = message(rng, domain)
    keys = schema(rng, domain, values, 4)
    absent, rule = absence(rng, keys, values)
    style = rng.choice(STYLES)
    names = [styled(name, style) for name in choices(rng, domain, issue)]
    kind, group, answer_key = (rng.choice(pool) for pool in (CATEGORY_KEYS, GROUP_KEYS, REPLY_KEYS))
    while kind in keys.values() or answer_key in keys.values():
        kind, answer_key = rng.choice(CATEGORY_KEYS), rng.choice(REPLY_KEYS)
    found = filled(keys, values, absent)
    parts = [(f'"{kind}": {expand(rng, "[one of|exactly one of|choose from]")} {", ".join(names)}',
              {kind: styled(issue, style)})]
    inner = ", ".join(f'"{key}"' for key in keys.values())
    if rng.random() < 0.75:
        parts.append((f'"{group}": {expand(rng, "[an object|an object with the keys|with]")} {inner}',
            {group: found}))
    else:
        parts.append((f'{inner}: {expand(rng, "[copied from the message|from the message]")}', found))
    if rng.random() < 0.75:
        parts.append((f'"{answer_key}": {expand(rng, "[a|one] [short|polite|friendly] [sentence|reply]")}',
                      {answer_key: reply(rng, issue, values)}))
    if rng.random() < 0.3:
        rng.shuffle(parts)
    ask = "\n- " + "\n- ".join(words for words, _ in parts) if rng.random() < 0.7 else \
        " Keys: " + "; ".join(words for words, _ in parts) + "."
    answer = {}
    for _, part in parts:
        answer.update(part)
    return assembled(rng, ask, rule, text, answer)


def assembled(rng, ask, rule, text, answer):
    """The chat for what is asked, the message and the object."""
    opening = write(rng, rng.choice(OPENINGS))
    rules = " ".join(part for part in (rule, expand(rng, rng.choice(VERBATIM))) if part)
    instruction = (opening + ask + ("\n" if "\n" in ask else " ") + rules).strip()
    content = json.dumps(answer, ensure_ascii=False)
    return chat(rng, instruction, text, content, ["Message", "Mail", "Customer", "Letter", "Text"])


def make(rng):
    """One chat of this kind."""
    domain = rng.choice(list(DOMAINS.values()))
    return combined(rng, domain) if rng.random() < 0.36 else plain(rng, domain)
