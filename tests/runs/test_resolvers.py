"""What the configurations call by name."""

import pytest
import torch

from espcn.runs.resolvers import default_precision


@pytest.mark.parametrize(
    ("accelerator", "gpu", "fast", "precision"),
    [
        ("auto", False, True, "bf16-mixed"),
        ("auto", False, False, "32-true"),
        ("auto", True, True, "32-true"),
        ("cpu", True, True, "bf16-mixed"),
        ("gpu", True, True, "32-true"),
    ],
)
def test_precision_is_bfloat16_where_a_processor_trains_that_is_fast_in_it(
    accelerator: str, gpu: bool, fast: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert default_precision(accelerator) == precision
