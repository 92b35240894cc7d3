"""Switches are set when the package is imported; a warning names those that come too late. Each case is a process of its own."""

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


@pytest.mark.parametrize(
    ("name", "late"), [("torch", "OMP_WAIT_POLICY, GOMP_SPINCOUNT"), ("transformers", "TRANSFORMERS_VERBOSITY")]
)
def test_switches_that_come_too_late_are_named(name: str, late: str) -> None:
    done = run(f"{FAKE_TORCH.replace('torch', name)}import os, tunesmith; print(dict(os.environ))")
    assert done.returncode == 0
    assert SWITCHES.items() <= eval(done.stdout).items()
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"come too late for this process: {late} (read when {name} is imported)." in done.stderr
    assert f"hint: write `import tunesmith` above `import {name}`, or set them in the environment." in done.stderr


@pytest.mark.parametrize("name", ["daft", "ray"])
def test_libraries_that_read_switches_at_use_come_in_any_order(name: str) -> None:
    done = run(f"{FAKE_TORCH.replace('torch', name)}import tunesmith; print('fine')")
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_an_early_import_is_fine_where_the_switches_are_set() -> None:
    done = run(f"{FAKE_TORCH}import tunesmith; print('fine')", **SWITCHES)
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_datasets_goes_offline_even_where_it_was_imported_first() -> None:
    pytest.importorskip("datasets")
    program = (
        "from datasets import config; print(config.HF_HUB_OFFLINE); import tunesmith; print(config.HF_HUB_OFFLINE)"
    )
    done = run(f"import warnings; warnings.simplefilter('ignore'); {program}")
    assert done.stdout == "False\nTrue\n", done.stderr


def test_the_hub_goes_offline_even_where_its_library_was_imported_first() -> None:
    done = run(
        "import huggingface_hub as hub; print(hub.is_offline_mode()); import tunesmith; print(hub.is_offline_mode())"
    )
    assert (done.stdout, done.stderr) == ("False\nTrue\n", "")


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
