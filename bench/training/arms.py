"""The arms: what is run side by side, and which of them count in the ratio."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Literal

LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.99)
EPSILON = 1e-8
CLIP = 1.0
"""AdamW of both sides, at a constant rate: the one schedule that transformers and Tunesmith count alike."""

RANK, ALPHA = 16, 32


@dataclass(frozen=True)
class Arm:
    """One way to train. `equal` arms take the same rows in each step and must show the same losses.

    `micro` is how many rows (or packed blocks) TRL puts through the model at once; the rest of the step is accumulated, which
    leaves rows and loss alone. 0 is the whole step.
    """

    name: str
    says: str
    side: Literal["ours", "trl"] = "trl"
    equal: bool = True
    micro: int = 0
    sorted: bool = False
    padding_free: bool = False
    packing: Literal["", "1024", "tight"] = ""
    grouped: bool = False
    checkpointing: bool = False
    plain_loss: bool = False
    compiled: bool = False
    flash: bool = False
    shared: bool = True
    devices: tuple[str, ...] = ("cpu", "cuda")


ARMS = (
    Arm("ours", "tunesmith as it comes: packed rows, shared prefixes computed once", side="ours"),
    Arm("ours-unshared", "tunesmith with share_prefixes: off", side="ours", shared=False),
    Arm("trl-padded", "SFTTrainer, the step as one padded batch"),
    Arm(
        "trl-checkpointed", "the same with activation checkpointing, which TRL turns on by default", checkpointing=True
    ),
    Arm("trl-8", "padded, 8 rows at a time", micro=8),
    Arm("trl-8-sorted", "padded, 8 rows at a time, rows of a step sorted by length first", micro=8, sorted=True),
    Arm("trl-1", "one row at a time, so nothing is padded", micro=1),
    Arm("trl-padding-free", "padding_free, 8 rows at a time, attention by sdpa", micro=8, padding_free=True),
    Arm(
        "trl-plain-loss",
        "as trl-8-sorted, compute_loss overridden with that of transformers: full logits, no entropy and accuracy",
        micro=8,
        sorted=True,
        plain_loss=True,
    ),
    Arm("trl-compiled", "as trl-8, torch_compile=True", micro=8, compiled=True),
    Arm(
        "trl-flash", "padding_free with FlashAttention 2, whole step", padding_free=True, flash=True, devices=("cuda",)
    ),
    Arm(
        "trl-packing-1024",
        "packing (bfd) in blocks of 1,024 tokens or the longest row, one block at a time",
        equal=False,
        micro=1,
        packing="1024",
    ),
    Arm(
        "trl-packing-tight",
        "packing (bfd) in blocks as short as the longest row allows, 256 or more, one at a time",
        equal=False,
        micro=1,
        packing="tight",
    ),
    Arm(
        "trl-packing-flash",
        "packing (bfd) in blocks of 1,024 with FlashAttention 2, whole step",
        equal=False,
        packing="1024",
        flash=True,
        devices=("cuda",),
    ),
    Arm("trl-grouped", "padded, rows of like length grouped into the same step", equal=False, grouped=True),
)


def arms_for(device: str, names: Sequence[str]) -> list[Arm]:
    """The arms that can run here, in order; flash-attn is used where it is installed."""
    known = {arm.name for arm in ARMS}
    if unknown := sorted(set(names) - known):
        raise SystemExit(f"no such arm: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    flash = find_spec("flash_attn") is not None
    fitting = [arm for arm in ARMS if device in arm.devices and (flash or not arm.flash)]
    return [arm for arm in fitting if not names or arm.name in names]


@dataclass(frozen=True)
class Job:
    """One run of one arm, as the parent hands it to a process of its own."""

    arm: Arm
    case: str
    model: str
    method: Literal["full", "lora"]
    device: Literal["cpu", "cuda"]
    threads: int
    precision: Literal["fp32", "bf16"]
    warm_up: int
    repeat: int
    rows: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def key(self) -> str:
        """Names the run in the results."""
        return f"{self.model}/{self.method}/{self.case}/{self.arm.name}/{self.repeat}"


def job_from(raw: dict[str, Any]) -> Job:
    """What `Job.plain` wrote."""
    arm = raw["arm"] | {"devices": tuple(raw["arm"]["devices"])}
    return Job(**raw | {"arm": Arm(**arm)})
