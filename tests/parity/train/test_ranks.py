"""Several ranks against one process: torchrun's own agent starts gloo ranks on this machine, and the numbers must agree.

The ranks are forked from one server that has imported everything once. Rank 0 leaves what it found in a folder; the tests
compare it with what the loop gives alone in this process.
"""

import json
import multiprocessing.forkserver
import os
import shutil
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from tunesmith import train
from tunesmith.artifacts import Example, Row, TrainReport, message
from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context, SilentProgress
from tunesmith.data.rows import store_dataset
from tunesmith.errors import DataError, IntegrityBroken, Misuse, RecipeError
from tunesmith.models.packed import check_packable, count_distinct_tokens, pack_rows
from tunesmith.recipe import NewBase, TaskSettings, TrainSettings
from tunesmith.store import open_store
from tunesmith.train.checkpoint import load_state, load_tensors, trainable_tensors
from tunesmith.train.distributed.failures import first_failure
from tunesmith.train.distributed.gradients import all_reduce_gradients, check_same_weights
from tunesmith.train.distributed.partition import partition_rows, rank_micro_batches
from tunesmith.train.distributed.ranks import SINGLE_RANK, Ranks, all_reduce_sum, barrier, join_ranks
from tunesmith.train.distributed.send_weights import is_meta, parameters_and_buffers
from tunesmith.train.distributed.sharded_checkpoint import RANKS_FILE
from tunesmith.train.distributed.wrap import check_sharding, gather_model, micro_batch_loss, wrap_model
from tunesmith.train.loop import Diverged, TrainingPlan, run_loop
from tunesmith.train.methods import prepare_model
from tunesmith.train.optimizers import build_optimizer
from tunesmith.train.run import dismiss_followers, follow_rank_zero

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)
LETTERS = fixtures_models.letters(101)

CONFIG = Path(__file__).parents[2] / "tiny_config.json"
SHAPES = ("untied", "tied", "lora", "lora-tied")
META_SHAPES = ("untied", "tied", "lora", "lora-tied", "half", "dora", "qwen3", "gemma3_text", "mistral")
"""Models that only rank 0 loads; the other ranks start on the meta device."""

FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 16, "tie_word_embeddings": True},
    "gemma3_text": {"head_dim": 16, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"],
                    "query_pre_attn_scalar": 16, "tie_word_embeddings": True},
    "mistral": {"sliding_window": 6, "tie_word_embeddings": False},
}  # fmt: skip
"""Model families beside Llama: query and key norms, tied and scaled embeddings, attention windows of six tokens."""

STRATEGIES = ("ddp", "fsdp")
STEPS = [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11], [12], [3, 5, 12, 0, 9], [3, 10], [1, 4, 6, 8, 10]]
"""The third step has fewer rows than ranks; in the fifth step one rank has a row without supervised tokens."""

KILLED_AFTER = 4
KEY = "k" * 64
MAX_WEIGHT_DIFFERENCE = 5e-5
"""Relative, by norm. AdamW divides small gradients by their own size, so rounding weighs more in the weights."""


class Killed(BaseException):
    """Stands in for the end of a process."""


@dataclass
class KillingProgress(SilentProgress):
    """Progress that raises Killed before a given step, on every rank."""

    after: int = len(STEPS)
    said: list[str] = field(default_factory=list)

    def track(self, items: Any, *, label: str, total: int | None = None) -> Iterator[Any]:
        for item in items:
            if item == self.after:
                raise Killed
            yield item

    def say(self, line: str) -> None:
        self.said.append(line)


def rows() -> list[EncodedSequence]:
    """Thirteen rows, most behind a common prefix; from 1 to 20 trained tokens each, some weighted, one with nothing trained."""
    sequences = []
    for number in range(13):
        length = 6 + (5 * number) % 17
        own = tuple((7 * number + 3 * at) % 90 + 8 for at in range(length))
        ids = own if number % 4 == 3 else (1, 2, 3, 4, 5, *own)
        first = len(ids) - 1 if number % 3 == 0 else 2
        sequences.append(
            EncodedSequence(f"{number:016x}", ids, ((first, len(ids)),), weights=(2.5,) if number % 5 == 2 else ())
        )
    sequences[10] = EncodedSequence("nothing", sequences[10].ids, ())
    return sequences


