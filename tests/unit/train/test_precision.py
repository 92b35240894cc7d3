"""`precision: auto` depends on the device's instructions, and is resolved before content keys are computed."""

from collections.abc import Mapping

import pytest
import torch

from tunesmith.recipe import TrainSettings
from tunesmith.train import resolve_precision
from tunesmith.train.precision import native_precision


def on_processor(monkeypatch: pytest.MonkeyPatch, features: Mapping[str, object]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx2": True, "avx512_f": False, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, "fp32"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True}, "bf16"),
        ({"avx2": True, "amx_bf16": True}, "bf16"),
        ({"architecture": "aarch64", "bf16": True}, "bf16"),
        ({}, "fp32"),
    ],
)
def test_auto_is_bf16_on_cpus_with_bf16_instructions(
    monkeypatch: pytest.MonkeyPatch, features: Mapping[str, object], expected: str
) -> None:
    on_processor(monkeypatch, features)
    assert native_precision() == expected
    assert resolve_precision(TrainSettings(rows_per_step=1, precision="auto")).precision == expected


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_an_explicit_precision_is_kept(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    on_processor(monkeypatch, {"avx512_bf16": wanted == "fp32"})
    assert (
        resolve_precision(TrainSettings.model_validate({"rows_per_step": 1, "precision": wanted})).precision == wanted
    )
