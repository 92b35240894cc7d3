"""What every test gets: no network but this machine's own, and the data sets beside the repository when they are there."""

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

import tunesmith  # noqa: F401  (before any test imports torch: it sets the process switches)

# Runs that are compared must sum in the same order; the thread count that a run measures may differ from one to the next.
os.environ.setdefault("TORCH_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"
MISSING = "needs ../shared"
LOCAL_NAMES = ("localhost", "", None)


class NetworkBlocked(RuntimeError):
    """A test reached for another machine."""


def is_local(address: Any) -> bool:
    """Whether an address of `socket.connect` stays on this machine; a path is a Unix socket."""
    if not isinstance(address, tuple):
        return True
    host = address[0]
    if host in LOCAL_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _network_blocked() -> Iterator[None]:
    """Connections and name look-ups that leave the machine raise NetworkBlocked."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guard_connect(getattr(socket.socket, name)))
    patch.setattr(socket, "getaddrinfo", _guard_lookup(socket.getaddrinfo))
    yield
    patch.undo()


def _guard_connect(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if not is_local(address):
            raise NetworkBlocked(f"a test reached for {address}")
        return connect(self, address)

    return guarded


def _guard_lookup(lookup: Any) -> Any:
    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not is_local((name,)):
            raise NetworkBlocked(f"a test looked up {name}")
        return lookup(host, *arguments, **options)

    return guarded


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data sets beside the repository; a test that needs it is skipped, and counted, where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"{MISSING}: there is no {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped, and counted, where there is no CUDA device."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting and not _has_cuda():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many tests were left out for want of data or a device, so that it is never silent."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason in (
        MISSING,
        "needs a CUDA device",
        "needs a fetched base",
        "needs Ray",
        "needs tensorboard",
        "needs mlflow",
        "needs cleanlab",
        "needs presidio_analyzer",
        "needs stdnum",
        "needs detect_secrets",
    ):
        count = sum(reason in str(report.longrepr) for report in skipped)
        terminalreporter.write_line(f"skipped because it {reason}: {count}")
