"""A temporary PostgreSQL server, where PostgreSQL is installed, and a store in a folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.store import Store, open_store

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
NEEDS = "needs PostgreSQL"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store")
    yield opened
    opened.ledger.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Path]:
    """The folder of the Unix socket of a fresh server; user and database are called postgres."""
    if not PROGRAMS or shutil.which("runuser") is None:
        pytest.skip(f"{NEEDS}: no server under /usr/lib/postgresql")
    pytest.importorskip("psycopg", reason=f"{NEEDS}: psycopg is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        _start(folder)
        yield folder
        _pg("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = str(folder / "data")
    _pg("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
    options = f"-c listen_addresses='' -c fsync=off -c unix_socket_directories={folder}"
    _pg("pg_ctl", "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")


def _pg(program: str, *arguments: str) -> None:
    """Run a program of the server; it refuses to run as root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*user, str(PROGRAMS[-1] / program), *arguments]
    done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
    if done.returncode:
        pytest.fail(f"{program}: {done.stdout.decode()}")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, for each of the two back ends."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    folder = request.getfixturevalue("postgresql")
    import psycopg

    name = f"t{os.urandom(6).hex()}"
    with psycopg.connect(f"host={folder} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return f"postgresql+psycopg://postgres@/{name}?host={folder}"
