"""The rows of each case as token ids with their trained spans, written once to a file that every arm reads."""

import csv
import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Example, Message, Row, message
from tunesmith.chat.encode import EncodedSequence, encode_chat

SEED = 7
SPARE = 1.25
"""Arms that change which rows form a step may need more rows than the others; they get this many times as many."""

CHECKED_TOKENS = 20_000
SUPPORT_DESK = Path(__file__).resolve().parents[2] / "examples" / "support-desk"

TASK = "You sort the messages of a bank's customers. Answer with the name of one queue and nothing else."
CHOICE = "Read the whole message first. When two queues fit, take the narrower one, and never invent a new one."

Conversation = tuple[Message, ...]


@dataclass(frozen=True)
class Case:
    """One shape of data. `conversations` reads the folder of data sets and needs the tokenizer only to count."""

    name: str
    title: str
    rows_per_step: int
    conversations: Callable[[Path, PreTrainedTokenizerBase], Iterator[Conversation]]


@dataclass(frozen=True)
class Data:
    """Rows in the order of the steps, which take `rows_per_step` each; the spare rows come last."""

    rows: list[EncodedSequence]
    rows_per_step: int
    steps: int

    def step_rows(self) -> list[list[EncodedSequence]]:
        """The rows of every step."""
        size = self.rows_per_step
        return [self.rows[step * size : (step + 1) * size] for step in range(self.steps)]


def write_case(case: Case, tokenizer: PreTrainedTokenizerBase, *, shared: Path, steps: int, path: Path) -> Data:
    """Render, tokenize and mask the rows of `steps` steps and some spare ones; write them for the arms to read."""
    wanted = round(steps * case.rows_per_step * SPARE)
    conversations = list(islice(case.conversations(shared, tokenizer), wanted))
    if len(conversations) < steps * case.rows_per_step:
        raise SystemExit(
            f"{case.name}: {len(conversations)} rows are too few for {steps} steps of {case.rows_per_step}"
        )
    rows = [_encode(tokenizer, at, conversation) for at, conversation in enumerate(conversations)]
    _check_masks(tokenizer, rows, conversations)
    data = Data(rows, case.rows_per_step, steps)
    plain = [{"row_id": row.row_id, "ids": row.ids, "spans": row.spans} for row in rows]
    path.write_text(json.dumps({"rows": plain, "rows_per_step": case.rows_per_step, "steps": steps}))
    return data


def read_case(path: Path) -> Data:
    """What `write_case` wrote."""
    raw = json.loads(path.read_text())
    rows = [
        EncodedSequence(row["row_id"], tuple(row["ids"]), tuple((start, end) for start, end in row["spans"]))
        for row in raw["rows"]
    ]
    return Data(rows, raw["rows_per_step"], raw["steps"])


def mask_of(row: EncodedSequence) -> list[int]:
    """1 where a token is trained, as TRL's `assistant_masks` column has it."""
    mask = [0] * len(row.ids)
    for start, end in row.spans:
        mask[start:end] = [1] * (end - start)
    return mask


def facts(rows: Sequence[EncodedSequence]) -> dict[str, float]:
    """Rows, real tokens and supervised tokens, for the report."""
    lengths = [len(row.ids) for row in rows]
    return {
        "rows": len(rows),
        "tokens": sum(lengths),
        "supervised": sum(row.supervised for row in rows),
        "shortest": min(lengths),
        "longest": max(lengths),
    }


def _encode(tokenizer: PreTrainedTokenizerBase, at: int, conversation: Conversation) -> EncodedSequence:
    """Ids and mask by the way TRL takes: one rendering, spans from the template's generation marker."""
    found: Any = tokenizer.apply_chat_template(
        _turns(conversation), return_dict=True, return_assistant_tokens_mask=True
    )
    mask = found["assistant_masks"]
    edges = [place for place in range(len(mask) + 1) if _bit(mask, place) != _bit(mask, place - 1)]
    return EncodedSequence(f"{at:016x}", tuple(found["input_ids"]), tuple(zip(edges[::2], edges[1::2], strict=True)))


def _bit(mask: Sequence[int], place: int) -> int:
    return mask[place] if 0 <= place < len(mask) else 0


def _turns(conversation: Conversation) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.text} for turn in conversation]


