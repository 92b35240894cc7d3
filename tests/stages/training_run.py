"""One small training run in a folder, for tests that kill it: `python training_run.py STORE MODE` prints the model's digest.

MODE `whole` trains to the end; `killed` lets child processes do it, and kills ten of them at seeded random moments.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tunesmith import train
from tunesmith.artifacts import Example, Rights, Row, message
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.recipe import NewBase, TaskSettings, TrainSettings
from tunesmith.store import open_store

CONFIG = Path(__file__).parents[1] / "tiny_config.json"


def rows(count: int) -> list[Row]:
    """Short questions and answers of uneven length."""
    examples = []
    for number in range(count):
        question, answer = f"count {number} " + "very " * (number % 5) + "slowly", f"{number} {number + 1}"
        example = Example(messages=(message("user", question), message("assistant", answer)))
        examples.append(
            Row(row_id=f"{number:016x}", file="made.jsonl", line=number + 1, example=example, rights=Rights())
        )
    return examples


def run(store: Path, method: str = "full", optimizer: str = "adamw") -> str:
    """Train some 120 steps over 6 epochs with a checkpoint after every step; the digest of the model's files."""
    torch.set_num_threads(1)
    store.mkdir(parents=True, exist_ok=True)
    (store / "config.json").write_text(CONFIG.read_text())
    context = Context(store=open_store(store), data_root=store, home=store, seed=5)
    settings = TrainSettings(
        method=method, optimizer=optimizer, rows_per_step=4, epochs=6, learning_rate=3e-3, checkpoint_every=1,
        validation=0.1, validate_every=7, rank=4,
    )  # fmt: skip
    inputs = train.TrainInputs(
        store_dataset("made", rows(90), context.store),
        NewBase(config="config.json", tokenizer={"train": 400}, seed=3),
        TaskSettings(type="chat"),
    )
    return train.run(inputs, settings, context).model.tree


def saved_step(store: Path) -> int:
    """The step of the latest complete checkpoint, 0 before the first."""
    pointers = list(store.glob("work/*/latest"))
    return int(pointers[0].read_text().removeprefix("step-")) if pointers else 0


def run_killed(store: Path, kills: int) -> tuple[str, list[int]]:
    """Children train; `kills` of them get SIGKILL at random moments, each after it went further than the one before.

    The model's digest, and the checkpoint that each killed child left behind.
    """
    moments = random.Random(3)
    result = store / "result"
    saved_steps: list[int] = []
    for _ in range(kills + 1):
        child = os.fork()
        if child == 0:
            result.write_text(run(store))
            os._exit(0)
        if len(saved_steps) == kills:
            os.waitpid(child, 0)
            break
        before = saved_steps[-1] if saved_steps else 0
        while saved_step(store) <= before:
            if os.waitpid(child, os.WNOHANG)[0]:
                raise SystemExit(f"the child ended at step {saved_step(store)}, before it could be killed")
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        saved_steps.append(saved_step(store))
    return result.read_text(), saved_steps


if __name__ == "__main__":
    folder, mode = Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    digest, steps = (run(folder), []) if mode == "whole" else run_killed(folder, 10)
    print(json.dumps({"tree": digest, "left": steps}))