def family(name: str) -> Any:
    """A model of two layers of another family."""
    torch.manual_seed(3)
    sizes = {
        "vocab_size": 101, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "initializer_range": 0.1, "max_position_embeddings": 64, "attention_dropout": 0.0,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[name](**{**sizes, **FAMILIES[name]}))


def model(shape: str) -> Any:
    """A Llama of two layers; its head is its embedding when tied, its weights are bf16 when half. Or one of `FAMILIES`."""
    if shape in FAMILIES:
        return family(shape)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=shape.endswith("tied") and shape != "untied", initializer_range=0.2,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(torch.bfloat16 if shape == "half" else torch.float32)


def settings(shape: str, **options: Any) -> TrainSettings:
    kind = shape.partition("-")[0]
    method: dict[str, Any] = {"method": kind, "rank": 2} if kind in ("lora", "dora") else {"method": "full"}
    method["target_modules"] = ("lm_head", "embed_tokens", "q_proj") if shape == "lora-tied" else ()
    method["precision"] = "bf16" if shape == "half" else "fp32"
    method["gradient_checkpointing"] = shape == "untied"
    return TrainSettings(
        **{
            **method, "rows_per_step": 8, "tokens_per_pass": 30, "learning_rate": 3e-3, "schedule": "constant",
            "warmup": 0.0, "clip": 0.5, "checkpoint_every": 2, "validation": 0.1, "validate_every": 2, "keep": "best",
            **options,
        }
    )  # fmt: skip


def plan(folder: Path, ranks: Ranks = SINGLE_RANK) -> TrainingPlan:
    return TrainingPlan(rows(), STEPS, rows()[::4], KEY, folder, True, ranks)


def context(folder: Path, progress: Any = None) -> Context:
    return Context(
        store=open_store(folder), data_root=folder, home=folder, seed=5, progress=progress or SilentProgress()
    )


@dataclass(frozen=True)
class Outcome:
    """The result of a run: weights by name, the state, and the printed lines."""

    weights: dict[str, torch.Tensor]
    state: dict[str, Any]
    said: list[str]

    def keep(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.weights.items()}, folder / "weights.safetensors")
        (folder / "state.json").write_text(json.dumps({"state": self.state, "said": self.said}))

    @classmethod
    def of(cls, folder: Path) -> "Outcome":
        content = json.loads((folder / "state.json").read_text())
        return cls(load_file(folder / "weights.safetensors"), content["state"], content["said"])


def trained(shape: str, work: Path, ranks: Ranks = SINGLE_RANK, *, after: int = len(STEPS), **options: Any) -> Outcome:
    """Train a fresh model, resuming from the checkpoints in `work`."""
    run_context = context(work / "store", KillingProgress(after))
    run_settings = settings(shape, **options)

    def fresh() -> Any:
        return prepare_model(model(shape), run_settings, run_context)

    own = fresh()
    check_packable(own, LETTERS)
    ranks = wrap_model(own, ranks)
    state = run_loop(own, plan(work, ranks), settings=run_settings, context=run_context)
    whole = gather_model(own, ranks, fresh)
    weights = {name: value.detach() for name, value in trainable_tensors(whole).items()} if ranks.is_main else {}
    return Outcome(weights, state.model_dump(mode="json"), run_context.progress.said)


def gradients(shape: str, work: Path, ranks: Ranks = SINGLE_RANK) -> dict[str, torch.Tensor]:
    """Every gradient of the first step, whole."""
    run_settings = settings(shape)
    own = prepare_model(model(shape), run_settings, context(work / "store"))
    check_packable(own, LETTERS)
    ranks = wrap_model(own, ranks)
    chosen = [rows()[at] for at in STEPS[0]]
    weight = sum(row.weight for row in chosen)
    for group in rank_micro_batches(chosen, run_settings.tokens_per_pass, share=True, ranks=ranks):
        (micro_batch_loss(own, pack_rows(group, torch.device("cpu"), share=True), ranks=ranks) / weight).backward()
    all_reduce_gradients(list(trainable_tensors(own).values()), ranks)
    by_name = {name: value.grad for name, value in trainable_tensors(own).items()}
    return {name: grad.full_tensor() if isinstance(grad, DTensor) else grad for name, grad in by_name.items()}


