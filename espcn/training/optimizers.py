"""Optimisers by name, learning rate schedules, and the moving average of the weights.

"Initial learning rate is set to 0.01 and final learning rate is set to 0.0001 and updated gradually
when the improvement of the cost function is smaller than a threshold mu" (Shi et al. 2016, section
3.2).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from espcn import checks
from espcn.training.soap import SOAP

SCHEDULES = ("plateau", "cosine")
DROP = 0.1  # the paper's rates go from 0.01 to 0.0001: two drops
# Those that need the loss again, sparse gradients, or matrices alone can't train this network.
_UNFIT = ("LBFGS", "SparseAdam", "Muon", "Optimizer")
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"soap": SOAP} | {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and name not in _UNFIT
}


def make_optimizer(name: str, options: Mapping[str, Any]) -> Callable[..., torch.optim.Optimizer]:
    """Return a factory that makes an optimiser from parameter groups and `lr=`.

    Args:
        name: `soap`, or the lower-case name of a PyTorch optimiser, such as `adam` or `sgd`.
        options: Its options except the learning rate, such as `momentum` or `betas`.

    Returns:
        The optimiser's class with these options.

    Raises:
        ValueError: The optimiser is unknown, or does not take these options.
    """
    checks.choice("optim.name", name, sorted(OPTIMIZERS))
    make: Callable[..., torch.optim.Optimizer] = partial(OPTIMIZERS[name], **options)
    weight = torch.nn.Parameter(torch.zeros(2, 1, 3, 3))
    weight.grad = torch.ones_like(weight)
    try:
        optimizer = make([weight], lr=1e-3)
        # Some take any options, and fail at the first or the second step. Capturable ones step on
        # GPUs only.
        for _ in range(0 if options.get("capturable") else 2):
            optimizer.step()
    except Exception as error:  # of many kinds
        raise ValueError(f"`optim` must have options that it knows: {error}") from error
    return make


def plateau_schedule(
    optimizer: torch.optim.Optimizer, mu: float, patience: int, floors: Sequence[float]
) -> ReduceLROnPlateau:
    """Return a schedule that lowers the rate to a tenth when the loss stops improving.

    Args:
        optimizer: The optimiser.
        mu: The paper's threshold: the smallest decrease of the loss that counts as an improvement.
        patience: Number of epochs in a row without an improvement that are tolerated.
        floors: The lowest rate of each parameter group.

    Returns:
        The schedule, to be stepped with each epoch's loss.
    """
    return ReduceLROnPlateau(
        optimizer,
        factor=DROP,
        patience=patience,
        threshold=mu,
        threshold_mode="abs",
        min_lr=list(floors),
        eps=0.0,
    )


def cosine_schedule(optimizer: torch.optim.Optimizer, steps: int, floor: float) -> LambdaLR:
    """Return a schedule that follows half a cosine over the whole run.

    Args:
        optimizer: The optimiser.
        steps: Number of steps of the run.
        floor: The rate at the end, as a fraction of that at the start.

    Returns:
        The schedule, to be stepped after each step of the optimiser.
    """

    def share(step: int) -> float:
        return floor + (1 - floor) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2

    return LambdaLR(optimizer, share)


def moving_average(
    decay: float,
) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Return the `multi_avg_fn` of an exponential moving average of the weights that warms up.

    Its decay grows with the number of steps n as (1 + n) / (10 + n), up to `decay`. Without that, a
    third of the average after 1,000 steps at 0.999 would still be the random start.

    Args:
        decay: The decay that it grows to, below 1.

    Returns:
        A function of the averages, which it updates, the current weights and the number of steps.
    """

    @torch.no_grad()
    def average(averages: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int) -> None:
        n = float(count)
        torch._foreach_lerp_(list(averages), list(weights), 1 - min(decay, (1 + n) / (10 + n)))

    return average
