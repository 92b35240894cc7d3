"""`tunesmith run` from data to a verified release, cached on the second run; and the output of a refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]
Change = Callable[..., Path]


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_run_ends_with_a_release_and_two_commands(call: Call, change: Change) -> None:
    recipe = change(gate=[{"metric": "exact-match", "at_least": 0.0}])
    desk = recipe.parent
    call("init", "--key", desk / "release.pem")
    first, second = call("run", recipe), call("run", recipe)
    folder = desk / "releases" / "tiny" / "1"
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert f"tunesmith verify {folder} --key {desk / 'release.pub'}" in first.err
    assert f"tunesmith serve {folder} --key {desk / 'release.pub'}" in first.err
    assert f"Release: {folder} (report: report.html)" in first.err
    assert "Full report: " in first.err
    assert "First 3 test rows:" in first.err
    assert "Time: audit cached, train cached, evaluate cached" in words(second.err)
    assert first.out == second.out
    assert call("verify", folder, "--key", desk / "release.pub").code == 0
    (folder / "config.json").write_text("{}", encoding="utf-8")
    assert call("verify", folder, "--key", desk / "release.pub").code == 4


def test_a_refused_release_shows_why(call: Call, desk: Path) -> None:
    call("init", "--key", desk / "release.pem")
    outcome = call("run", desk / "recipe.yaml")
    printed_text = words(outcome.err)
    assert outcome.code == 3
    assert "The audit read 16 rows: " in printed_text
    assert "gate outcome: fail. " in printed_text or "gate outcome: inconclusive. " in printed_text
    assert "error: the gate says" in printed_text and "hint: nothing was released" in printed_text
    assert "Traceback" not in outcome.err
    assert not (desk / "releases").exists()


def test_an_empty_policy_is_refused(call: Call, change: Change) -> None:
    recipe = change(gate=[])
    call("init", "--key", recipe.parent / "release.pem")
    outcome = call("run", recipe)
    assert outcome.code == 2
    assert "an empty policy never passes" in words(outcome.err)
    assert "hint: add a requirement, e.g. `gate: [{metric: exact-match, better_than: base}]`" in words(outcome.err)
    assert not (recipe.parent / ".tunesmith").exists()


def test_quiet_prints_only_errors(call: Call, desk: Path) -> None:
    call("init", "--key", desk / "release.pem")
    outcome = call("run", desk / "recipe.yaml", "--quiet", "--json")
    assert outcome.code == 3
    assert outcome.err.startswith("error: the gate says ")
    assert '"verdicts":' in outcome.out


def test_show_follows_a_reverted_recipe(call: Call, change: Change) -> None:
    """A recipe that is changed and changed back shows its first report again, without a new run."""
    recipe = change(audit={"off": ["missing-provenance"]})
    first = call("audit", recipe, "--quiet")
    other = call("audit", change(audit={"off": ["unlicensed-source"]}), "--quiet")
    again = call("audit", change(audit={"off": ["missing-provenance"]}), "--quiet")
    assert first.out == again.out != other.out
    printed_text = call("show", recipe, "--json")
    assert printed_text.out == call("show", first.out.strip(), "--store", recipe.parent / ".tunesmith").out