def train_bf16(folder: Path, ranks: Ranks) -> None:
    """bf16 weights: gradients, an uninterrupted run, a killed and resumed run, and one resumed from a single process."""
    for strategy in STRATEGIES:
        team, work = replace(ranks, strategy=strategy), folder / f"half-{strategy}"
        found = gradients("half", work, team)
        outcome = trained("half", work / "whole", team)
        if ranks.is_main:
            save_file({name: value.contiguous() for name, value in found.items()}, work / "gradients.safetensors")
            outcome.keep(work)
        with pytest.raises(Killed):
            trained("half", work / "killed", team, after=KILLED_AFTER)
        barrier(team)
        if ranks.is_main:
            shutil.copytree(work / "killed", work / "alone")
            with pytest.raises(Killed):
                trained("half", work / "single", after=KILLED_AFTER)
        barrier(team)
        for way in ("killed", "single"):
            outcome = trained("half", work / way, team)
            if ranks.is_main:
                outcome.keep(work / way)


def meta_slices(folder: Path, ranks: Ranks) -> None:
    """Shard every model twice: loaded by every rank, and loaded by rank 0 only. Rank 1 writes what differs."""
    results = {}
    team = replace(ranks, strategy="fsdp")
    for shape in META_SHAPES:
        run_settings, run_context = settings(shape), context(folder / "meta_slices")
        whole = prepare_model(model(shape), run_settings, run_context)
        with torch.device("cpu" if ranks.is_main else "meta"):
            frame = prepare_model(model(shape), run_settings, run_context)
        assert is_meta(frame) != ranks.is_main
        wrap_model(whole, team)
        wrap_model(frame, team)
        expected, sent = (dict(parameters_and_buffers(one)) for one in (whole, frame))
        pairs = [(sliced(expected[name]), sliced(value), name) for name, value in sent.items()]
        wrong = [name for one, two, name in pairs if one.dtype != two.dtype or not torch.equal(one, two)]
        local_size = sum(two.numel() for _, two, _ in pairs)
        results[shape] = {"wrong": wrong, "held": local_size, "all": sum(value.numel() for value in sent.values())}
        assert sent.keys() == expected.keys() and [value.requires_grad for value in sent.values()] == [
            value.requires_grad for value in expected.values()
        ]
    if not ranks.is_main:
        (folder / "meta_slices.json").write_text(json.dumps(results))
    barrier(ranks)


def sliced(value: torch.Tensor) -> torch.Tensor:
    return (value.to_local() if isinstance(value, DTensor) else value).detach()


def two(folder: Path) -> None:
    """The tasks of two ranks: every shape with every strategy, uninterrupted, and killed and resumed."""
    ranks = join_ranks()
    meta_slices(folder, ranks)
    train_bf16(folder, ranks)
    for strategy in STRATEGIES:
        team = replace(ranks, strategy=strategy)
        for shape in SHAPES:
            work = folder / f"{shape}-{strategy}"
            found = gradients(shape, work, team)
            outcome = trained(shape, work / "whole", team)
            if ranks.is_main:
                save_file({name: value.contiguous() for name, value in found.items()}, work / "gradients.safetensors")
                outcome.keep(work)
        work = folder / f"resumed-{strategy}"
        with pytest.raises(Killed):
            trained("tied", work, team, after=KILLED_AFTER)
        barrier(team)
        if ranks.is_main:
            for copy in ("three", "alone"):
                shutil.copytree(work, folder / f"{copy}-{strategy}")
        outcome = trained("tied", work, team)
        if ranks.is_main:
            outcome.keep(work)
    for name in FAMILIES:
        team, work = replace(ranks, strategy="fsdp"), folder / f"{name}-fsdp"
        found = gradients(name, work, team)
        outcome = trained(name, work / "whole", team)
        if ranks.is_main:
            save_file({name: value.contiguous() for name, value in found.items()}, work / "gradients.safetensors")
            outcome.keep(work)
    check_refusals(folder, ranks)
    stage(folder, ranks)


