"""Register, look up and build plugins; unknown names get a suggestion."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from tunesmith.errors import Misuse
from tunesmith.registry import Registry, signature

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from made_plugins import KINDS

@KINDS.register
@dataclass(frozen=True)
class {name}:
    id: ClassVar[str] = "{id}"
    version: ClassVar[str] = "1"
"""


@dataclass(frozen=True)
class Near:
    """Two settings with defaults."""

    id: ClassVar[str] = "near-duplicate"
    version: ClassVar[str] = "2"
    threshold: float = 0.8
    columns: tuple[str, ...] = ("prompt",)


@dataclass(frozen=True)
class Strict:
    """A required setting."""

    id: ClassVar[str] = "strict"
    version: ClassVar[str] = "1"
    field: str


@pytest.fixture
def registry() -> Registry[object]:
    built: Registry[object] = Registry("check")
    built.register(Near)
    built.register(Strict)
    return built


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    folder = tmp_path / "made_plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text("from tunesmith.registry import Registry\nKINDS = Registry('made-kind')\n")
    (folder / "one.py").write_text(PLUGIN.format(name="One", id="one"))
    (folder / "two.py").write_text(PLUGIN.format(name="Two", id="two"))
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("made_plugins")
    for name in [name for name in sys.modules if name.split(".")[0] == "made_plugins"]:
        del sys.modules[name]


def test_iteration_is_sorted_and_membership_is_by_id(registry: Registry[object]) -> None:
    assert list(registry) == ["near-duplicate", "strict"]
    assert "strict" in registry
    assert "Near" not in registry


def test_built_with_its_settings(registry: Registry[object]) -> None:
    assert registry.build("near-duplicate", threshold=0.5) == Near(threshold=0.5)
    assert registry.get("near-duplicate") is Near


@pytest.mark.parametrize(
    ("name", "hint"),
    [("near-duplicates", "did you mean 'near-duplicate'?"), ("xyz", "use one of: near-duplicate, strict")],
)
def test_an_unknown_name_gets_the_nearest(registry: Registry[object], name: str, hint: str) -> None:
    with pytest.raises(Misuse) as caught:
        registry.build(name)
    assert (caught.value.what, caught.value.hint) == (f"unknown check {name!r}", hint)


@pytest.mark.parametrize(
    ("option", "hint"), [("treshold", "did you mean 'threshold'?"), ("zzz", "it takes: threshold, columns")]
)
def test_an_unknown_setting_gets_the_nearest(registry: Registry[object], option: str, hint: str) -> None:
    with pytest.raises(Misuse) as caught:
        registry.build("near-duplicate", **{option: 1})
    assert (caught.value.what, caught.value.hint) == (f"check 'near-duplicate' has no setting {option!r}", hint)


def test_a_setting_without_default_must_be_given(registry: Registry[object]) -> None:
    with pytest.raises(Misuse) as caught:
        registry.build("strict")
    assert (caught.value.what, caught.value.hint) == ("check 'strict' needs the setting 'field'", "it takes: field")


def test_the_same_id_twice_is_refused(registry: Registry[object]) -> None:
    with pytest.raises(Misuse, match="duplicate check plugin 'near-duplicate'"):
        registry.register(Near)


def test_a_folder_is_loaded_once_and_then_frozen(package: ModuleType) -> None:
    kinds = package.KINDS
    kinds.load(package)
    kinds.load(package)
    assert list(kinds) == ["one", "two"]
    with pytest.raises(Misuse, match="the made-kind registry is already loaded") as caught:
        kinds.register(Near)
    assert (caught.value.where, caught.value.hint) == ("near-duplicate", "register plugins before the run starts")


def test_third_parties_come_through_entry_points(
    package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside.py").write_text(PLUGIN.format(name="Other", id="outside"))
    wheel = tmp_path / "outside-1.0.dist-info"
    wheel.mkdir()
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (wheel / "entry_points.txt").write_text("[tunesmith.made-kind]\noutside = outside:Other\n")
    package.KINDS.load(package)
    monkeypatch.delitem(sys.modules, "outside")
    assert list(package.KINDS) == ["one", "outside", "two"]


def test_the_signature_is_read_from_the_class() -> None:
    assert signature(Near(threshold=0.7)) == "id=near-duplicate|version=2|threshold=0.7|columns=('prompt',)"
