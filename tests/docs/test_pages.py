"""The pages: their commands exist, their links lead somewhere, their Python runs."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tunesmith.cli.main import app

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
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


def test_the_annotated_tree_of_the_readme_is_there(root: Path) -> None:
    tree = next(text for text in blocks(root / "README.md", "") if text.startswith("src/tunesmith/"))
    names = [
        word
        for line in tree.splitlines()
        if line.startswith("  ")
        for word in re.split(r"\s{2,}", line.strip())[0].split()
    ]
    assert names
    assert [name for name in names if not (root / "src/tunesmith" / name).exists()] == []


def test_the_python_of_the_readme_uses_public_names(root: Path) -> None:
    import tunesmith

    used = {
        node.attr
        for text in blocks(root / "README.md", "python")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tunesmith"
    }
    assert used and used <= set(tunesmith.__all__)


def test_the_page_of_the_checks_is_what_their_manual_pages_say(root: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "tests/docs/list_checks.py"], cwd=root, capture_output=True, text=True, check=True
    )
    assert (root / "docs/reference/checks.md").read_text() == listed.stdout


def test_the_recipe_page_is_generated_from_the_settings_classes(root: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "tests/docs/list_recipe.py"], cwd=root, capture_output=True, text=True, check=True
    )
    assert (root / "docs/reference/recipe.md").read_text() == listed.stdout


def test_every_recipe_key_has_a_description_of_one_sentence_or_more(root: Path) -> None:
    page = (root / "docs/reference/recipe.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) >= 100
    assert [row[0] for row in rows if not row[3].rstrip(" |").endswith(".")] == []