def check_refusals(folder: Path, ranks: Ranks) -> None:
    """What ranks must refuse; the messages of rank 0 are kept."""
    messages = []
    with pytest.raises(Diverged) as diverged:
        broken = model("untied")
        with torch.no_grad():
            broken.model.embed_tokens.weight[rows()[11].ids[0]] = float("nan")
        run_settings = settings("untied")
        run_loop(
            broken,
            replace(plan(folder / "broken", ranks), steps=[[0, 1, 11, 2]]),
            settings=run_settings,
            context=context(folder / "s"),
        )
    messages.append(f"{diverged.value.where}")
    weights = [torch.full((3,), float(ranks.rank)), torch.zeros(2)]
    with pytest.raises(IntegrityBroken) as uneven:
        check_same_weights(weights, ranks)
    messages.append(uneven.value.what)
    if ranks.is_main:
        (folder / "check_refusals.json").write_text(json.dumps(messages))


def job(run_context: Context) -> train.TrainInputs:
    """Sixteen short conversations for a model of two layers made from nothing."""
    (run_context.home / "config.json").write_text(CONFIG.read_text())
    examples = []
    for number in range(16):
        turns = (message("user", f"what is {number} times two"), message("assistant", f"that is {2 * number}"))
        examples.append(Row(row_id=f"{number:016x}", file="made", line=number + 1, example=Example(messages=turns)))
    base = NewBase(config="config.json", tokenizer={"train": 300}, seed=2)
    return train.TrainInputs(store_dataset("made", examples, run_context.store), base, TaskSettings(type="chat"))


STAGE_SETTINGS = TrainSettings(
    method="full", rows_per_step=4, learning_rate=2e-3, max_steps=3, tokens_per_pass=40, validation=0.1
)


BF16_STAGE_SETTINGS = STAGE_SETTINGS.model_copy(
    update={"method": "dora", "rank": 4, "precision": "bf16", "strategy": "fsdp"}
)


def stage(folder: Path, ranks: Ranks) -> None:
    """The train stage: rank 0 runs it three times while rank 1 follows until it is dismissed; then both call it."""
    run_context = context(folder / "stage")
    reports = []
    if ranks.is_main:
        reports += [
            train.run(job(run_context), STAGE_SETTINGS.model_copy(update={"strategy": strategy}), run_context)
            for strategy in STRATEGIES
        ]
        half = train.run(job(run_context), BF16_STAGE_SETTINGS, run_context)
        (folder / "half.json").write_text(json.dumps(run_context.store.put(half)))
        dismiss_followers()
    else:
        follow_rank_zero(run_context)
    reports.append(train.run(job(run_context), STAGE_SETTINGS, run_context))
    if ranks.is_main:
        (folder / "reports.json").write_text(json.dumps([run_context.store.put(report) for report in reports]))


def three(folder: Path) -> None:
    """Three ranks resume from checkpoints of two; with LoRA rank 2 the third rank has no slice of A."""
    ranks = join_ranks()
    for strategy in STRATEGIES:
        outcome = trained("tied", folder / f"three-{strategy}", replace(ranks, strategy=strategy))
        if ranks.is_main:
            outcome.keep(folder / f"three-{strategy}")
    outcome = trained("lora", folder / "lora-three" / "whole", replace(ranks, strategy="fsdp"))
    if ranks.is_main:
        outcome.keep(folder / "lora-three")


def run_failure(folder: Path) -> None:
    """The rank that the folder names fails before a sum, with an error or by a kill; each rank writes the error it raised."""
    ranks = join_ranks()
    failing, word = (folder / "fault").read_text().split()
    caught: BaseException
    try:
        with first_failure(ranks):
            if ranks.rank == int(failing):
                if word == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise DataError("row x cannot be trained")
            all_reduce_sum(ranks, [1.0])
    except BaseException as error:  # noqa: BLE001 - its name is what is kept
        caught = error
    if ranks.is_main:
        dismiss_followers()
    (folder / f"rank-{ranks.rank}").write_text(f"{type(caught).__name__}: {caught}")
    os._exit(0)


TASKS: dict[str, Callable[[Path], None]] = {"two": two, "three": three, "run_failure": run_failure}