def _check_masks(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[EncodedSequence], conversations: Sequence[Conversation]
) -> None:
    """Tunesmith renders twice instead of trusting the marker; on the first rows both must give the same ids and spans."""
    checked = 0
    for row, conversation in zip(rows, conversations, strict=True):
        if checked > CHECKED_TOKENS:
            return
        example = Row(row_id=row.row_id, file="bench", line=1, example=Example(messages=conversation))
        (found,) = encode_chat(tokenizer, example, conversation)
        if (found.ids, found.spans) != (row.ids, row.spans):
            raise SystemExit(f"row {row.row_id}: the template's mask is not the one tunesmith finds")
        checked += len(row.ids)


def _source(shared: Path, name: str) -> Path:
    """A file of the data folder, checked against its manifest."""
    path = shared / "data" / name
    with (shared / "data" / "MANIFEST.tsv").open(newline="") as file:
        known = {row["file"]: row["sha256_16"] for row in csv.DictReader(file, delimiter="\t")}
    if hashlib.sha256(path.read_bytes()).hexdigest()[:16] != known[name]:
        raise SystemExit(f"{path} is not the file that MANIFEST.tsv names")
    return path


def _shuffled(rows: list[Any]) -> list[Any]:
    random.Random(SEED).shuffle(rows)
    return rows


def _banking(shared: Path, instruction: Callable[[Sequence[str]], str]) -> Iterator[Conversation]:
    with _source(shared, "banking77/train.csv").open(newline="") as file:
        rows = [(row["text"].strip(), row["category"].replace("_", " ")) for row in csv.DictReader(file)]
    system = instruction(sorted({queue for _, queue in rows}, key=str.casefold))
    for text, queue in _shuffled(rows):
        yield message("system", system), message("user", text), message("assistant", queue)


def _long_prompt(shared: Path, _: PreTrainedTokenizerBase) -> Iterator[Conversation]:
    return _banking(shared, lambda queues: f"{TASK} {CHOICE} The queues are: {', '.join(queues)}.")


def _short_prompt(shared: Path, _: PreTrainedTokenizerBase) -> Iterator[Conversation]:
    return _banking(shared, lambda _: TASK)


def _support_desk(prompted: bool) -> Iterator[Conversation]:
    """The example's rows, with the system prompt of its recipe or without one."""
    recipe = yaml.safe_load((SUPPORT_DESK / "recipe.yaml").read_text())
    system = (message("system", recipe["task"]["instruction"].strip()),) if prompted else ()
    for line in _shuffled((SUPPORT_DESK / "tickets.jsonl").read_text().splitlines()):
        turns = json.loads(line)["messages"]
        yield (*system, *(message(turn["role"], turn["content"]) for turn in turns))


def _sums(shared: Path) -> list[tuple[str, str]]:
    with gzip.open(_source(shared, "gsm8k/train.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return _shuffled([(row["question"], row["answer"]) for row in rows])


def _single_sums(shared: Path, _: PreTrainedTokenizerBase) -> Iterator[Conversation]:
    for question, answer in _sums(shared):
        yield message("user", question), message("assistant", answer)


def _chats(shared: Path, tokenizer: PreTrainedTokenizerBase, most: int) -> Iterator[Conversation]:
    """Question after question in one conversation, up to `most` tokens; every answer is trained."""
    turns: list[Message] = []
    total = 1
    for question, answer in _sums(shared):
        added = sum(len(tokenizer.encode(text, add_special_tokens=False)) + 2 for text in (question, answer))
        if total + added > most:
            yield tuple(turns)
            turns, total = [], 1
        turns += [message("user", question), message("assistant", answer)]
        total += added


CASES = {
    case.name: case
    for case in (
        Case("banking77-long", "Banking77 under one 470-token system prompt", 32, _long_prompt),
        Case("banking77-short", "Banking77 under a 27-token system prompt", 32, _short_prompt),
        Case("gsm8k", "GSM8K, no shared prefix, mixed lengths", 32, _single_sums),
        Case("gsm8k-16", "the same, 16 rows a step", 16, _single_sums),
        Case("support-desk", "the support desk under its system prompt", 16, lambda *_: _support_desk(True)),
        Case("support-desk-bare", "the support desk without a prompt", 16, lambda *_: _support_desk(False)),
        Case("chats-1k", "GSM8K questions as chats of 1,000 tokens", 4, partial(_chats, most=1000)),
        Case("chats-8k", "GSM8K questions as chats of 8,000 tokens", 8, partial(_chats, most=8000)),
    )
}
CPU_CASES = ("banking77-long", "banking77-short", "gsm8k")
