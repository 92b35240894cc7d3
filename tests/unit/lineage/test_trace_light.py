"""`tunesmith trace` answers in well under a second: it imports neither pandas nor SQLAlchemy, nor what trains."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tunesmith.context import SilentProgress
from tunesmith.lineage.text_index import build_missing_indexes

HEAVY = {"pandas", "sqlalchemy", "torch", "transformers", "daft", "scipy", "sklearn", "fsspec", "asyncio"}
ASK = """
import json, sys
from typer.testing import CliRunner
from tunesmith.cli.main import app
outcome = CliRunner().invoke(app, {arguments})
print(json.dumps([outcome.exit_code, outcome.stdout, sorted({{name.split('.')[0] for name in sys.modules}})]))
"""


@pytest.mark.parametrize("question", ["--row", "--subject", "--source", "--text"])
def test_a_trace_imports_nothing_heavy(question: str, history: Any, scripted: Any) -> None:
    build_missing_indexes(history.store, SilentProgress())
    asked = {
        "--row": (history.ids[0], 1),
        "--subject": (scripted.ANN, 2),
        "--source": ("tickets.jsonl", 6),
        "--text": (f"Über all, {scripted.TEXTS[0]}", 2),
    }
    value, found = asked[question]
    arguments = ["trace", question, value, "--store", str(history.store.folder), "--json"]
    run = subprocess.run(
        [sys.executable, "-c", ASK.format(arguments=arguments)], capture_output=True, text=True, check=True
    )
    code, answer, loaded = json.loads(run.stdout.splitlines()[-1])
    assert (code, json.loads(answer)["found"]) == (0, found)
    assert HEAVY & set(loaded) == set()
    assert question == "--text" or "pyarrow" not in loaded
