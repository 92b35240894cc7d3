"""The packed loop against a reference that trains row by row: no packing, no shared code, plain transformers and torch."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith import train
from tunesmith.artifacts import Example, Row, message
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.recipe import NewBase, TaskSettings, TrainSettings
from tunesmith.store import open_store
from tunesmith.train.batches import plan_steps
from tunesmith.train.setup import row_text

CONFIG = Path(__file__).parents[2] / "tiny_config.json"
TASK = TaskSettings(type="chat")


def rows() -> list[Row]:
    sequences = []
    for number in range(48):
        turns = (
            message("user", f"what is {number} times two " + "please " * (number % 4)),
            message("assistant", f"that is {2 * number}"),
        )
        sequences.append(Row(row_id=f"{number:016x}", file="made", line=number + 1, example=Example(messages=turns)))
    return sequences


def oracle(
    folder: Path, settings: TrainSettings, steps: list[list[int]]
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of every step and the final weights, one row at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    data = []
    for row in rows():
        turns = [{"role": turn.role, "content": turn.text} for turn in row.example.messages]
        out = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
        data.append((torch.tensor([out["input_ids"]]), torch.tensor(out["assistant_masks"], dtype=torch.bool)))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, settings.beta2), weight_decay=0.0
    )
    losses = []
    for step, indices in enumerate(steps):
        optimizer.param_groups[0]["lr"] = (
            settings.learning_rate * min(1.0, (step + 1) / 2) if step < 2 else settings.learning_rate
        )
        optimizer.zero_grad()
        count = sum(int(data[index][1].sum()) for index in indices)
        total = 0.0
        for index in indices:
            ids, mask = data[index]
            logits = model(input_ids=ids).logits[0, :-1]
            loss = cross_entropy(logits[mask[1:]], ids[0, 1:][mask[1:]], reduction="sum")
            (loss / count).backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        losses.append(total / count)
    return losses, {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "config.json").write_text(CONFIG.read_text())
    return Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=1)


def test_twenty_steps_equal_the_reference_loop(context: Context) -> None:
    base = NewBase(config="config.json", tokenizer={"train": 400}, seed=2)
    settings = TrainSettings(
        method="full", rows_per_step=4, epochs=2, max_steps=20, learning_rate=2e-3, schedule="constant", warmup=0.1,
        tokens_per_pass=70,
    )  # fmt: skip
    report = train.run(train.TrainInputs(store_dataset("made", rows(), context.store), base, TASK), settings, context)
    start = resolve_base(base, context, texts=[row_text(row) for row in rows()])
    assert start.tree == report.base.tree
    steps = plan_steps([1] * 48, settings, context)
    losses, weights = oracle(context.store.checkout(start.tree), settings, steps)
    assert [point.loss for point in report.curve] == pytest.approx(losses, rel=2e-5)
    tuned = AutoModelForCausalLM.from_pretrained(context.store.checkout(report.model.tree), dtype=torch.float32)
    for name, value in tuned.named_parameters():
        moved = (weights[name] - value).norm() / weights[name].norm()
        assert moved < 2e-5, name
