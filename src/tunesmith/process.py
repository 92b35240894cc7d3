"""Process-wide switches: telemetry off, network use off, thread policy.

The only module that writes the environment. Every module that imports a heavy library calls `prepare()` first.
"""

import os
import sys
from typing import Final

SWITCHES: Final = {
    "DO_NOT_TRACK": "true",
    "DAFT_ANALYTICS_ENABLED": "0",
    "DAFT_PROGRESS_BAR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "1000",
}
"""Spinning OpenMP threads were measured to make the same work 17 times slower on a busy machine, hence PASSIVE. A thread still
spins about as long as falling asleep and being woken would take (13 microseconds where it was measured, a step of 0.26 s
became one of 0.23): at worst that doubles the cost of a wait (Karlin et al., "Competitive randomized algorithms", 1990)."""


def prepare() -> None:
    """Set the switches. Raises RuntimeError when torch or daft was imported before they could take effect."""
    missing = {name: value for name, value in SWITCHES.items() if os.environ.get(name) != value}
    if not missing:
        return
    early = sorted(name for name in ("torch", "daft", "ray", "transformers") if name in sys.modules)
    if early:
        names = ", ".join(early)
        raise RuntimeError(
            f"{names} was imported before tunesmith could set {', '.join(sorted(missing))}.\n"
            "hint: call `tunesmith.process.prepare()` before that import, or set these variables in the environment."
        )
    os.environ.update(missing)


def allow_network() -> None:
    """Let Hub downloads happen in this process; called only when the recipe names a Hub model and says `network: true`."""
    os.environ.update({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"})
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        # huggingface_hub copies the switch when it is imported and never looks at the environment again.
        vars(constants)["HF_HUB_OFFLINE"] = False


def environment(name: str) -> str | None:
    """The value of an environment variable the user may set (TUNESMITH_STORE), or None."""
    return os.environ.get(name)
