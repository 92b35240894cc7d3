"""The switches are set before a heavy import or not at all, and never in silence. Each case is a process of its own."""

import subprocess
import sys

import pytest

from tunesmith.process import SWITCHES


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    path = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(command, env={**path, **environment}, capture_output=True, text=True, check=False)


FAKE_TORCH = "import sys, types; sys.modules['torch'] = types.ModuleType('torch')\n"


def test_all_switches_are_set_and_twice_is_fine() -> None:
    program = "import os; from tunesmith import process; process.prepare(); process.prepare(); print(dict(os.environ))"
    done = run(program, OMP_WAIT_POLICY="ACTIVE")
    assert done.returncode == 0, done.stderr
    assert SWITCHES.items() <= eval(done.stdout).items()


@pytest.mark.parametrize("name", ["torch", "daft", "ray", "transformers"])
def test_too_late_is_said(name: str) -> None:
    done = run(f"{FAKE_TORCH.replace('torch', name)}from tunesmith import process; process.prepare()")
    assert done.returncode == 1
    assert f"RuntimeError: {name} was imported before tunesmith could set DAFT_ANALYTICS_ENABLED" in done.stderr
    assert "hint: call `tunesmith.process.prepare()` before that import" in done.stderr


def test_an_early_import_is_fine_where_the_switches_are_set() -> None:
    done = run(f"{FAKE_TORCH}from tunesmith import process; process.prepare(); print('fine')", **SWITCHES)
    assert done.stdout == "fine\n", done.stderr


def test_network_is_allowed_even_after_the_hub_library_was_imported() -> None:
    program = (
        "from tunesmith import process; process.prepare(); import huggingface_hub; "
        "print(huggingface_hub.is_offline_mode()); process.allow_network(); print(huggingface_hub.is_offline_mode())"
    )
    done = run(program)
    assert done.stdout == "True\nFalse\n", done.stderr


def test_environment_reads_one_variable() -> None:
    program = "from tunesmith.process import environment as e; print(e('TUNESMITH_STORE'), e('NO_SUCH_NAME'))"
    assert run(program, TUNESMITH_STORE="/somewhere").stdout == "/somewhere None\n"
