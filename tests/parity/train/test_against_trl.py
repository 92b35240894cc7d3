"""The loop against SFTTrainer of TRL 1.16.0: twenty steps on the same token ids and masks with the same AdamW.

TRL pads and accumulates, we pack and share; losses and weights must be the same but for the order of sums.
"""

import warnings
from collections.abc import Iterator, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

with warnings.catch_warnings():
    # accelerate 1.15 scripts two functions of its own while it is imported; torch 2.13 says that it will go away.
    warnings.filterwarnings("ignore", message="`torch.jit.script", category=DeprecationWarning)
    trl = pytest.importorskip("trl", reason="needs trl 1.16.0: pip install -e '.[dev]'")
import datasets
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith.artifacts import Example, Row, message
from tunesmith.chat.encode import EncodedSequence, encode_chat
from tunesmith.context import Context
from tunesmith.models.loading import load_folder
from tunesmith.recipe import TrainSettings
from tunesmith.store import open_store
from tunesmith.train.loop import TrainingPlan, run_loop
from tunesmith.train.methods import prepare_model

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

STEPS, ROWS_PER_STEP = 20, 6
SETTINGS = {
    "rows_per_step": ROWS_PER_STEP,
    "learning_rate": 2e-3,
    "schedule": "constant",
    "warmup": 0.0,
    "weight_decay": 0.05,
    "beta2": 0.98,
    "clip": 6.8,
    "tokens_per_pass": 90,
}
"""The norm of the gradient is above this clip in about half of the steps, and above `ADAPTER_CLIP` with adapters: AdamW does not
see a factor that is the same in all steps."""

ADAPTER_CLIP = 2.1
LOSS_TOLERANCE = 2e-6
"""Relative, for each of the twenty losses."""

WEIGHT_TOLERANCE = 2e-5
"""Norm of the difference over the norm, for each tensor after twenty steps. AdamW divides by the size of the gradient, so
what rounding adds to a gradient near zero moves a weight more than it moves the loss."""


class Watched(trl.SFTTrainer):
    """Keeps the loss of every forward; with accumulation a step has several, which add up."""

    def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
        loss = trl.SFTTrainer.training_step(self, *arguments, **options)
        self.seen = [*getattr(self, "seen", []), float(loss)]
        return loss


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixtures_models.make_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=1)
    yield made
    made.store.ledger.close()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def rows() -> list[EncodedSequence]:
    """Two of three rows under one of two prompts, the third under none; one trained span, or two. In each step the fourth row
    goes like the first until its last token, so that two rows share trained tokens too."""
    generator = numpy.random.default_rng(4)

    def tokens(low: int, high: int) -> list[int]:
        return generator.integers(7, 300, int(generator.integers(low, high))).tolist()

    prompts = [tokens(14, 15), tokens(9, 10), []]
    sequences = []
    for number in range(STEPS * ROWS_PER_STEP):
        asked = [0, *prompts[number % 3], *tokens(1, 9)]
        ids = [*asked, *tokens(1, 12)]
        spans = [(len(asked), len(ids))]
        if number % 4 == 0:
            between = len(ids) + 3
            ids += tokens(3, 4) + tokens(2, 6)
            spans.append((between, len(ids)))
        if number % ROWS_PER_STEP == 3:
            first = sequences[-3]
            ids, spans = [*first.ids[:-1], 301], list(first.spans)
        sequences.append(EncodedSequence(f"{number:016x}", tuple(ids), tuple(spans)))
    return sequences


def mask_of(row: EncodedSequence) -> list[int]:
    return [int(any(start <= place < end for start, end in row.spans)) for place in range(len(row.ids))]


def ours(model: Any, settings: TrainSettings, context: Context, *, folder: Path, share: bool = True) -> list[float]:
    """Losses of the twenty steps; the model is trained in place."""
    every = list(range(STEPS * ROWS_PER_STEP))
    steps = [every[start : start + ROWS_PER_STEP] for start in range(0, len(every), ROWS_PER_STEP)]
    plan = TrainingPlan(rows=rows(), steps=steps, validation=[], key="against-trl", folder=folder, share=share)
    return [point.loss for point in run_loop(model, plan, settings=settings, context=context).curve]