def run_task(task: str, folder: Path) -> None:
    """Run a task; a failing rank exits at once, so that the agent sees it and no other rank waits."""
    try:
        TASKS[task](folder)
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        traceback.print_exc()
        os._exit(1)


def code(task: str, folder: Path) -> str:
    """What a rank executes: this file, then the task."""
    multiprocessing.forkserver.set_forkserver_preload(["tunesmith.train.run", "pytest"])
    own = "import os, runpy, pathlib; os.environ['GLOO_SOCKET_IFNAME'] = 'lo'"
    return f"{own}; runpy.run_path({__file__!r})['run_task']({task!r}, pathlib.Path({str(folder)!r}))"


def launch(size: int, task: str, folder: Path) -> None:
    """Run a task of this file under torchrun's agent. Raises ChildFailedError when a rank fails."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    (folder / f"log-{task}").mkdir(parents=True)
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=size, run_id=task, start_method="forkserver", max_restarts=0,
        rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", local_addr="127.0.0.1", monitor_interval=0.1,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / f"log-{task}")),
    )  # fmt: skip
    before = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    }
    try:
        elastic_launch(config, exec)(code(task, folder))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def ranks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two ranks, and then three, have run their tasks."""
    folder = tmp_path_factory.mktemp("ranks")
    launch(2, "two", folder)
    launch(3, "three", folder)
    return folder


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("alone")
    return {shape: trained(shape, folder / shape) for shape in SHAPES}


def test_the_stage_gives_the_same_report_on_every_rank(ranks_folder: Path, tmp_path: Path) -> None:
    run_context = context(tmp_path)
    alone = train.run(job(run_context), STAGE_SETTINGS, run_context)
    expected = load_file(run_context.store.checkout(alone.model.tree) / "model.safetensors")
    theirs = context(ranks_folder / "stage").store
    reports = [theirs.get(TrainReport, digest) for digest in json.loads((ranks_folder / "reports.json").read_text())]
    assert [report.measured["ranks"] for report in reports] == [2.0, 2.0, 2.0]
    for report in reports:
        assert [point.loss for point in report.curve] == pytest.approx([point.loss for point in alone.curve], rel=1e-5)
        assert report.held_out[-1].loss == pytest.approx(alone.held_out[-1].loss, rel=1e-5)
        assert (report.consumption, report.tokens, report.trainable_parameters, report.model.parameters) == (
            alone.consumption, alone.tokens, alone.trainable_parameters, alone.model.parameters,
        )  # fmt: skip
        assert (
            max_difference(load_file(theirs.checkout(report.model.tree) / "model.safetensors"), expected)
            < MAX_WEIGHT_DIFFERENCE
        )
    assert reports[0].model == reports[2].model
    half = theirs.get(TrainReport, json.loads((ranks_folder / "half.json").read_text()))
    whole = train.run(job(run_context), BF16_STAGE_SETTINGS, run_context)
    assert [point.loss for point in half.curve] == pytest.approx([point.loss for point in whole.curve], rel=5e-3)
    assert (half.model.kind, half.model.parameters) == ("adapter", whole.model.parameters)


def max_difference(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    """The largest relative difference (norm) of any tensor."""
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).norm() / two[name].norm().clamp_min(1e-12)) for name in two)


def numbers(state: dict[str, Any]) -> list[float]:
    """Losses, norms and rates of a run, including validation losses."""
    points = [*state["curve"], *state["held_out"]]
    return [point[name] for point in points for name in ("loss", "gradient_norm", "learning_rate")]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_two_ranks_equal_one_process(shape: str, strategy: str, ranks_folder: Path, alone: dict[str, Outcome]) -> None:
    outcome, expected = Outcome.of(ranks_folder / f"{shape}-{strategy}"), alone[shape]
    assert numbers(outcome.state) == pytest.approx(numbers(expected.state), rel=1e-5)
    assert len(outcome.state["curve"]) == len(STEPS)
    assert [point["supervised_tokens"] for point in outcome.state["curve"]] == [
        sum(rows()[at].supervised for at in step) for step in STEPS
    ]
    assert outcome.state["best_step"] == expected.state["best_step"]
    assert max_difference(outcome.weights, expected.weights) < MAX_WEIGHT_DIFFERENCE


