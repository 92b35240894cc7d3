"""Which tasks each model architecture supports. Imports no model library."""

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


def task_mismatch(task: TaskName, architecture: Architecture) -> tuple[str, str] | None:
    """(problem, hint) if a base of this architecture does not support the task; None if it does."""
    supported = TASK_ARCHITECTURES[task]
    if architecture in supported:
        return None
    needed = " or ".join(ARCHITECTURE_NAMES[name] for name in supported)
    example = f"e.g. base: {EXAMPLE_BASES[supported[0]]}"
    problem = f"the base is {ARCHITECTURE_NAMES[architecture]}, and task: {task} needs {needed}, {example}"
    tasks = " or ".join(f"task: {name}" for name, names in TASK_ARCHITECTURES.items() if architecture in names)
    return problem, f"give another base, or a task that this one can do: {tasks}"
