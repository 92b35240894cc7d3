"""Our greedy generation beside transformers' `generate`, the same tokens: `python bench/generate.py FOLDER`.

FOLDER holds a base as safetensors, for example SmolLM2-135M-Instruct. Both sides answer the same held-out messages of the support
desk under its system prompt, greedily, for a fixed number of tokens, in one process and in turn; medians over the repeats, in
seconds of the clock and of the processor. The second means more on a machine that does other work too. Ends with exit code 1
where, in fp32, the tokens differ.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import tunesmith  # noqa: F401  (first: it sets the process switches that torch reads at import)

# isort: split

import peft
import torch
import transformers

from tunesmith.artifacts import message
from tunesmith.chat.encode import prompt_ids
from tunesmith.models.backends.fused import fused_trunk
from tunesmith.models.backends.local import LocalModel, open_local
from tunesmith.models.packed import unwrap_peft
from tunesmith.recipe import load_recipe

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "support-desk"
Rows = list[list[int]]


def main() -> int:
    """Parse, run every count of rows in turn, print a line for each."""
    options = parse(sys.argv[1:])
    torch.set_num_threads(options.threads)
    model = open_local(options.folder, digest="sha256:bench", dtype=options.precision)
    if options.adapter:
        model = adapted(model)
    print(
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, torch {torch.__version__}, transformers {transformers.__version__},"
        f" peft {peft.__version__}, {torch.backends.cpu.get_cpu_capability()}, {options.threads} threads, {options.precision},"
        f" {'LoRA r 16' if options.adapter else 'no adapter'}, {options.new} new tokens, median of {options.repeats}"
    )
    print("rows | ours s | theirs s | ratio | ours cpu s | theirs cpu s | ratio of cpu | rows with the same tokens")
    different = 0
    for count in options.rows:
        prompts = prompts_of(model, count)
        ours, theirs = compared(
            lambda prompts=prompts: our_tokens(model, prompts, options.new),
            lambda prompts=prompts: their_tokens(model, prompts, options.new),
            repeats=options.repeats,
        )
        same = sum(mine == other for mine, other in zip(ours.tokens, theirs.tokens, strict=True))
        different += count - same
        figures = [ours.clock, theirs.clock, theirs.clock / ours.clock, ours.cpu, theirs.cpu, theirs.cpu / ours.cpu]
        print(" | ".join([str(count), *(f"{one:.2f}" for one in figures), f"{same} of {count}"]), flush=True)
    return int(different > 0 and options.precision == "fp32")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="generate.py", description="Tunesmith beside transformers.generate")
    add = parser.add_argument
    add("folder", type=Path, help="folder of a base: config, safetensors, tokenizer with a chat template")
    add("--rows", type=int, action="append", help="messages answered together; 1, 8 and 32 when left out")
    add("--new", type=int, default=100, help="tokens of each answer; nothing ends it earlier")
    add("--precision", choices=("fp32", "bf16"), default="fp32")
    add("--adapter", action="store_true", help="with a random LoRA adapter, rank 16, on every linear layer")
    add("--repeats", type=int, default=3)
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="every core when left out")
    options = parser.parse_args(arguments)
    options.rows = options.rows or [1, 8, 32]
    if min(options.new, options.repeats, options.threads, *options.rows) < 1:
        parser.error("--rows, --new, --repeats and --threads must be 1 or more")
    return options


def adapted(model: LocalModel) -> LocalModel:
    """The model under a random adapter that changes its answers a little."""
    torch.manual_seed(11)
    config = peft.LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    wrapped: Any = peft.get_peft_model(model.model, config, autocast_adapter_dtype=False).eval()
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_B" in name:
                value.normal_(0, 0.01)
    return LocalModel(wrapped, model.tokenizer, model.digest, fused_trunk(wrapped))


def prompts_of(model: LocalModel, count: int) -> Rows:
    """The first held-out messages under the recipe's system prompt."""
    system = message("system", load_recipe(EXAMPLE / "recipe.yaml").task.instruction or "")
    lines = (EXAMPLE / "held-out.jsonl").read_text().splitlines()[:count]
    asked = [message("user", json.loads(line)["messages"][0]["content"]) for line in lines]
    return [list(prompt_ids(model.tokenizer, (system, one))) for one in asked]


def our_tokens(model: LocalModel, prompts: Rows, new: int) -> Rows:
    """As evaluation generates, but that nothing ends an answer."""
    endless = LocalModel(model.model, model.tokenizer, model.digest, model.fused)
    vars(endless)["stops"] = frozenset()
    return endless.generate(prompts, max_new_tokens=new)


def their_tokens(model: LocalModel, prompts: Rows, new: int) -> Rows:
    """One padded batch, SDPA, transformers' own cache."""
    unwrap_peft(model.model).set_attn_implementation("sdpa")
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    # An id that no token has: nothing ends an answer.
    options = {"do_sample": False, "max_new_tokens": new, "eos_token_id": -1, "pad_token_id": 0}
    return model.model.generate(input_ids=ids, attention_mask=mask, **options)[:, width:].tolist()  # type: ignore[no-any-return]


class Timed:
    """Tokens of the last run, and medians of the clock's and the processor's seconds."""

    def __init__(self) -> None:
        self.tokens: Rows = []
        self.clocks: list[float] = []
        self.cpus: list[float] = []

    def run(self, work: Callable[[], Rows]) -> None:
        """Once more."""
        clock, cpu = perf_counter(), process_time()
        self.tokens = work()
        self.clocks.append(perf_counter() - clock)
        self.cpus.append(process_time() - cpu)

    @property
    def clock(self) -> float:
        """Seconds."""
        return median(self.clocks)

    @property
    def cpu(self) -> float:
        """Seconds of the processor, all threads together."""
        return median(self.cpus)


def compared(ours: Callable[[], Rows], theirs: Callable[[], Rows], *, repeats: int) -> tuple[Timed, Timed]:
    """Both sides in turn."""
    mine, others = Timed(), Timed()
    for _ in range(repeats):
        mine.run(ours)
        others.run(theirs)
    return mine, others


if __name__ == "__main__":
    raise SystemExit(main())
