"""Process-wide switches: telemetry off, network use off, thread policy.

The only module that writes the environment. `tunesmith/__init__.py` calls `prepare()`, so that the switches are set before any
module of the package imports a heavy library.
"""

import os
import sys
import warnings
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

READ_AT_IMPORT: Final = {
    "torch": ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"),
    "transformers": ("TRANSFORMERS_VERBOSITY",),
}
"""Switches that a library reads once, when it is imported. All others are read at every use, or are set in place below."""

CONSTANTS: Final = {
    "HF_HUB_OFFLINE": ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
    "HF_HUB_DISABLE_TELEMETRY": ("huggingface_hub.constants", "HF_HUB_DISABLE_TELEMETRY"),
    "HF_DATASETS_OFFLINE": ("datasets.config", "HF_HUB_OFFLINE"),
}
"""Switches that a module copies into a constant at import and never reads again: (module, name). The constant is set too."""


def prepare() -> None:
    """Set every switch. Warns (RuntimeWarning) which ones come too late, where a library was imported before tunesmith."""
    missing = {name: value for name, value in SWITCHES.items() if os.environ.get(name) != value}
    os.environ.update(missing)
    _set_constants({name: True for name in CONSTANTS if name in missing})
    late = {
        library: [name for name in names if name in missing]
        for library, names in READ_AT_IMPORT.items()
        if library in sys.modules
    }
    late = {library: names for library, names in late.items() if names}
    if late:
        warnings.warn(_late_message(late), RuntimeWarning, stacklevel=3)


def _late_message(late: dict[str, list[str]]) -> str:
    listed = "; ".join(f"{', '.join(names)} (read when {library} is imported)" for library, names in late.items())
    return (
        f"these settings come too late for this process: {listed}. All others are set: telemetry and downloads are off.\n"
        f"hint: write `import tunesmith` above `import {next(iter(late))}`, or set them in the environment."
    )


def allow_network() -> None:
    """Let Hub downloads happen in this process; called only when the recipe names a Hub model and says `network: true`."""
    os.environ.update({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"})
    _set_constants({"HF_HUB_OFFLINE": False})


def _set_constants(values: dict[str, bool]) -> None:
    for switch, value in values.items():
        module, name = CONSTANTS[switch]
        if module in sys.modules:
            vars(sys.modules[module])[name] = value


def environment(name: str) -> str | None:
    """The value of an environment variable the user may set (TUNESMITH_STORE), or None."""
    return os.environ.get(name)