@pytest.mark.parametrize("name", FAMILIES)
def test_other_model_families_sharded_equal_one_process(name: str, ranks_folder: Path, tmp_path: Path) -> None:
    outcome, expected = Outcome.of(ranks_folder / f"{name}-fsdp"), trained(name, tmp_path / "alone")
    assert numbers(outcome.state) == pytest.approx(numbers(expected.state), rel=1e-5)
    assert max_difference(outcome.weights, expected.weights) < MAX_WEIGHT_DIFFERENCE
    slopes = gradients(name, tmp_path)
    assert float(slopes["model.embed_tokens.weight"].norm()) > 0.1
    assert max_difference(load_file(ranks_folder / f"{name}-fsdp" / "gradients.safetensors"), slopes) < 1e-6


def micro_batch_gradients(strategy: str) -> dict[str, torch.Tensor]:
    """The gradients of the first step in bf16, pass by pass of each of two ranks, added here in fp32.

    Where the head is whole the loss gives its gradient in fp32, which a weight in bf16 would round.
    """
    run_settings = settings("half")
    own = model("half")
    if strategy == "ddp":
        own.lm_head.weight.grad_dtype = torch.float32
    check_packable(own, LETTERS)
    chosen = [rows()[at] for at in STEPS[0]]
    weight = sum(row.weight for row in chosen)
    sums = {name: torch.zeros(value.shape) for name, value in own.named_parameters()}
    for rank in range(2):
        for group in rank_micro_batches(chosen, run_settings.tokens_per_pass, share=True, ranks=Ranks(rank, 2, "ddp")):
            own.zero_grad()
            (
                micro_batch_loss(own, pack_rows(group, torch.device("cpu"), share=True), ranks=SINGLE_RANK) / weight
            ).backward()
            for name, value in own.named_parameters():
                sums[name] += value.grad.float()
    return sums


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bf16_gradients_are_added_in_fp32_over_micro_batches_and_ranks(strategy: str, ranks_folder: Path) -> None:
    found = load_file(ranks_folder / f"half-{strategy}" / "gradients.safetensors")
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert max_difference(found, micro_batch_gradients(strategy)) < 1e-6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_killed_bf16_run_resumes_bit_for_bit_and_on_other_ranks_within_rounding(
    strategy: str, ranks_folder: Path
) -> None:
    work = ranks_folder / f"half-{strategy}"
    whole, resumed = Outcome.of(work), Outcome.of(work / "killed")
    assert resumed.said == [f"resumed at step {KILLED_AFTER} of {len(STEPS)}"]
    assert resumed.state == whole.state
    assert {value.dtype for value in whole.weights.values()} == {torch.bfloat16}
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())
    others = [Outcome.of(work / "single")]
    own = prepare_model(model("half"), settings("half"), context(work / "store"))
    optimizer = build_optimizer(own, settings("half"))
    load_tensors(work / "alone", own, optimizer, step=KILLED_AFTER)
    assert all(torch.equal(weight, master.to(torch.bfloat16)) for weight, master in optimizer.masters)
    assert any(not torch.equal(weight.float(), master) for weight, master in optimizer.masters)
    others.append(trained("half", work / "alone"))
    assert [one.said[0].partition("; ")[2].partition(",")[0] for one in others] == [
        "ranks changed from 1 to 2",
        "ranks changed from 2 to 1",
    ]
    for one in others:
        # A gradient that bf16 products round elsewhere moves a weight by another bit of its own eight.
        assert numbers(one.state) == pytest.approx(numbers(whole.state), rel=0.03)
        assert max_difference(one.weights, whole.weights) < 4e-3


def test_a_rank_on_the_meta_device_gets_the_bits_of_rank_0(ranks_folder: Path) -> None:
    results = json.loads((ranks_folder / "meta_slices.json").read_text())
    assert results.keys() == set(META_SHAPES)
    for shape, one in results.items():
        assert one["wrong"] == [], shape
        assert one["held"] < 0.55 * one["all"], shape


