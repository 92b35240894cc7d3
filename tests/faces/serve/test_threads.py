"""A release is served with the thread count of its evaluation, or with the requested one; a line reports which."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.context import Context, SilentProgress
from tunesmith.errors import DataError
from tunesmith.serve.loaded_release import open_release
from tunesmith.trust import FileSigner

Make = Callable[..., Path]


class Heard(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_count_of_the_evaluation_or_the_one_that_is_asked_for(
    make_release: Make, signer: FileSigner, context: Context
) -> None:
    cases: list[tuple[str, dict[str, Any], int | None, int, list[str]]] = [
        ("of-three", {"threads": 3}, None, 3, ["threads: 3, as in the evaluation of the release"]),
        (
            "of-two", {"threads": 2}, 5, 5,
            ["threads: 5, as requested; evaluated with 2, so the last bits may differ"],
        ),
        ("of-old", {}, 4, 4, ["threads: 4, as requested"]),
        ("of-none", {}, None, 6, []),
    ]  # fmt: skip
    for name, card, asked, count, said in cases:
        torch.set_num_threads(6)
        heard = Heard()
        open_release(
            make_release(name, **card), signer.public_pem(), context=replace(context, progress=heard), threads=asked
        )
        with ThreadPoolExecutor(1) as pool:
            seen = pool.submit(
                lambda: (torch.ones(200, 200) @ torch.ones(200, 200), torch.get_num_threads())[1]
            ).result()
        assert (torch.get_num_threads(), seen, heard.lines) == (count, count, said)


def test_a_count_that_is_none_is_refused(make_release: Make, signer: FileSigner, context: Context) -> None:
    with pytest.raises(DataError, match="the task file cannot be read"):
        open_release(make_release("of-zero", threads=0), signer.public_pem(), context=context)
