"""The package and the help page answer at once; what is heavy loads with what needs it."""

import json
import os
import statistics
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "daft", "fastapi", "sklearn", "peft", "ray", "numpy", "sqlalchemy")
LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
HELP = [sys.executable, "-m", "tunesmith.cli", "--help"]


def roots_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a statement."""
    run = subprocess.run([sys.executable, "-c", f"{statement}\n{LOADED}"], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


INVOKE = """
from typer.testing import CliRunner
from tunesmith.cli.main import app
assert CliRunner().invoke(app, {arguments}).exit_code == 0
"""


@pytest.mark.parametrize(
    "statement",
    ["import tunesmith", INVOKE.format(arguments=["--help"]), INVOKE.format(arguments=["run", "--help"])],
    ids=["import", "help", "help of a verb"],
)
def test_nothing_heavy_is_loaded(statement: str) -> None:
    assert roots_after(statement) & set(HEAVY) == set()


def test_reading_a_recipe_loads_no_model_library() -> None:
    loaded = roots_after("import tunesmith\ntunesmith.load_recipe")
    assert loaded & {"torch", "transformers", "daft", "fastapi", "sklearn", "peft"} == set()


def test_help_answers_in_half_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """The goal is 0.5 s. Processor time is asserted, with room for a slow core: waiting for a busy machine does not count."""
    seconds = []
    for _ in range(3):
        before = os.times()
        run = subprocess.run(HELP, capture_output=True, text=True, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    median = statistics.median(seconds)
    with capsys.disabled():
        sys.stdout.write(f"\ntunesmith --help: {median:.2f} s of processor time (goal 0.5)\n")
    assert "Usage: tunesmith" in run.stdout
    assert median < 1.5


SWITCHED_OFF = {
    "DO_NOT_TRACK": "true",
    "DAFT_ANALYTICS_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}
AFTER = "import tunesmith\nimport json, os\nprint(json.dumps(dict(os.environ)))"


def bare_environment() -> dict[str, str]:
    from tunesmith.process import SWITCHES

    return {name: value for name, value in os.environ.items() if name not in SWITCHES}


def test_importing_the_package_switches_telemetry_and_network_off() -> None:
    run = subprocess.run(
        [sys.executable, "-c", AFTER], env=bare_environment(), capture_output=True, text=True, check=True
    )
    after = json.loads(run.stdout)
    assert {name: after.get(name) for name in SWITCHED_OFF} == SWITCHED_OFF
    assert run.stderr == ""


def test_torch_may_be_imported_first() -> None:
    """Switches that still can be set are set; one warning names the others."""
    first = f"import torch\n{AFTER}"
    run = subprocess.run(
        [sys.executable, "-c", first], env=bare_environment(), capture_output=True, text=True, check=True
    )
    after = json.loads(run.stdout)
    assert {name: after.get(name) for name in SWITCHED_OFF} == SWITCHED_OFF
    assert run.stderr.count("RuntimeWarning") == 1
    assert "OMP_WAIT_POLICY, GOMP_SPINCOUNT (read when torch is imported)" in run.stderr
