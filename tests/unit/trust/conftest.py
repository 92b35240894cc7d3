"""A small release folder, signed and unsigned, and keys that are created once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.trust import FileSigner, make_key, make_statement, sign_release

FILES = {
    "model.safetensors": bytes(range(256)) * 8,
    "adapter/adapter_config.json": b'{"r": 16}\n',
    "adapter/adapter.safetensors": bytes(reversed(range(256))) * 4,
    "README.md": "# support-desk\n\nA modèle card.\n".encode(),
    "bom.cdx.json": b"{}",
    "empty.txt": b"",
}


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> FileSigner:
    return make_key(tmp_path_factory.mktemp("keys") / "release.pem")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> FileSigner:
    return make_key(tmp_path_factory.mktemp("keys") / "stranger.pem")


def write_files(folder: Path) -> Path:
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def seal(folder: Path, signer: FileSigner, log_folder: Path) -> dict[str, str]:
    statements = {
        "audit": make_statement(
            {"data": "ab" * 32}, predicate_type="https://example.test/audit/v1", predicate={"rows": 17}
        ),
        "evaluate": make_statement({"model": "cd" * 32}, predicate_type="https://example.test/eval/v1", predicate={}),
    }
    return sign_release(folder, signer, name="support-desk", version=3, statements=statements, log_folder=log_folder)


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return write_files(tmp_path / "release")


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory, signer: FileSigner) -> Path:
    folder = tmp_path_factory.mktemp("master") / "release"
    seal(write_files(folder), signer, folder.parent / "log")
    return folder


@pytest.fixture
def release(master: Path, tmp_path: Path) -> Path:
    """A signed release that a test may modify."""
    return Path(shutil.copytree(master, tmp_path / "release"))


@pytest.fixture(scope="session")
def sealing() -> Callable[[Path, FileSigner, Path], dict[str, str]]:
    return seal


@pytest.fixture(scope="session")
def filling() -> Callable[[Path], Path]:
    return write_files
