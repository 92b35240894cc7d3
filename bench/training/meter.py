"""What every arm is measured by: seconds of each step, and peak memory above weights and optimiser state."""

import ctypes
import gc
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


class Meter:
    """Call `begin` before the first step and `step_done` after each; warm-up steps are timed apart.

    Memory. After the warm-up the model and the optimiser's state stand. There gradients are dropped, the allocator gives
    what it holds back to the system, and what is left is the floor: interpreter, libraries, weights, optimiser state, data.
    The peak is the kernel's own high-water mark of resident memory (VmHWM, reset at the floor), so nothing between two samples
    is missed. Peak minus floor is what training needs on top: gradients, activations, masks, logits, the batch. On CUDA
    floor and peak are those of torch's allocator.
    """

    def __init__(self, model: Any, *, device: str, warm_up: int) -> None:
        self.model = model
        self.device = device
        self.warm_up = warm_up
        self.seconds: list[float] = []
        self.floor = 0
        self._mark = 0.0
        self._processor = 0.0

    def begin(self) -> None:
        """Just before the first step."""
        if self.device == "cpu" and not CLEAR.exists():
            raise SystemExit("peak memory is read from /proc; this system has none")
        self._mark = self._now()

    def step_done(self) -> None:
        """Just after a step; what the loop does before the next one counts as the next one's time."""
        self.seconds.append(self._now() - self._mark)
        if len(self.seconds) == self.warm_up:
            self._settle()
            self._processor = process_time()
        self._mark = self._now()

    def readings(self) -> dict[str, Any]:
        """After the last step."""
        if len(self.seconds) <= self.warm_up:
            raise SystemExit(f"{len(self.seconds)} steps were seen, no more than the {self.warm_up} of the warm-up")
        peak = torch.cuda.max_memory_allocated() if self.device == "cuda" else _status("VmHWM")
        return {
            "warm_up_seconds": self.seconds[: self.warm_up],
            "seconds": self.seconds[self.warm_up :],
            "processor_seconds": process_time() - self._processor,
            "floor_bytes": self.floor,
            "peak_bytes": peak,
            "working_bytes": peak - self.floor,
        }

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return perf_counter()

    def _settle(self) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.floor = torch.cuda.memory_allocated()
            return
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        CLEAR.write_text("5")
        self.floor = _status("VmRSS")


def _status(name: str) -> int:
    """Bytes of one line of /proc/self/status."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
