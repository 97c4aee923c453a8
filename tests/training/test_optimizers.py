"""Optimisers by name, and rates worked out by hand from losses that are given."""

import math
from typing import Any

import pytest
import torch

from espcn.training.optimizers import (
    OPTIMIZERS,
    cosine_schedule,
    make_optimizer,
    moving_average,
    plateau_schedule,
)
from espcn.training.soap import SOAP


def groups(*rates: float) -> torch.optim.Optimizer:
    """Return an optimiser that has a group for each rate."""
    return torch.optim.SGD([{"params": [torch.zeros(1)], "lr": rate} for rate in rates])


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def test_optimisers_are_soap_and_pytorchs_for_dense_gradients() -> None:
    assert OPTIMIZERS["soap"] is SOAP
    assert OPTIMIZERS["adam"] is torch.optim.Adam
    assert OPTIMIZERS["sgd"] is torch.optim.SGD
    assert all(issubclass(kind, torch.optim.Optimizer) for kind in OPTIMIZERS.values())
    # The first wants the loss again, the second sparse gradients, the third matrices alone, the
    # last is their base.
    assert not OPTIMIZERS.keys() & {"lbfgs", "sparseadam", "muon", "optimizer"}


def test_made_optimiser_has_its_options_and_the_rate() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    made = make_optimizer("sgd", {"momentum": 0.8})([weight], lr=0.25)
    assert type(made) is torch.optim.SGD
    (group,) = made.param_groups
    assert (group["momentum"], group["lr"]) == (0.8, 0.25)
    assert group["params"][0] is weight


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "sdg",
            {},
            r"`optim.name` \(=sdg\) must be one of adadelta, .*, sgd, soap: did you mean sgd",
        ),
        ("LBFGS", {}, r"`optim.name` \(=LBFGS\) must be one of"),
        ("muon", {}, r"`optim.name` \(=muon\) must be one of"),
        ("adam", {"momentum": 0.9}, "`optim` must have options that it knows: .*momentum"),
        ("adam", {"betas": (2, 0.9)}, "`optim` must have options that it knows: Invalid beta"),
        ("adam", {"betas": [0.9]}, "`optim` must have options that it knows: .*index out of range"),
        ("rprop", {"etas": [0.5]}, "`optim` must have options that it knows: "),
        ("adam", {"fused": True, "foreach": True}, "`optim` must have options that it knows: "),
        ("soap", {"betas": [0.9]}, r"knows: `betas` \(=\[0.9\]\) must be two numbers"),
        ("soap", {"betas": [0.9, 1.5]}, r"know.*`betas\[1\]` \(=1.5\) must be a fraction"),
        ("soap", {"shampoo_beta": 1}, "`betas` and `shampoo_beta` must be below 1"),
        ("soap", {"eps": -1}, r"know.*`eps` \(=-1\) must be a number of at least 0"),
    ],
)
def test_optimiser_that_there_is_not_is_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_optimizer(name, options)


def test_loss_must_fall_by_more_than_mu() -> None:
    # All numbers are whole parts of a power of two, so that differences are exact.
    optimizer = groups(1.0)
    schedule = plateau_schedule(optimizer, mu=0.25, patience=0, floors=[0.0])
    seen = []
    for loss in (4.0, 3.5, 3.25, 2.875, 2.75, 2.5):
        schedule.step(loss)
        seen.append(rates(optimizer)[0])
    # 3.5 improves by 0.5; 3.25 by mu itself, which is too little; 2.875, by 0.625 on the best;
    # 2.75 by 0.125; 2.5 by 0.375 on the best.
    assert seen == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_patience_counts_epochs_in_a_row() -> None:
    optimizer = groups(1.0)
    schedule = plateau_schedule(optimizer, mu=0.25, patience=1, floors=[0.0])
    seen = []
    for loss in (4.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0):
        schedule.step(loss)
        seen.append(rates(optimizer)[0])
    assert seen == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01])


def test_each_group_stops_at_its_floor() -> None:
    optimizer = groups(1.0, 0.5)
    schedule = plateau_schedule(optimizer, mu=0.0, patience=0, floors=[0.02, 0.2])
    for _ in range(4):
        schedule.step(1.0)
    assert rates(optimizer) == [0.02, 0.2]


def test_drop_of_a_tiny_rate_is_a_drop() -> None:
    optimizer = groups(1e-9)
    schedule = plateau_schedule(optimizer, mu=0.0, patience=0, floors=[0.0])
    for _ in range(2):
        schedule.step(1.0)
    assert rates(optimizer) == pytest.approx([1e-10], rel=1e-12)


def test_cosine_falls_to_its_floor_and_stays_there() -> None:
    optimizer = groups(2.0, 0.2)
    schedule = cosine_schedule(optimizer, steps=4, floor=0.1)
    seen = []
    for _ in range(7):
        seen.append(rates(optimizer))
        optimizer.step()
        schedule.step()
    half = math.sqrt(0.5)
    shares = [1, 0.1 + 0.9 * (1 + half) / 2, 0.55, 0.1 + 0.9 * (1 - half) / 2, 0.1, 0.1, 0.1]
    assert [pair[0] for pair in seen] == pytest.approx([2 * share for share in shares])
    assert [pair[1] for pair in seen] == pytest.approx([0.2 * share for share in shares])


def test_moving_average_warms_up_to_its_decay() -> None:
    average = moving_average(0.9)

    def averaged(count: int) -> float:
        averages = [torch.zeros(()), torch.zeros(2)]
        average(averages, [torch.ones(()), torch.ones(2)], count)
        assert torch.equal(averages[1], averages[0].expand(2))
        return float(averages[0])

    assert averaged(0) == pytest.approx(0.9)  # 1 - 1/10
    assert averaged(10) == pytest.approx(1 - 11 / 20)
    assert averaged(10_000) == pytest.approx(0.1)


def test_moving_average_is_no_part_of_the_gradient() -> None:
    average, weight = (torch.nn.Parameter(torch.full((2,), value)) for value in (0.0, 1.0))
    moving_average(0.9)([average], [weight], 0)
    assert average.tolist() == pytest.approx([0.9, 0.9])
    assert average.is_leaf