def test_neither_micro_batches_nor_ranks_change_the_mean_loss(
    ranks_folder: Path, alone: dict[str, Outcome], tmp_path: Path
) -> None:
    """One row per micro-batch, all rows in one, or two ranks: the same losses, without a bias to one side."""
    ways = [trained("tied", tmp_path / str(tokens), tokens_per_pass=tokens).state for tokens in (16, 4096)]
    ways += [Outcome.of(ranks_folder / f"tied-{strategy}").state for strategy in STRATEGIES]
    expected = [point["loss"] for point in alone["tied"].state["curve"]]
    for state in ways:
        losses = [point["loss"] for point in state["curve"]]
        assert losses == pytest.approx(expected, rel=1e-5)
        assert abs(sum(losses) - sum(expected)) < 1e-6 * sum(expected)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_gradient_equals_that_of_one_process(
    shape: str, strategy: str, ranks_folder: Path, tmp_path: Path
) -> None:
    found = load_file(ranks_folder / f"{shape}-{strategy}" / "gradients.safetensors")
    expected = gradients(shape, tmp_path)
    head = {"untied": "lm_head.weight", "tied": "model.embed_tokens.weight"}
    assert shape not in head or float(expected[head[shape]].norm()) > 0.1
    assert max_difference(found, expected) < 1e-6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_ranks_resume_bit_for_bit(strategy: str, ranks_folder: Path) -> None:
    whole, resumed = Outcome.of(ranks_folder / f"tied-{strategy}"), Outcome.of(ranks_folder / f"resumed-{strategy}")
    assert resumed.said == [f"resumed at step {KILLED_AFTER} of {len(STEPS)}"]
    assert resumed.state == whole.state
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_number_of_ranks_resumes_and_says_so(
    strategy: str, ranks_folder: Path, alone: dict[str, Outcome]
) -> None:
    outcome = Outcome.of(ranks_folder / f"three-{strategy}")
    assert outcome.said == [
        f"resumed at step {KILLED_AFTER} of {len(STEPS)}; ranks changed from 2 to 3, so results match within rounding, "
        "not bit for bit"
    ]
    assert numbers(outcome.state) == pytest.approx(numbers(alone["tied"].state), rel=1e-5)
    assert max_difference(outcome.weights, alone["tied"].weights) < MAX_WEIGHT_DIFFERENCE


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_process_resumes_from_a_checkpoint_of_two_ranks(
    strategy: str, ranks_folder: Path, alone: dict[str, Outcome]
) -> None:
    outcome = trained("tied", ranks_folder / f"alone-{strategy}")
    assert outcome.said[0].endswith("ranks changed from 2 to 1, so results match within rounding, not bit for bit")
    assert max_difference(outcome.weights, alone["tied"].weights) < MAX_WEIGHT_DIFFERENCE


def test_more_ranks_than_slices(ranks_folder: Path, alone: dict[str, Outcome]) -> None:
    outcome = Outcome.of(ranks_folder / "lora-three")
    assert numbers(outcome.state) == pytest.approx(numbers(alone["lora"].state), rel=1e-5)
    assert max_difference(outcome.weights, alone["lora"].weights) < MAX_WEIGHT_DIFFERENCE


def test_a_missing_slice_is_reported(ranks_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(ranks_folder / "resumed-fsdp", tmp_path / "cut")
    own = model("tied")
    step = load_state(tmp_path / "cut", KEY).step
    folder = tmp_path / "cut" / f"step-{step}"
    slices = json.loads((folder / RANKS_FILE).read_text())["slices"]
    assert len(slices) == 2
    (folder / sorted(slices)[0]).unlink()
    with pytest.raises(IntegrityBroken, match="the slices of a rank are missing or truncated"):
        load_tensors(tmp_path / "cut", own, build_optimizer(own, settings("tied")), step=step)


def test_refusals_of_running_ranks(ranks_folder: Path) -> None:
    diverged, uneven = json.loads((ranks_folder / "check_refusals.json").read_text())
    assert diverged.startswith("rows ") and rows()[11].row_id in diverged
    assert uneven == "1 of 2 tensors differ between the ranks"


def fail(folder: Path, rank: int, word: str) -> list[str]:
    """Run two ranks without an agent that would stop the second one; returns what each of them raised."""
    (folder / "fault").write_text(f"{rank} {word}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meet = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        multiprocessing.get_context("forkserver").Process(
            target=exec,
            args=(f"import os; os.environ.update({ {**meet, 'RANK': str(rank)} }); {code('run_failure', folder)}",),
        )
        for rank in range(2)
    ]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join(60)
    return [(folder / f"rank-{rank}").read_text() if (folder / f"rank-{rank}").exists() else "" for rank in range(2)]


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_failure_is_reported(rank: int, tmp_path: Path) -> None:
    errors = fail(tmp_path, rank, "said")
    assert errors[rank] == "DataError: row x cannot be trained"
    assert errors[1 - rank].startswith(f"PeerFailed: rank {1 - rank}: another rank failed first")