def theirs(model: Any, tokenizer: Any, *, folder: Path, micro: int, **options: Any) -> list[float]:
    """The same by SFTTrainer, which is given `micro` rows at a time."""
    data = {"input_ids": [list(row.ids) for row in rows()], "assistant_masks": [mask_of(row) for row in rows()]}
    trainer = trainer_for(
        model,
        tokenizer,
        datasets.Dataset.from_dict(data),
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=ROWS_PER_STEP // micro,
        **options,
    )
    trainer.train()
    parts = ROWS_PER_STEP // micro
    return [sum(trainer.seen[start : start + parts]) for start in range(0, len(trainer.seen), parts)]


def trainer_for(model: Any, tokenizer: Any, data: datasets.Dataset, **options: Any) -> Watched:
    settings = {
        "learning_rate": SETTINGS["learning_rate"],
        "lr_scheduler_type": "constant",
        "weight_decay": SETTINGS["weight_decay"],
        "adam_beta2": SETTINGS["beta2"],
        "max_grad_norm": SETTINGS["clip"],
        "train_sampling_strategy": "sequential",
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "max_length": None,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    arguments = trl.SFTConfig(**settings | options)
    return Watched(model=model, args=arguments, train_dataset=data, processing_class=tokenizer)


def assert_close(mine: Any, other: Any, names: Sequence[str]) -> None:
    left, right = dict(mine.named_parameters()), dict(other.named_parameters())
    assert names
    for name in names:
        difference = float(((left[name] - right[name]).norm() / right[name].norm()).detach())
        assert difference < WEIGHT_TOLERANCE, f"{name}: {difference}"


def moving(model: Any) -> list[str]:
    return [name for name, value in model.named_parameters() if value.requires_grad]


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize(("micro", "options"), [(6, {}), (2, {}), (3, {"padding_free": True})])
def test_full_tuning_equals_trl(
    folder: Path, tmp_path: Path, context: Context, share: bool, micro: int, options: dict[str, Any]
) -> None:
    mine, tokenizer = load_folder(folder)
    settings = TrainSettings(method="full", **SETTINGS)
    losses = ours(prepare_model(mine, settings, context), settings, context, folder=tmp_path / "run", share=share)
    other = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    expected = theirs(other, tokenizer, folder=tmp_path / "trl", micro=micro, **options)
    assert losses[0] != pytest.approx(losses[-1], rel=0.02)
    assert losses == pytest.approx(expected, rel=LOSS_TOLERANCE)
    assert_close(mine, other, [name for name, _ in other.named_parameters()])


def test_lora_equals_trl(folder: Path, tmp_path: Path, context: Context) -> None:
    settings = TrainSettings(method="lora", rank=4, **SETTINGS | {"clip": ADAPTER_CLIP})
    mine = prepare_model(load_folder(folder)[0], settings, context)
    other = plain_adapters(folder, settings, like=mine)
    losses = ours(mine, settings, context, folder=tmp_path / "run")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = theirs(other, tokenizer, folder=tmp_path / "trl", micro=6, max_grad_norm=ADAPTER_CLIP)
    assert losses[0] != pytest.approx(losses[-1], rel=0.02)
    assert losses == pytest.approx(expected, rel=LOSS_TOLERANCE)
    assert moving(mine) == moving(other)
    assert_close(mine, other, moving(mine))


def plain_adapters(folder: Path, settings: TrainSettings, *, like: Any) -> Any:
    """PEFT's wrapper with the A of another model; B is zero in both."""
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    config = LoraConfig(
        r=settings.rank, lora_alpha=2 * settings.rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with warnings.catch_warnings():
        # peft 0.21 asks for a property that transformers 5.23 has renamed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        wrapped = get_peft_model(base, config)
    values = dict(like.named_parameters())
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_A" in name:
                value.copy_(values[name])
    return wrapped


def test_tokens_and_masks_of_a_conversation_equal_trl(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load_folder(folder)
    turns = (
        message("system", "You are the clerk of a small shop."),
        message("user", "Where is my order?"),
        message("assistant", "It comes on Tuesday."),
        message("user", "And the kettle?"),
        message("assistant", "On Friday."),
    )
    (row,) = encode_chat(tokenizer, Row(row_id="0" * 16, file="made", line=1, example=Example(messages=turns)), turns)
    data = {"messages": [[{"role": turn.role, "content": turn.text} for turn in turns]]}
    trainer = trainer_for(
        model, tokenizer, datasets.Dataset.from_dict(data), output_dir=str(tmp_path), assistant_only_loss=True
    )
    prepared = trainer.train_dataset[0]
    assert prepared["input_ids"] == list(row.ids)
    assert prepared["labels"] == [token if bit else -100 for token, bit in zip(row.ids, mask_of(row), strict=True)]
