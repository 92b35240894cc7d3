"""From reports to a signed folder, on a tiny random model: what is in it, who can load it, who can check it."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith.artifacts import Example, ModelRef, Row
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.errors import IntegrityBroken, Misuse, Refused
from tunesmith.models.loading import load_folder
from tunesmith.recipe import load_recipe
from tunesmith.release import ReleaseInputs, model_files, run
from tunesmith.store import open_store
from tunesmith.trust import make_key, verify_release

RUN_MODULE = sys.modules["tunesmith.release.run"]
# PEFT 0.21 asks transformers 5.23 for a property whose name is going away; neither is ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

KEY = "sha256:" + "f" * 64
STARTED = "2026-11-21T07:00:00+00:00"
LABELS = ("billing", "delivery", "returns")


def by_path(name: str) -> Any:
    spec = spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fixtures_reports = by_path("fixtures_reports")
fixtures_models = by_path("fixtures_models")


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 21, 8, tzinfo=timezone.utc)

    def seconds(self) -> float:
        return 0.0


@dataclass(frozen=True)
class House:
    """A project folder with a key and a store that holds a base, an adapter for it, a tuned model and rows."""

    context: Context
    adapter: ReleaseInputs
    whole: ReleaseInputs

    @property
    def public(self) -> bytes:
        from tunesmith.trust import load_public_pem

        return load_public_pem(self.context.home / "release.pem")

    def release(self, inputs: ReleaseInputs) -> Any:
        return run(inputs, inputs.recipe.release, self.context)


def tuned_adapter(base: Path, target: Path) -> None:
    torch.manual_seed(11)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.2)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(base).save_pretrained(target)
    (target / "README.md").unlink()


def build(home: Path) -> House:
    """Everything a release needs, made once."""
    store = open_store(home / ".tunesmith")
    base_folder = fixtures_models.make_folder(home / "base")
    tuned_adapter(base_folder, home / "adapter")
    fixtures_models.make_folder(home / "whole", seed=6)
    make_key(home / "release.pem")
    rows = [
        Row(row_id=f"{n:016x}", file="tickets.jsonl", line=n, example=Example(text=f"message {n}", labels=(label,)))
        for n, label in enumerate([*LABELS, "delivery"], start=1)
    ]
    audit = fixtures_reports.audit_report(train=store_dataset("train", rows, store))
    base = ModelRef(name="tunesmith/pebble", tree=store.put_tree(base_folder), kind="base", parameters=40_000)

    def inputs(kind: str, files: str, **recipe: Any) -> ReleaseInputs:
        model = ModelRef(
            name=base.name, tree=store.put_tree(home / files), kind=kind, base=base.tree, parameters=42_000
        )
        method = "lora" if kind == "adapter" else "full"
        return ReleaseInputs(
            recipe=fixtures_reports.recipe_of(**recipe),
            audit=audit,
            train=fixtures_reports.train_report(model=model, base=base, method=method),
            evaluation=fixtures_reports.evaluation_report(),
            gate=fixtures_reports.gate_report(),
            content_key=KEY,
            started=STARTED,
        )

    context = Context(store=store, data_root=home, home=home, seed=7, clock=StoppedClock())
    return House(
        context,
        adapter=inputs("adapter", "adapter"),
        whole=inputs("model", "whole", name="whole", release={"precision": "bf16"}, task="classify"),
    )


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = build(tmp_path_factory.mktemp("stock"))
    yield house
    house.context.store.ledger.close()


@pytest.fixture(scope="module")
def made(stock: House) -> tuple[Path, Any]:
    """One adapter release that no test changes."""
    report = stock.release(stock.adapter)
    return Path(report.folder), report


@pytest.fixture
def house(stock: House, tmp_path: Path) -> Iterator[House]:
    """The same project with nothing released yet; a test may break it."""
    for name in ("objects", "trees"):
        if (stock.context.store.folder / name).is_dir():
            shutil.copytree(stock.context.store.folder / name, tmp_path / ".tunesmith" / name)
    shutil.copy(stock.context.home / "release.pem", tmp_path / "release.pem")
    context = replace(stock.context, store=open_store(tmp_path / ".tunesmith"), home=tmp_path, data_root=tmp_path)
    yield replace(stock, context=context)
    context.store.ledger.close()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([[5, 9, 40, 21]])).logits


def test_what_lies_in_the_folder(stock: House, made: tuple[Path, Any]) -> None:
    path, report = made
    assert path == stock.context.home / "releases" / "support-desk" / "1"
    assert (report.name, report.version, report.model_tree) == ("support-desk", 1, stock.adapter.train.model.tree)
    assert report.public_key.encode() == stock.public
    names = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    assert set(report.files) == names - {"model.sig"}
    assert names >= {
        *("adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "chat_template.jinja"),
        *("base/model.safetensors", "base/config.json", "base/tokenizer.json"),
        *("README.md", "data-card.md", "report.html", "recipe.yaml", "tunesmith.json", "release.pub", "model.sig"),
        *(f"evidence/{name}.dsse.json" for name in ("audit", "training", "evaluation", "gate", "release")),
        *("evidence/inclusion.json", "evidence/checkpoint.txt"),
    }
    assert not [name for name in names if ".complete" in name or ".tmp-" in name]


def test_transformers_and_peft_load_it_as_the_card_says(stock: House, made: tuple[Path, Any]) -> None:
    path, _ = made
    (block,) = re.findall(r"```python\n(.*?)```", (path / "README.md").read_text(), re.DOTALL)
    found: dict[str, Any] = {}
    exec(block.replace('folder = "."', f"folder = {str(path)!r}"), found)
    home = stock.context.home
    trained = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(home / "base"), home / "adapter")
    assert torch.equal(logits(found["model"]), logits(trained))
    assert not torch.equal(logits(found["model"]), logits(AutoModelForCausalLM.from_pretrained(home / "base")))
    assert found["tokenizer"].chat_template


def test_our_own_loader_loads_it(made: tuple[Path, Any]) -> None:
    path, _ = made
    model, tokenizer = load_folder(path, base=path / "base")
    assert logits(model).shape[-1] == len(tokenizer)


def test_the_adapter_names_its_base_and_no_folder_of_ours(stock: House, made: tuple[Path, Any]) -> None:
    path, _ = made
    assert json.loads((path / "adapter_config.json").read_text())["base_model_name_or_path"] == "tunesmith/pebble"
    for file in path.rglob("*"):
        if file.is_file():
            assert str(stock.context.home).encode() not in file.read_bytes(), file


def test_tunesmith_json(stock: House, made: tuple[Path, Any]) -> None:
    assert json.loads((made[0] / "tunesmith.json").read_text()) == {
        "format": 1,
        "name": "support-desk",
        "version": 1,
        "content_key": KEY,
        "task": "chat",
        "instruction": "Sort the message and answer it.",
        "task_settings": stock.adapter.recipe.task.model_dump(mode="json"),
        "problem": None,
        "labels": None,
        "kind": "adapter",
        "base": {"name": "tunesmith/pebble", "tree": stock.adapter.train.base.tree},
        "precision": "F32",
        "evaluated_in": "fp32",
        "threads": stock.adapter.train.threads,
        "max_new_tokens": 128,
    }


def test_the_recipe_can_be_run_again(stock: House, made: tuple[Path, Any]) -> None:
    assert load_recipe(made[0] / "recipe.yaml") == stock.adapter.recipe


def test_the_cards_have_no_empty_slot(made: tuple[Path, Any]) -> None:
    for name in ("README.md", "data-card.md"):
        text = (made[0] / name).read_text()
        assert "More Information Needed" not in text and "None" not in text
        assert "{{" not in text and "{%" not in text


def test_the_report_asks_nothing_of_any_server(made: tuple[Path, Any]) -> None:
    page = (made[0] / "report.html").read_text()
    assert not re.search(r"(src|href|action|srcset)\s*=", page)
    assert "https://" not in page and "http://" not in page


def test_it_verifies_and_the_evidence_says_what_it_should(stock: House, made: tuple[Path, Any]) -> None:
    path, report = made
    found = verify_release(path, stock.public)
    assert (found.name, found.version, found.files) == ("support-desk", 1, len(report.files))
    statements = {item.name: item for item in found.statements}
    assert {name: item.predicate_type for name, item in statements.items()} == {
        "audit": "urn:tunesmith:audit-summary:v1",
        "evaluation": "https://in-toto.io/attestation/test-result/v0.1",
        "gate": "https://in-toto.io/attestation/svr/v0.2",
        "training": "https://slsa.dev/provenance/v1",
    }
    subjects = {item["name"]: item["digest"]["sha256"] for item in statements["training"].statement["subject"]}
    assert {name: report.files[name] for name in subjects} == subjects
    assert set(subjects) >= {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"}
    evaluated = statements["evaluation"].statement["subject"]
    assert evaluated == [
        {
            "name": "adapter_model.safetensors",
            "digest": {"sha256": report.files["adapter_model.safetensors"]},
        }
    ]
    recipe = statements["training"].statement["predicate"]["buildDefinition"]["internalParameters"]["recipeDigest"]
    assert recipe == f"sha256:{report.files['recipe.yaml']}"


def test_no_training_text_leaves(made: tuple[Path, Any]) -> None:
    for file in made[0].rglob("*"):
        if file.is_file():
            assert b"MUST NOT LEAVE" not in file.read_bytes(), file


def test_the_reference_tool_accepts_the_signature(stock: House, made: tuple[Path, Any], tmp_path: Path) -> None:
    verifying = pytest.importorskip("model_signing.verifying", exc_type=ImportError)
    (tmp_path / "maker.pub").write_bytes(stock.public)
    config = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "maker.pub")
    config.verify(made[0], made[0] / "model.sig")


@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "README.md", "base/config.json", "evidence/gate.dsse.json"]
)
def test_a_changed_byte_is_refused_with_its_path(
    stock: House, made: tuple[Path, Any], tmp_path: Path, name: str
) -> None:
    copy = Path(shutil.copytree(made[0], tmp_path / "copy"))
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(IntegrityBroken, match=re.escape(name)):
        verify_release(copy, stock.public)


def test_the_same_key_gives_the_same_version(stock: House, made: tuple[Path, Any]) -> None:
    before = {file: file.stat().st_mtime_ns for file in made[0].rglob("*")}
    again = stock.release(replace(stock.adapter, started="2027-01-01T00:00:00+00:00"))
    assert again.digest() == made[1].digest()
    assert {file: file.stat().st_mtime_ns for file in made[0].rglob("*")} == before
    assert stock.context.store.ledger.next_version("support-desk") == 2


def test_a_new_key_gives_the_next_version(house: House) -> None:
    assert house.release(house.adapter).version == 1
    assert house.release(replace(house.adapter, content_key="sha256:" + "e" * 64)).version == 2
    assert sorted(path.name for path in (house.context.home / "releases" / "support-desk").iterdir()) == ["1", "2"]


def test_a_tampered_release_is_never_handed_out_again(house: House) -> None:
    first = house.release(house.adapter)
    (Path(first.folder) / "README.md").write_text("better than it was")
    second = house.release(house.adapter)
    assert second.version == 2
    assert verify_release(Path(second.folder), house.public).version == 2
    assert house.release(house.adapter).version == 2


def test_a_lost_release_is_made_again_under_a_new_number(house: House) -> None:
    shutil.rmtree(house.release(house.adapter).folder)
    assert house.release(house.adapter).version == 2


def test_another_signing_key_makes_another_release(house: House) -> None:
    house.release(house.adapter)
    (house.context.home / "release.pem").unlink()
    make_key(house.context.home / "release.pem")
    report = house.release(house.adapter)
    assert (report.version, verify_release(Path(report.folder), house.public).version) == (2, 2)


def test_killed_before_the_name_is_given(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = RUN_MODULE.sign_release

    def killed(*arguments: Any, **options: Any) -> None:
        sign(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RUN_MODULE, "sign_release", killed)
        with pytest.raises(KeyboardInterrupt):
            house.release(house.adapter)
    assert house.context.store.ledger.release_of(KEY) is None
    report = house.release(house.adapter)
    assert report.version == 1
    assert [path.name for path in Path(report.folder).parent.iterdir()] == ["1"]
    (log,) = (house.context.home / "releases" / ".log").iterdir()
    assert len(list((log / "entries").iterdir())) == 1


def test_killed_before_the_ledger_knows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(house.context.store.ledger), "record_release", killed)
        with pytest.raises(KeyboardInterrupt):
            house.release(house.adapter)
    assert house.release(house.adapter).version == 1
    assert house.context.store.ledger.release_of(KEY) == (1, "releases/support-desk/1")


def test_a_folder_of_someone_else_is_left_alone(house: House) -> None:
    taken = house.context.home / "releases" / "support-desk" / "1"
    taken.mkdir(parents=True)
    (taken / "notes.txt").write_text("mine")
    assert house.release(house.adapter).version == 2
    assert [path.name for path in taken.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_a_gate_that_did_not_pass_refuses(house: House, outcome: str) -> None:
    with pytest.raises(Refused, match=f"gate outcome: {outcome}"):
        house.release(replace(house.adapter, gate=fixtures_reports.gate_report(outcome)))
    assert not (house.context.home / "releases").exists()


def test_without_a_key_nothing_is_made(house: House) -> None:
    (house.context.home / "release.pem").unlink()
    with pytest.raises(Misuse) as caught:
        house.release(house.adapter)
    assert caught.value.hint == "create one with `tunesmith init --key release.pem`"
    assert not (house.context.home / "releases").exists()


def test_an_altered_checkout_is_refused(house: House) -> None:
    checkout = house.context.store.checkout(house.adapter.train.model.tree)
    with (checkout / "tokenizer.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(IntegrityBroken, match="modified"):
        house.release(house.adapter)
    assert not (house.context.home / "releases" / "support-desk" / "1").exists()


def test_a_large_base_stays_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "MAX_INCLUDED_BASE_BYTES", 1)
    report = house.release(house.adapter)
    assert not [name for name in report.files if name.startswith("base/")]
    assert house.adapter.train.base.tree in (Path(report.folder) / "README.md").read_text()


def test_a_whole_model_rounded_to_bfloat16(house: House) -> None:
    report = house.release(house.whole)
    path = Path(report.folder)
    verify_release(path, house.public)
    (original,) = [house.context.store.checkout(house.whole.train.model.tree)]
    before, after = load_file(original / "model.safetensors"), load_file(path / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name].to(torch.bfloat16)) for name in before)
    loaded = AutoModelForCausalLM.from_pretrained(path, local_files_only=True)
    assert loaded.dtype == torch.bfloat16
    manifest = json.loads((path / "tunesmith.json").read_text())
    assert (manifest["precision"], manifest["labels"]) == ("BF16", list(LABELS))
    card = (path / "README.md").read_text()
    assert "themselves were not evaluated" in card and "3 labels" in card
    statements = {item.name: item.statement for item in verify_release(path, house.public).statements}
    weights = report.files["model.safetensors"]
    evaluated = house.context.store.tree(house.whole.train.model.tree)["model.safetensors"].removeprefix("sha256:")
    digests = {
        name: next(
            item["digest"]["sha256"] for item in statements[name]["subject"] if item["name"] == "model.safetensors"
        )
        for name in ("training", "evaluation", "gate")
    }
    assert digests == {"training": weights, "evaluation": evaluated, "gate": evaluated}
    assert weights != evaluated