def test_a_killed_rank_is_noticed(tmp_path: Path) -> None:
    assert fail(tmp_path, 1, "killed")[0].startswith("MachineFailure: rank 0: another rank has exited")


@pytest.mark.parametrize("options", [{"optimizer": "muon"}, {"optimizer": "adamw-8bit"}, {"method": "qlora"}])
def test_settings_that_fsdp_cannot_run_are_refused_by_name(options: dict[str, str]) -> None:
    run_settings = settings("untied", **options)
    check_sharding(run_settings, Ranks(0, 2, "ddp"))
    with pytest.raises(RecipeError) as caught:
        check_sharding(run_settings, Ranks(0, 2, "fsdp"))
    assert caught.value.where == f"train.{next(iter(options))}"


def costs(parts: Sequence[Sequence[EncodedSequence]], *, share: bool) -> list[int]:
    return [count_distinct_tokens(part) if share and part else sum(len(row.ids) for row in part) for part in parts]


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 20])
def test_rows_are_partitioned_once_and_evenly(ranks: int, share: bool) -> None:
    parts = partition_rows(rows(), ranks, share=share)
    assert len(parts) == ranks
    dealt = [row for part in parts for row in part]
    assert sorted(dealt, key=lambda row: row.row_id) == sorted(rows(), key=lambda row: row.row_id)
    assert dealt == (sorted(rows(), key=lambda row: row.ids) if share else rows())
    best = (
        min(max(costs(cut, share=share)) for cut in all_cuts(dealt, ranks))
        if ranks <= 3
        else max(*costs(parts, share=share), *(len(row.ids) for row in rows()))
    )
    assert max(costs(parts, share=share)) == best


def all_cuts(ordered: list[EncodedSequence], ranks: int) -> Iterator[list[list[EncodedSequence]]]:
    """All ways to cut a list into `ranks` contiguous parts."""
    if ranks == 1:
        yield [ordered]
        return
    for at in range(len(ordered) + 1):
        for rest in all_cuts(ordered[at:], ranks - 1):
            yield [ordered[:at], *rest]


def test_rows_with_a_common_prefix_stay_together() -> None:
    one, other = tuple(range(50)), tuple(range(60, 90))
    alike = [
        EncodedSequence(f"{start[0]}-{n}", (*start, 95 + n), ((1, 3),)) for n in range(4) for start in (one, other)
    ]
    parts = partition_rows(alike, 2, share=True)
    assert [{row.ids[0] for row in part} for part in parts] == [{0}, {60}]


def test_every_rank_runs_the_same_number_of_micro_batches() -> None:
    chosen = [rows()[at] for at in STEPS[0]]
    passes = [rank_micro_batches(chosen, 30, share=True, ranks=Ranks(rank, 3, "fsdp")) for rank in range(3)]
    assert len({len(one) for one in passes}) == 1
    weights = [row.weight for one in passes for group in one for row in group]
    assert sum(weights) == sum(row.weight for row in chosen)
    own = [rank_micro_batches(chosen, 30, share=True, ranks=Ranks(rank, 3, "ddp")) for rank in range(3)]
    assert any(len(one) < len(other) for one, other in zip(own, passes, strict=True))
    assert rank_micro_batches([], 30, share=True, ranks=SINGLE_RANK) == []


def test_ranks_without_a_rendezvous_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert join_ranks() == SINGLE_RANK
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(Misuse, match="RANK, MASTER_ADDR, MASTER_PORT"):
        join_ranks()
