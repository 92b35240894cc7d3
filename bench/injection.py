"""Recall and false alarms of the check instruction-injection: `python bench/injection.py [DATA]`.

Attacks of CyberSecEval 2 and BIPIA are mixed at 1% into ordinary rows, which the check then reads as it reads any rows: as
prompts alone; and as rows, where each prompt of CyberSecEval has the system turn that it is an attack on (a third is none
without it) and every other ordinary row a mundane one of ours. Last, every ordinary prompt stands under the system turn of an
attack, which keeps something back that the prompt as a rule has nothing to do with; a few do ask for it.
Everything is in two halves: the rules were written with the development half in sight, the held-out half and the families
called unseen were only counted. Halves are set by digests; attacks that are like one another (triples of words) are in one
half together. A first half was looked at, the rest counted once by family, and of that rest, in smaller groups, half looked at
too. System turns were not grouped: recall is told apart for those like and unlike a development one. While the rules for system
turns were written the held-out part was counted four times, and its misses six times more by their kind (direct or indirect)
and by whether the system turn forbids anything, which led to the rules for talk to a model. Own ordinary texts were seen.
Intervals are Wilson's at 95%. DATA is the folder of data sets beside the repository, unless named; without it nothing is
measured and the exit code is 0. What was measured stands in docs/benchmarks.md.
"""

import argparse
import csv
import gzip
import hashlib
import json
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from time import process_time
from typing import Any, Final, NamedTuple

from tunesmith.artifacts import Example, Row, message
from tunesmith.audit.checks.instruction_injection import InstructionInjection
from tunesmith.audit.corpus_builder import build_corpus
from tunesmith.stats.interval import Interval
from tunesmith.stats.wilson import wilson

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
OWN = Path(__file__).resolve().parents[1] / "tests/unit/detect/injection/ordinary.jsonl"
"""Ordinary texts of our own that come near: support, code, verse, instructions, and texts about injection."""
DEVELOPMENT, HELD_OUT, UNSEEN = "development", "held-out", "unseen family"
ALIKE, CLOSELY_ALIKE = 0.3, 0.6
"""Share of the shorter one's triples of words that two attacks of a group have in common, in the first round and the second."""
RATE = 0.01
FAMILIES = 8
"""One family in so many is unseen, and whatever is like one of its attacks."""
PAGE = 3000
"""Characters of a web page or book that a prompt quotes."""


SHORTEST: Final = 60
"""Characters of a function that is code to look at."""
MUNDANE: Final = (
    "You are a helpful assistant.",
    "You answer in short, plain sentences.",
    "You are the support assistant of a bank. Be polite and do not promise refunds.",
    "You help students of a language school. Never use slang.",
    "Answer from the given text only. If the text does not say it, say so.",
    "You are a tutor. Do not give the final result before the steps.",
    "You write for a newspaper; avoid jargon.",
    "You are the assistant of a library. Keep personal data of readers confidential.",
    "Respond with JSON only, never with prose.",
    "Translate what the user writes when asked to, and answer all else in English.",
)
"""System turns as ordinary rows have them; some forbid something."""


class Attack(NamedTuple):
    family: str
    text: str
    aim: str
    known: bool = False
    system: str = ""


class Line(NamedTuple):
    source: str
    role: str
    text: str
    attack: str = ""
    system: str = ""


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("data", nargs="?", type=Path, default=SHARED)
    options.add_argument("--half", choices=[DEVELOPMENT, HELD_OUT], help="this half alone")
    given = options.parse_args()
    data = given.data
    if not (data / "prompt_injection" / "cyberseceval.json").is_file():
        print(f"skipped: there is no prompt_injection/cyberseceval.json in {data}")
        return 0
    attacks = list(read_attacks(data))
    ordinary, halves = list(read_ordinary(data)), halves_of(attacks)
    mails = [mail for mail in ordinary if mail.source == "emails"]
    seen = [one.system for one, which in zip(attacks, halves, strict=True) if which == DEVELOPMENT]
    for half in (given.half,) if given.half else (DEVELOPMENT, HELD_OUT):
        mine = [line for line in ordinary if half_of(line.text) == half]
        letters = [mail for mail in mails if half_of(mail.text) == half]
        wanted = {half} if half == DEVELOPMENT else {HELD_OUT, UNSEEN}
        chosen = [(one, which) for one, which in zip(attacks, halves, strict=True) if which in wanted]
        planted = [(planted_in(one, letters, turn), one, which) for turn, (one, which) in enumerate(chosen)]
        measure(f"{half}, prompts alone", [(one, one) for one in mine], planted)
        rows = [(line, with_system(line, turn)) for turn, line in enumerate(mine)]
        full = [(line._replace(system=one.system), one, which) for line, one, which in planted]
        found = measure(f"{half}, rows with their system turns", rows, full)
        show_alike(full, found, seen if half == HELD_OUT else [])
        under([line for line in mine if line.role == "user"], [one.system for one, _ in chosen if one.system])
    return 0


