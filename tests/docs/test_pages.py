"""The pages: their commands exist, their links lead somewhere, their Python runs."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from typer.main import get_command

from tunesmith.cli.main import app

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/tutorial.md",
    "docs/results.md",
    "docs/limits.md",
    "docs/concepts/architecture.md",
    "docs/concepts/chat-templates.md",
    "docs/concepts/shared-prefixes.md",
    *(
        f"docs/guides/{name}.md"
        for name in (
            "audit",
            "train",
            "trace-and-erase",
            "verify-a-release",
            "your-own-rows",
            "serve-a-release",
            "bases",
            "python",
        )
    ),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(page.read_text()) if name == language]


def commands(page: Path) -> list[list[str]]:
    lines = [line for text in blocks(page, "") for line in text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("tunesmith ")]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_parses(root: Path, name: str) -> None:
    group = get_command(app)
    for words in commands(root / name):
        command, rest = group, words[1:]
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        context = command.make_context(command.name, list(rest), resilient_parsing=False)
        assert context.params, words


@pytest.mark.parametrize("name", PAGES)
def test_every_link_to_a_file_leads_to_it(root: Path, name: str) -> None:
    page = root / name
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_architecture_page_says_what_each_package_is_for(root: Path) -> None:
    """Its table is the table of floors."""
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (root / "docs/concepts/architecture.md").read_text(), re.MULTILINE)
    floors = load(root / "tests/architecture/test_floors.py").FLOORS
    expected = [(str(number), unit.removeprefix("tunesmith.")) for number, units in enumerate(floors) for unit in units]
    assert sorted(rows) == sorted(expected)


@pytest.mark.parametrize(
    ("page", "script"),
    [
        ("docs/reference/checks.md", "tests/docs/list_checks.py"),
        ("docs/reference/api.md", "tests/docs/list_api.py"),
        ("docs/reference/recipe.md", "tests/docs/list_recipe.py"),
        ("docs/concepts/architecture.svg", "tests/docs/draw_architecture.py"),
    ],
)
def test_a_generated_page_is_what_its_script_prints(root: Path, page: str, script: str) -> None:
    """After a wanted change: `python SCRIPT > PAGE`."""
    printed = subprocess.run([sys.executable, script], cwd=root, capture_output=True, text=True, check=True)
    assert (root / page).read_text() == printed.stdout


def test_the_python_of_the_guide_runs(root: Path, tmp_path: Path) -> None:
    """Every block in order, in a copy of the example; the run stops after the audit."""
    shutil.copytree(
        root / "examples/support-desk", tmp_path / "examples/support-desk", ignore=shutil.ignore_patterns(".*")
    )
    program = "\n".join(blocks(root / "docs/guides/python.md", "python"))
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "rows read, " in run.stdout


def test_the_python_of_the_guide_uses_public_names(root: Path) -> None:
    import tunesmith

    used = {
        node.attr
        for text in blocks(root / "docs/guides/python.md", "python")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tunesmith"
    }
    assert used and used <= set(tunesmith.__all__)


def test_the_recipe_of_the_tutorial_is_valid(root: Path) -> None:
    import tunesmith

    (text,) = blocks(root / "docs/tutorial.md", "yaml")
    assert tunesmith.parse_recipe(yaml.safe_load(text)).name == "my-model"


def test_the_rows_of_the_tutorial_are_made(root: Path, tmp_path: Path) -> None:
    shutil.copytree(
        root / "examples/support-desk", tmp_path / "examples/support-desk", ignore=shutil.ignore_patterns(".*")
    )
    (program,) = blocks(root / "docs/tutorial.md", "python")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    counts = [len((tmp_path / "my-model" / f"{name}.csv").read_text().splitlines()) for name in ("tickets", "held-out")]
    assert counts[0] > 900 and counts[1] > 300


def test_every_recipe_key_has_a_description_of_one_sentence_or_more(root: Path) -> None:
    page = (root / "docs/reference/recipe.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) >= 100
    assert [row[0] for row in rows if not row[3].rstrip(" |").endswith(".")] == []


def load(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
