"""Devices: float32 is float32 on a GPU, too, and the process's setting comes back."""

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from espcn.evaluation.protocol import super_resolve
from espcn.network.backends import BACKENDS
from espcn.network.device import full_float32
from espcn.network.engine import Engine
from espcn.network.model import ESPCN

ELSEWHERE = torch.device("meta")  # stands for a GPU: it needs none, and is no processor


def setting() -> str:
    return torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]


@pytest.fixture(params=["tf32", "none", "ieee"])
def before(request: pytest.FixtureRequest) -> Iterator[str]:
    """Set what a program may have set, and return it."""
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    usual = setting()
    convolutions.fp32_precision = request.param
    yield request.param
    convolutions.fp32_precision = usual


@pytest.mark.parametrize(("precision", "exact"), [("float32", True), ("bfloat16", False)])
def test_engine_of_float32_has_no_tf32(
    before: str, precision: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run(centred: Tensor) -> Tensor:
        seen.append(setting())
        return centred

    monkeypatch.setitem(BACKENDS, "torch", lambda *_: run)
    engine = Engine(ESPCN(2), "torch", precision, "cpu")
    engine.device = ELSEWHERE
    engine(torch.zeros(1, 1, 9, 9))
    assert (seen, setting()) == (["ieee" if exact else before], before)


def test_scores_are_without_tf32(before: str) -> None:
    network, seen = ESPCN(2).to(ELSEWHERE), []

    def note(module: ESPCN, given: tuple[Tensor], made: Tensor) -> Tensor:
        seen.append(setting())
        return torch.zeros(made.shape)  # of a meta tensor there is no copy

    network.register_forward_hook(note)
    super_resolve(network, torch.zeros(1, 9, 9, dtype=torch.uint8))
    assert (seen, setting()) == (["ieee"], before)


def test_setting_comes_back_after_an_error(before: str) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), full_float32(ELSEWHERE):
        raise RuntimeError("out of memory")
    assert setting() == before


def test_setting_stays_while_another_thread_is_within(before: str) -> None:
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with full_float32(ELSEWHERE):
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(60)
    with full_float32(ELSEWHERE):
        leave.set()
        thread.join()
        assert setting() == "ieee"  # the first one has left
    assert setting() == before


def test_other_settings_of_cudnn_stay_as_they_are() -> None:
    cudnn = torch.backends.cudnn
    names = ("enabled", "benchmark", "deterministic")
    usual = [getattr(cudnn, name) for name in names]
    with full_float32(ELSEWHERE):
        assert [getattr(cudnn, name) for name in names] == usual


def test_processor_leaves_the_setting_to_others(before: str) -> None:
    with full_float32(torch.device("cpu")):
        assert setting() == before
