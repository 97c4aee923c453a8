"""SOAP, the optimiser of the default run: Adam in the eigenbasis of Shampoo's preconditioner.

Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv 2409.11321, Algorithm
3. Natural pictures put nearly all their variance in a few smooth directions, so a first-order
optimiser finds the best linear filter first and stays near it for thousands of epochs; in the
eigenbasis of the gradients' covariance all directions make equal progress.

Existing libraries were measured first, on this network and these patches. heavyball 3.2.1 makes the
same progress per step, but its step takes 15 ms, compared with 4 for this one and 18 for the
network, it compiles itself by default, and it adds 10,000 lines; pytorch_optimizer 4.1.0 fails on
biases when it treats kernels as matrices, and learns more slowly when it does not.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from espcn import checks


class SOAP(torch.optim.Optimizer):
    """Adam in a slowly rotating eigenbasis, one for each side of each kernel viewed as a matrix.

    A kernel `(out, in, height, width)` is a matrix `(out, in height width)`; biases use plain Adam.
    The first step only measures the gradient and changes nothing.

    Args:
        params: Parameters, or parameter groups.
        lr: The step size, as in Adam.
        betas: Decays of the averages of the gradient, and of its square in the eigenbasis.
        shampoo_beta: Decay of the averages of the two covariances.
        eps: Added to the root of the averaged square.
        refresh_every: Steps between updates of the bases, each a power iteration step and a QR
            decomposition.

    Raises:
        ValueError: An option is out of its range; the message names it.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        shampoo_beta: float = 0.95,
        eps: float = 1e-8,
        refresh_every: int = 10,
    ) -> None:
        checks.integer("refresh_every", refresh_every, 1, "10 is usual")
        checks.number("eps", eps, "1e-8 is usual")
        if len(betas) != 2:
            raise ValueError(f"`betas` (={betas}) must be two numbers: 0.95 and 0.95 are usual")
        for name, decay in zip(("betas[0]", "betas[1]"), betas, strict=True):
            checks.fraction(name, decay, "0.95 is usual")
        checks.fraction("shampoo_beta", shampoo_beta, "0.95 is usual")
        if 1 in (*betas, shampoo_beta):
            raise ValueError("`betas` and `shampoo_beta` must be below 1, else nothing new counts")
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "shampoo_beta": shampoo_beta,
            "eps": eps,
            "refresh_every": refresh_every,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step.

        Args:
            closure: If given, computes the gradients first and returns the loss.

        Returns:
            The loss; None without a closure.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._step(param, self.state[param], group)
        return loss

    def _step(self, param: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        grad = param.grad.reshape(len(param), -1)  # type: ignore[union-attr]
        if not state:
            state["step"] = 0
            state["average"], state["square"] = torch.zeros_like(grad), torch.zeros_like(grad)
            if param.ndim > 1:
                for side, cov in _covariances(grad).items():
                    state[f"{side}_cov"] = cov * (1 - group["shampoo_beta"])
                    state[f"{side}_basis"] = torch.linalg.eigh(cov).eigenvectors.flip(1)
            return
        beta1, beta2 = group["betas"]
        state["step"] += 1
        state["average"].lerp_(grad, 1 - beta1)
        state["square"].mul_(beta2).add_(_rotate(grad, state).square(), alpha=1 - beta2)
        average = _rotate(state["average"], state) / (1 - beta1 ** state["step"])
        square = state["square"] / (1 - beta2 ** state["step"])
        update = _rotate_back(average / (square.sqrt() + group["eps"]), state)
        param.sub_(update.reshape(param.shape), alpha=group["lr"])
        if param.ndim > 1:
            for side, cov in _covariances(grad).items():
                state[f"{side}_cov"].lerp_(cov, 1 - group["shampoo_beta"])
            if state["step"] % group["refresh_every"] == 0:
                _refresh(state)


def _covariances(grad: Tensor) -> dict[str, Tensor]:
    return {"left": grad @ grad.mT, "right": grad.mT @ grad}


def _rotate(grad: Tensor, state: dict[str, Any]) -> Tensor:
    """Return a gradient in the eigenbasis; a bias, which has none, is returned unchanged."""
    if "left_basis" not in state:
        return grad
    return state["left_basis"].mT @ grad @ state["right_basis"]


def _rotate_back(update: Tensor, state: dict[str, Any]) -> Tensor:
    if "left_basis" not in state:
        return update
    return state["left_basis"] @ update @ state["right_basis"].mT


def _refresh(state: dict[str, Any]) -> None:
    """Rotate both bases towards the covariances' eigenvectors, the largest first (Algorithm 4)."""
    for dim, side in enumerate(("left", "right")):
        cov, basis = state[f"{side}_cov"], state[f"{side}_basis"]
        order = (basis * (cov @ basis)).sum(0).argsort(descending=True)
        state["square"] = state["square"].index_select(dim, order)
        state[f"{side}_basis"] = torch.linalg.qr(cov @ basis[:, order]).Q
