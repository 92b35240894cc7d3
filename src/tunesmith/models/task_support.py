"""Which task each model architecture supports. Imports no model library."""

from typing import Final, Literal

from tunesmith.recipe import TaskName

Architecture = Literal["decoder", "encoder", "encoder-decoder"]

ARCHITECTURE_NAMES: Final[dict[Architecture, str]] = {
    "encoder": "an encoder",
    "decoder": "a decoder",
    "encoder-decoder": "an encoder with a decoder",
}
TASK_ARCHITECTURES: Final[dict[TaskName, tuple[Architecture, ...]]] = {
    "chat": ("decoder",),
    "text": ("decoder",),
    "classify": ("encoder", "decoder"),
    "tag": ("encoder",),
    "seq2seq": ("encoder-decoder",),
}
EXAMPLE_BASES: Final[dict[Architecture, str]] = {
    "encoder": "all-minilm-l6-v2",
    "decoder": "smollm2-135m-instruct",
    "encoder-decoder": "t5-small",
}


def task_mismatch(task: TaskName, shape: Architecture) -> tuple[str, str] | None:
    """What is wrong with a task on a base of some shape, and what mends it; None where they fit."""
    wanted = TASK_ARCHITECTURES[task]
    if shape in wanted:
        return None
    named = " or ".join(ARCHITECTURE_NAMES[one] for one in wanted)
    said = f"the base is {ARCHITECTURE_NAMES[shape]}, and task: {task} needs {named}, e.g. base: {EXAMPLE_BASES[wanted[0]]}"
    can = " or ".join(f"task: {name}" for name, shapes in TASK_ARCHITECTURES.items() if shape in shapes)
    return said, f"give another base, or a task that this one can do: {can}"