def with_system(line: Line, turn: int) -> Line:
    return line._replace(system=MUNDANE[turn // 2 % len(MUNDANE)]) if turn % 2 else line


def measure(title: str, rows: list[tuple[Line, Line]], planted: list[tuple[Line, Attack, str]]) -> list[bool]:
    """Print recall by family and false alarms by source. Attacks go in at 1% a time; the ordinary rows are the same."""
    ordinary = [line for _, line in rows]
    size = max(1, round(RATE * len(ordinary)))
    found: list[bool] = []
    alarms: list[bool] = []
    for first in range(0, len(planted), size):
        mixed = [*ordinary, *(line for line, _, _ in planted[first : first + size])]
        started = process_time()
        flags = flagged(mixed)
        seconds = process_time() - started
        alarms, found = flags[: len(ordinary)], found + flags[len(ordinary) :]
    print(
        f"\n== {title}: {len(ordinary)} ordinary rows, {len(planted)} attacks, {size} at a time; {seconds:.1f} CPU seconds a time"
    )
    both = list(zip(planted, found, strict=True))
    show("attacks by family", [(f"{one.family} ({which})", hit) for (_, one, which), hit in both])
    show("attacks by aim", [(f"{one.aim} ({which})", hit) for (_, one, which), hit in both])
    show("all attacks", [pair for (_, _, which), hit in both for pair in ((which, hit), ("all of them", hit))])
    show("false alarms", [(line.source, hit) for line, hit in zip(ordinary, alarms, strict=True)])
    show("all ordinary rows", [("false alarms", hit) for hit in alarms])
    return found


def show_alike(planted: list[tuple[Line, Attack, str]], found: list[bool], seen: Sequence[str]) -> None:
    """Recall where the system turn is like one that was seen when the rules were written, and where it is not."""
    known = [triples(system) for system in seen if system]
    pairs = []
    for (_, one, _), hit in zip(planted, found, strict=True):
        grams = triples(one.system)
        alike = any(len(grams & other) >= ALIKE * min(len(grams), len(other)) for other in known)
        name = "like a development one" if alike else "like none of development"
        pairs.append((f"system turn {name}" if one.system else "no system turn", hit))
    if known:
        show("attacks by system turn", pairs)


def under(ordinary: list[Line], systems: Sequence[str]) -> None:
    lines = [line._replace(system=systems[turn % len(systems)]) for turn, line in enumerate(ordinary)]
    alarms = flagged(lines)
    show(
        "ordinary prompts, each under an attack's system turn",
        [pair for line, hit in zip(lines, alarms, strict=True) for pair in ((line.source, hit), ("all of them", hit))],
    )


def flagged(lines: Sequence[Line]) -> list[bool]:
    rows = [
        Row(row_id=f"{place:016x}", file="rows", line=place + 1, example=Example(messages=turns(line)))
        for place, line in enumerate(lines)
    ]
    lines_found = {finding.place.line - 1 for finding in InstructionInjection().examine(build_corpus(rows, []))}
    return [place in lines_found for place in range(len(lines))]


def turns(line: Line) -> Any:
    system = (message("system", line.system),) if line.system else ()
    if line.role == "assistant":
        return (*system, message("user", "Go on."), message("assistant", line.text))
    return (*system, message("user", line.text), message("assistant", "Here is what I found."))


def show(title: str, pairs: list[tuple[str, bool]]) -> None:
    counts, hits = Counter(name for name, _ in pairs), Counter(name for name, hit in pairs if hit)
    print(f"-- {title}")
    for name in sorted(counts):
        made = wilson(hits[name], counts[name], level=0.95)
        between = f"[{made.low:.3%}, {made.high:.3%}]" if isinstance(made, Interval) else ""
        print(f"{name:58} {hits[name]:5} of {counts[name]:6}  {hits[name] / counts[name]:8.3%} {between}")


def number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def half_of(text: str) -> str:
    return HELD_OUT if number(text) % 2 else DEVELOPMENT


def read_attacks(data: Path) -> Iterator[Attack]:
    """The aim of CyberSecEval's is what they are after: a secret, or an answer that the system turn alone forbids."""
    for case in json.loads((data / "prompt_injection/cyberseceval.json").read_text(encoding="utf-8")):
        yield Attack(
            f"cyberseceval/{case['injection_variant']}",
            case["user_input"],
            f"cyberseceval/{case['risk_category']}",
            system=case["test_case_prompt"],
        )
    for family, texts in json.loads((data / "bipia/text_attack_test.json").read_text(encoding="utf-8")).items():
        name = f"bipia/{family.lower().replace(' ', '_')}"
        # The first text of every family was seen when the file was opened.
        yield from (Attack(name, text, "bipia", known=turn == 0) for turn, text in enumerate(texts))


def halves_of(attacks: Sequence[Attack]) -> list[str]:
    """Which half each attack is in; those alike are in one."""
    halves = [""] * len(attacks)
    for members in groups_of(attacks, range(len(attacks)), ALIKE):
        for place in members:
            halves[place] = first_round([attacks[member] for member in members])
    rest = [place for place, which in enumerate(halves) if which != DEVELOPMENT]
    for members in groups_of(attacks, rest, CLOSELY_ALIKE):
        for place in members:
            halves[place] = second_round([attacks[member] for member in members])
    return halves


def groups_of(attacks: Sequence[Attack], places: Sequence[int], alike: float) -> list[list[int]]:
    """The places, those of attacks that are alike, however far around, together."""
    leader = {place: place for place in places}

    def led(place: int) -> int:
        while leader[place] != place:
            place = leader[place]
        return place

    grams = {place: triples(attacks[place].text) for place in places}
    for place, other in combinations(places, 2):
        if len(grams[place] & grams[other]) >= alike * min(len(grams[place]), len(grams[other])):
            low, high = sorted((led(place), led(other)))
            leader[high] = low
    groups: dict[int, list[int]] = {}
    for place in places:
        groups.setdefault(led(place), []).append(place)
    return list(groups.values())


def first_round(members: list[Attack]) -> str:
    if any(one.known for one in members):
        return DEVELOPMENT
    return UNSEEN if any(map(unseen, members)) else half_of(min(one.text for one in members))


def second_round(members: list[Attack]) -> str:
    if any(map(unseen, members)):
        return UNSEEN
    return HELD_OUT if number(f"second {min(one.text for one in members)}") % 2 else DEVELOPMENT


def unseen(attack: Attack) -> bool:
    # By the digest of the name that the family had when the halves were set.
    return number(attack.family.replace("cyberseceval/", "cse/")) % FAMILIES == 0


def triples(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


def planted_in(attack: Attack, mails: list[Line], turn: int) -> Line:
    """CyberSecEval's prompts as they are; BIPIA's texts before, in the middle of or after an email, by turns."""
    if not attack.family.startswith("bipia"):
        return Line(attack.family, "user", attack.text, attack.text)
    question, _, mail = mails[turn % len(mails)].text.partition("\n\nEmail: ")
    middle = mail.find("\n\n", len(mail) // 2)
    middle = len(mail) // 2 if middle < 0 else middle
    at = (0, middle, len(mail))[turn % 3]
    inside = f"{mail[:at]}\n{attack.text}\n{mail[at:]}".strip()
    text = f"{question}\n\nEmail: {inside}" if turn % 2 else f"Email: {inside}\n\n{question}"
    return Line(attack.family, "user", text, attack.text)


def read_ordinary(data: Path) -> Iterator[Line]:
    """Rows of real data sets; pages and books also as documents that a prompt quotes."""
    with (data / "banking77/train.csv").open(encoding="utf-8", newline="") as file:
        yield from (Line("banking77", "user", row["text"]) for row in csv.DictReader(file))
    for row in packed(data / "halueval/general_data.json.gz"):
        yield Line("halueval", "user", row["user_query"])
        yield Line("halueval answers", "assistant", row["chatgpt_response"])
    yield from (Line("gsm8k", "user", row["question"]) for row in packed(data / "gsm8k/train.jsonl.gz"))
    for row in plain(data / "self_instruct/seed_tasks.jsonl"):
        for one in row["instances"]:
            yield Line("self_instruct", "user", f"{row['instruction']}\n\n{one['input']}".strip())
    for row in plain(data / "mt_bench/question.jsonl"):
        yield from (Line("mt_bench", "user", text) for text in row["turns"])
    yield from read_documents(data)
    for row in plain(OWN):
        yield Line(f"own: {row['source']}", "user", row["text"])
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        parts = re.split(r"\n(?=class |def |async def )", path.read_text(encoding="utf-8"))
        yield from (Line("python's library, as code", "user", part[:PAGE]) for part in parts if len(part) >= SHORTEST)


def read_documents(data: Path) -> Iterator[Line]:
    with gzip.open(data / "xquad/xquad.en.json.gz", "rt", encoding="utf-8") as file:
        paragraphs = [one for article in json.load(file)["data"] for one in article["paragraphs"]]
    for paragraph in paragraphs:
        for turn, one in enumerate(paragraph["qas"]):
            context, question = f"Context: {paragraph['context']}", one["question"]
            yield Line(
                "xquad", "user", f"{context}\n\nQuestion: {question}" if turn % 2 else f"{question}\n\n{context}"
            )
    for row in packed(data / "bbq/Age.jsonl.gz"):
        yield Line("bbq", "user", f"{row['context']} {row['question']}")
    for name in ("us-government-web", "public-domain-prose"):
        for turn, row in enumerate(packed(data / f"corpus-cc0/{name}.jsonl.gz")):
            page = f"Document:\n{row['text'][:PAGE]}"
            asked = f"Summarize this document.\n\n{page}" if turn % 2 else f"{page}\n\nWhat is the main point?"
            yield Line(name, "user", asked)
            yield Line(f"{name}, as an answer", "assistant", row["text"])
    for row in plain(data / "bipia/email_test.jsonl"):
        yield Line("emails", "user", f"{row['question']}\n\nEmail: {row['context']}")


def packed(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def plain(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


if __name__ == "__main__":
    sys.exit(main())
