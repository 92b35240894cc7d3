import os
from pathlib import Path

import pytest

from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.trust.files import compare_digests, digest_files, list_files


def test_files_are_listed_by_the_parts_of_their_path(tmp_path: Path) -> None:
    for name in ("a-b", "a/b", "a/c/d", "z", ".hidden", "Z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "nothing in it").mkdir()
    assert list_files(tmp_path, error=Misuse) == [".hidden", "Z", "a/b", "a/c/d", "a-b", "z"]


def test_digest_of_known_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    (tmp_path / "skipped").write_bytes(b"")
    expected = {"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    assert digest_files(tmp_path, skip=frozenset({"skipped"}), error=Misuse) == expected


@pytest.mark.parametrize("error", [Misuse, IntegrityBroken])
def test_links_and_special_files_are_refused(tmp_path: Path, error: type[Misuse] | type[IntegrityBroken]) -> None:
    (tmp_path / "sub").mkdir()
    entry = tmp_path / "sub" / "entry"
    for kind in ("dangling link", "link to a folder", "pipe"):
        match kind:
            case "dangling link":
                entry.symlink_to(tmp_path / "absent")
            case "link to a folder":
                entry.symlink_to(tmp_path, target_is_directory=True)
            case "pipe":
                os.mkfifo(entry)
        with pytest.raises(error, match="neither a regular file" if kind == "pipe" else "symbolic link") as caught:
            list_files(tmp_path, error=error)
        assert caught.value.where == "sub/entry"
        entry.unlink()
    assert list_files(tmp_path, error=error) == []


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad-\xff")).write_bytes(b"")
    with pytest.raises(Misuse, match="not UTF-8") as caught:
        list_files(tmp_path, error=Misuse)
    assert str(caught.value).encode("utf-8").startswith(b"bad-")


def test_compare_names_each_kind_of_difference(tmp_path: Path) -> None:
    compare_digests({"a": "1"}, {"a": "1"}, where=tmp_path, by="model.sig")
    with pytest.raises(IntegrityBroken) as caught:
        compare_digests({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "3"}, where=tmp_path, by="model.sig")
    assert caught.value.what == "files differ from those signed in model.sig: changed b, missing c, added d"


def test_compare_counts_what_it_does_not_show(tmp_path: Path) -> None:
    with pytest.raises(IntegrityBroken, match="added 9 and 2 more"):
        compare_digests({}, {str(number): "x" for number in range(12)}, where=tmp_path, by="model.sig")
