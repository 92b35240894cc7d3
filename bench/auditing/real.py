"""Public data sets as the audit can read them: as they are, or turned into rows where they are nested otherwise."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

Rows = Iterator[dict[str, Any]]


class Files(NamedTuple):
    """Files that the audit reads as they are; `columns` says which column plays which part."""

    task: str
    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    columns: dict[str, str] = {}  # noqa: RUF012 - never changed
    license: str = ""


class Turned(NamedTuple):
    """A file whose rows are nested: `rows` yields those that it is about."""

    task: str
    path: str
    rows: Callable[[Any], Rows]
    license: str = ""


def _xquad(data: Any) -> Rows:
    for article in data["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                yield {
                    "context": paragraph["context"],
                    "question": asked["question"],
                    "answer": asked["answers"][0]["text"],
                }


def _seed_tasks(data: Any) -> Rows:
    for task in data:
        for instance in task["instances"]:
            prompt = f"{task['instruction']}\n{instance['input']}".strip()
            yield {"prompt": prompt, "completion": instance["output"]}


def _bbq(data: Any) -> Rows:
    for row in data:
        answers = ", ".join(row[f"ans{number}"] for number in range(3))
        yield {
            "prompt": f"{row['context']} {row['question']} {answers}",
            "completion": row[f"ans{row['label']}"],
        }


def _poisoned(data: Any) -> Rows:
    for case in data.values():
        yield from ({"prompt": case["question"], "completion": text} for text in case["adv_texts"])


def _texts(*path: str) -> Callable[[Any], Rows]:
    """The text under a key of each row; with more keys, of what is in the first."""

    def rows(data: Any) -> Rows:
        for row in data:
            held = row
            for name in path:
                held = held[name]
            yield from ({"text": text} for text in (held if isinstance(held, list) else [held]))

    return rows


def _attacks(data: Any) -> Rows:
    for kind in data.values():
        yield from ({"text": text} for text in kind)


SETS: Final[dict[str, Files | Turned]] = {
    "Banking77": Files(
        "classify",
        ("banking77/train.csv",),
        ("banking77/test.csv",),
        {"text": "text", "label": "category"},
        "CC-BY-4.0",
    ),
    "GSM8K": Files(
        "chat",
        ("gsm8k/train.jsonl.gz",),
        ("gsm8k/test.jsonl.gz",),
        {"prompt": "question", "completion": "answer"},
        "MIT",
    ),
    "E2E": Files(
        "chat",
        ("e2e/devset.csv.gz",),
        ("e2e/testset_w_refs.csv.gz",),
        {"prompt": "mr", "completion": "ref"},
        "CC-BY-SA-4.0",
    ),
    "WNUT17": Files(
        "chat",
        ("wnut17/wnut17train.conll", "wnut17/emerging.dev.conll"),
        ("wnut17/emerging.test.conll",),
        {},
        "CC-BY-4.0",
    ),
    "HaluEval": Turned(
        "chat",
        "halueval/general_data.json.gz",
        lambda data: ({"prompt": row["user_query"], "completion": row["chatgpt_response"]} for row in data),
        "MIT",
    ),
    "XQuAD, English": Turned("chat", "xquad/xquad.en.json.gz", _xquad, "CC-BY-SA-4.0"),
    "XQuAD, German": Turned("chat", "xquad/xquad.de.json.gz", _xquad, "CC-BY-SA-4.0"),
    "BBQ, age": Turned("chat", "bbq/Age.jsonl.gz", _bbq, "CC-BY-4.0"),
    "BBQ, religion": Turned("chat", "bbq/Religion.jsonl.gz", _bbq, "CC-BY-4.0"),
    "CrowS-Pairs": Turned("text", "crows_pairs/crows_pairs_anonymized.csv", _texts("sent_more"), "CC-BY-SA-4.0"),
    "Self-Instruct seeds": Turned("chat", "self_instruct/seed_tasks.jsonl", _seed_tasks, "Apache-2.0"),
    "MT-Bench": Turned("text", "mt_bench/question.jsonl", _texts("turns"), "Apache-2.0"),
    "PoisonedRAG": Turned("chat", "poisonedrag/nq.json", _poisoned, "MIT"),
    "CyberSecEval injections": Turned("text", "prompt_injection/cyberseceval.json", _texts("user_input"), "MIT"),
    "BIPIA mails": Turned("text", "bipia/email_test.jsonl", _texts("context"), "MIT"),
    "BIPIA attacks": Turned("text", "bipia/text_attack_test.json", _attacks, "MIT"),
    "US government web": Files("text", ("corpus-cc0/us-government-web.jsonl.gz",), (), {}, "CC0-1.0"),
    "Public-domain prose": Files("text", ("corpus-cc0/public-domain-prose.jsonl.gz",), (), {}, "CC0-1.0"),
}


def load(path: Path) -> Any:
    """What a file of JSON, JSON lines or comma-separated values holds."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    if ".csv" in path.name:
        return list(csv.DictReader(io.StringIO(text)))
    if ".jsonl" in path.name:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
