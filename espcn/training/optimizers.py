"""Optimisers by name, as configurations call them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from espcn.training.soap import SOAP

# Those that need the loss again, or sparse gradients, can't train this network.
_UNFIT = ("LBFGS", "SparseAdam", "Optimizer")
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"soap": SOAP} | {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and name not in _UNFIT
}


def make_optimizer(name: str, options: Mapping[str, Any]) -> Callable[..., torch.optim.Optimizer]:
    """Return what makes an optimiser from parameter groups and `lr=`.

    Args:
        name: `soap`, or the name of an optimiser of PyTorch's in lower case: `adam`, `sgd`.
        options: Its options but for the rate: `momentum`, `betas`.

    Returns:
        The optimiser's class with these options.

    Raises:
        ValueError: There is no optimiser of this name, or it does not take these options.
    """
    if name not in OPTIMIZERS:
        known = ", ".join(sorted(OPTIMIZERS))
        raise ValueError(f"`optim.name` (={name}) must be one of {known}")
    make: Callable[..., torch.optim.Optimizer] = partial(OPTIMIZERS[name], **options)
    try:
        make([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`optim` must have options that it knows: {error}") from error
    return make
