"""The profile of the rows against hand-made counts."""

import json

from tunesmith import audit
from tunesmith.context import Context
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings


def test_counts_of_both_splits(context: Context) -> None:
    def put(name: str, rows: list[dict[str, str]]) -> None:
        (context.data_root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    texts = ["where is my blue hat", "where is my blue hat", "where is my blue hat", "a coat", "a scarf"]
    put("train.jsonl", [{"text": text, "label": "b" if n == 4 else "a"} for n, text in enumerate(texts)])
    put("test.jsonl", [{"text": "gloves", "label": "a", "license": "MIT", "source": "forum"}])
    sources = DataSettings(
        train=(SourceSettings(path="train.jsonl", license="CC0-1.0"),), test=(SourceSettings(path="test.jsonl"),)
    )
    off = tuple(name for name in audit.check_ids() if name != "exact-duplicate")
    found = audit.run(sources, AuditSettings(off=off), context, task=TaskSettings(type="classify")).profile
    assert found.train.rows == 5
    assert found.train.prompts is not None and (found.train.prompts.least, found.train.prompts.most) == (6, 20)
    assert (found.train.labels, found.train.licenses) == ({"a": 4, "b": 1}, {"CC0-1.0": 5})
    assert found.test is not None
    assert (found.test.sources, found.test.licenses, found.test.languages) == ({"forum": 1}, {"MIT": 1}, {})
    assert found.clusters == {3: 1}
