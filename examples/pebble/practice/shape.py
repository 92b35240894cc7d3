"""Putting an instruction, a text and an answer together as a chat."""

SYSTEM_LINES = [
    "Answer briefly.", "Do exactly what is asked.", "Follow the instructions.", "Be exact and brief.",
    "You work at a help desk. Be polite and exact.", "Write nothing but the answer.",
    "You are a careful clerk.", "Read carefully, then answer.", "Use only what is in the text.",
    "You help the people in the office with short tasks.", "Give the answer and nothing more.",
    "You are a friendly helper. Keep it short.", "Answer in plain words.", "Stay with the facts given.",
    "You are the desk clerk of a small company.", "Copy names and numbers exactly as they are written."]
LABELS = ["Text", "Passage", "Here is the text", "Note", "Input", "Source"]


def labelled(rng, body, labels=LABELS):
    """Sometimes put a label, quotes or lines around a text; no labels leave it as it is."""
    if labels is None:
        return body
    draw = rng.random()
    if draw < 0.4:
        return body
    if draw < 0.7:
        return f"{rng.choice(labels)}:{rng.choice((' ', chr(10)))}{body}"
    if draw < 0.8 and '"' not in body:
        return f'"{body}"'
    if draw < 0.9:
        return f"---\n{body}\n---"
    return f"<{labels[0].lower()}>\n{body}\n</{labels[0].lower()}>"


def turn(role, content):
    """One message of a chat."""
    return {"role": role, "content": content}


def chat(rng, instruction, body, answer, labels=LABELS, before=0.75):
    """A one-question chat; the instruction stands in the system message now and then."""
    draw = rng.random()
    if body and draw < 0.19:
        return [turn("system", instruction), turn("user", labelled(rng, body, labels)),
                turn("assistant", answer)]
    if not body:
        prompt = instruction
    else:
        text, gap = labelled(rng, body, labels), rng.choice(("\n\n", "\n\n", "\n"))
        prompt = f"{instruction}{gap}{text}" if rng.random() < before else f"{text}{gap}{instruction}"
    messages = [turn("user", prompt), turn("assistant", answer)]
    if rng.random() < (0.08 if body else 0.25):
        messages.insert(0, turn("system", rng.choice(SYSTEM_LINES)))
    return messages


def follow(messages, prompt, answer):
    """Add another question and its answer."""
    return messages + [turn("user", prompt), turn("assistant", answer)]


def joined(items, last="and"):
    """Items as an English list: one, two and three."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"
