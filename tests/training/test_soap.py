"""Expected steps come from the paper's Algorithms 3 and 4 in NumPy, and from PyTorch's Adam."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from espcn.training.soap import SOAP


def parameter(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    values = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(values).to(dtype).requires_grad_()


def walk(optimizer: SOAP, parameters: list[Tensor], seeds: range, scale: float = 1.0) -> None:
    """One step for each seed, with random gradients."""
    for seed in seeds:
        rng = np.random.default_rng(1000 + seed)
        for param in parameters:
            param.grad = torch.from_numpy(rng.normal(size=param.shape) * scale).to(param)
        optimizer.step()


class Algorithm3:
    """arXiv 2409.11321, Algorithm 3 for one matrix.

    What the paper leaves open is as in its authors' code: the first gradient only starts L and R,
    whose eigenvectors are then exact; Adam's averages are corrected for their bias; and before each
    power iteration the columns are sorted by their estimated eigenvalues.
    """

    def __init__(self, w: np.ndarray, lr: float, b1: float, b2: float, eps: float, f: int) -> None:
        self.w, self.lr, self.b1, self.b2, self.eps, self.f = w, lr, b1, b2, eps, f
        self.t = 0
        self.sorted_anew = 0

    def start(self, g: np.ndarray) -> None:
        self.l, self.r = (1 - self.b2) * g @ g.T, (1 - self.b2) * g.T @ g
        self.ql, self.qr = (np.linalg.eigh(p)[1][:, ::-1] for p in (self.l, self.r))
        self.m, self.v = np.zeros_like(g), np.zeros_like(g)

    def step(self, g: np.ndarray) -> None:
        self.t += 1
        rotated = self.ql.T @ g @ self.qr
        self.m = self.b1 * self.m + (1 - self.b1) * g
        rotated_m = self.ql.T @ self.m @ self.qr
        self.v = self.b2 * self.v + (1 - self.b2) * rotated**2
        m_hat, v_hat = rotated_m / (1 - self.b1**self.t), self.v / (1 - self.b2**self.t)
        self.w = self.w - self.lr * self.ql @ (m_hat / (np.sqrt(v_hat) + self.eps)) @ self.qr.T
        self.l = self.b2 * self.l + (1 - self.b2) * g @ g.T
        self.r = self.b2 * self.r + (1 - self.b2) * g.T @ g
        if self.t % self.f == 0:
            self.ql, order = self.eigenvectors(self.l, self.ql)
            self.v = self.v[order]
            self.qr, order = self.eigenvectors(self.r, self.qr)
            self.v = self.v[:, order]

    def eigenvectors(self, p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(-np.diag(q.T @ p @ q))
        self.sorted_anew += not np.array_equal(order, np.arange(len(order)))
        return np.linalg.qr(p @ q[:, order])[0], order


@pytest.mark.parametrize("shape", [(4, 4), (4, 1, 2, 2)])
def test_steps_are_those_of_algorithm_3(shape: tuple[int, ...]) -> None:
    lr, b1, b2, eps, f = 0.01, 0.9, 0.7, 1e-8, 2
    param = parameter(*shape)
    optimizer = SOAP([param], lr, (b1, b2), shampoo_beta=b2, eps=eps, refresh_every=f)
    paper = Algorithm3(param.detach().numpy().reshape(4, 4).copy(), lr, b1, b2, eps, f)
    rng = np.random.default_rng(3)
    for number in range(8):
        g = rng.normal(size=(4, 4)) * np.array([4.0, 3.0, 2.0, 1.0])
        if number > 2:  # another direction becomes the largest, so that the order changes
            g = g[:, ::-1] * 3
        param.grad = torch.from_numpy(g.reshape(shape).copy())
        optimizer.step()
        if number == 0:
            paper.start(g)
        else:
            paper.step(g)
        got = param.detach().numpy().reshape(4, 4)
        np.testing.assert_allclose(got, paper.w, rtol=0, atol=1e-10)
    assert paper.sorted_anew


def test_first_step_only_measures_the_gradient() -> None:
    params = [parameter(3, 5), parameter(7)]
    before = [param.detach().clone() for param in params]
    optimizer = SOAP(params, lr=1.0)
    walk(optimizer, params, range(1))
    assert all(torch.equal(old, new) for old, new in zip(before, params, strict=True))
    walk(optimizer, params, range(1, 2))
    assert all((old != new).all() for old, new in zip(before, params, strict=True))


def test_bias_gets_plain_adam() -> None:
    ours, theirs = parameter(7), parameter(7)
    soap = SOAP([ours], lr=0.01, betas=(0.9, 0.99), eps=1e-6)
    adam = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99), eps=1e-6)
    walk(soap, [ours], range(1))  # the one that changes nothing
    for seed in range(1, 15):
        walk(soap, [ours], range(seed, seed + 1))
        theirs.grad = ours.grad
        adam.step()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_turned_problem_is_solved_by_turned_steps() -> None:
    # The gain over Adam: what is turned (here by two orthogonal matrices) learns as before.
    plain, turned = parameter(4, 4), parameter(4, 4)
    left, right = (torch.linalg.qr(parameter(4, 4, seed=seed).detach()).Q for seed in (5, 6))
    with torch.no_grad():
        turned.copy_(left @ plain @ right)
    optimizers = [SOAP([param], lr=0.02, refresh_every=3) for param in (plain, turned)]
    rng = np.random.default_rng(7)
    for _ in range(10):
        plain.grad = torch.from_numpy(rng.normal(size=(4, 4)))
        turned.grad = left @ plain.grad @ right
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(turned, left @ plain @ right, rtol=0, atol=1e-8)


def test_soap_beats_adam_on_an_ill_conditioned_problem() -> None:
    # Least squares, eigenvalues from 1 down to 1e-4 in directions that no axis shares, as the
    # covariance of natural pictures has. Each optimiser has the best of three rates.
    basis = torch.linalg.qr(parameter(12, 12, seed=2).detach()).Q
    root = basis @ torch.diag(torch.logspace(0, -2, 12, dtype=torch.float64)) @ basis.T
    target = parameter(6, 12, seed=3).detach()

    def best(kind: Any) -> float:
        losses = []
        for lr in (0.003, 0.01, 0.03):
            weight = torch.zeros(6, 12, dtype=torch.float64, requires_grad=True)
            optimizer = kind([weight], lr=lr, betas=(0.95, 0.95))
            for _ in range(300):
                optimizer.zero_grad()
                loss = ((weight - target) @ root).square().mean()
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        return min(losses)

    assert best(SOAP) < 0.1 * best(torch.optim.Adam)


def test_bases_must_be_refreshed_at_some_time() -> None:
    SOAP([parameter(4, 4)], refresh_every=1)
    with pytest.raises(ValueError, match=r"`refresh_every` \(=0\)"):
        SOAP([parameter(4, 4)], refresh_every=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_state_goes_on_bit_for_bit(dtype: torch.dtype) -> None:
    shapes = [(6, 2, 3, 3), (6,), (4, 5)]
    params = [parameter(*shape, dtype=dtype) for shape in shapes]
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 1e-4}]
    optimizer = SOAP(groups, refresh_every=4)
    walk(optimizer, params, range(6))

    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    copies = [param.detach().clone().requires_grad_() for param in params]
    other = SOAP([{"params": copies[:2]}, {"params": copies[2:]}], lr=9.0, refresh_every=1)
    other.load_state_dict(torch.load(file, weights_only=True))

    for seeds in (range(6, 7), range(7, 16)):  # beyond the next refreshes
        walk(optimizer, params, seeds)
        walk(other, copies, seeds)
        for one, two in zip(params, copies, strict=True):
            assert torch.equal(one, two)
            for name, value in optimizer.state[one].items():
                again = other.state[two][name]
                same = torch.equal(value, again) if torch.is_tensor(value) else value == again
                assert same, name


def test_closure_computes_the_gradients_and_its_loss_comes_back() -> None:
    param = parameter(3, 4)
    optimizer = SOAP([param], lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = param.square().sum()
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert first.item() == pytest.approx(param.detach().square().sum().item())
    optimizer.step(closure)
    assert optimizer.step(closure) < first
    assert optimizer.step() is None


def test_parameter_without_gradient_is_left_alone() -> None:
    used, unused = parameter(3, 4), parameter(3, 4, seed=1)
    before = unused.detach().clone()
    optimizer = SOAP([used, unused], lr=0.1)
    walk(optimizer, [used], range(3))
    assert torch.equal(unused, before)
    assert unused not in optimizer.state


def test_each_group_has_its_own_rate() -> None:
    fast, slow = parameter(3, 4), parameter(3, 4)
    before = fast.detach().clone()
    optimizer = SOAP([{"params": [fast]}, {"params": [slow], "lr": 0.01}], lr=0.1)
    for _ in range(2):
        fast.grad = slow.grad = torch.from_numpy(np.random.default_rng(4).normal(size=(3, 4)))
        optimizer.step()
    torch.testing.assert_close(fast - before, 10 * (slow - before))


def test_bases_stay_orthogonal_even_for_gradients_of_rank_1() -> None:
    param = parameter(5, 8, dtype=torch.float32)
    optimizer = SOAP([param], refresh_every=2)
    rng = np.random.default_rng(5)
    for _ in range(40):
        outer = np.outer(rng.normal(size=5), rng.normal(size=8)) * 1e-6
        param.grad = torch.from_numpy(outer).to(param)
        optimizer.step()
    for side, size in (("left", 5), ("right", 8)):
        basis = optimizer.state[param][f"{side}_basis"]
        torch.testing.assert_close(basis.mT @ basis, torch.eye(size), rtol=0, atol=1e-5)
    assert param.isfinite().all()


def test_gradients_of_zero_change_nothing() -> None:
    param = parameter(3, 4)
    before = param.detach().clone()
    optimizer = SOAP([param], refresh_every=2)
    walk(optimizer, [param], range(6), scale=0.0)
    assert torch.equal(param, before)


def test_defaults_are_those_of_the_authors_code() -> None:
    # https://github.com/nikhilvyas/SOAP, where the covariances decay as the squares do.
    expected = {"lr": 3e-3, "betas": (0.95, 0.95), "shampoo_beta": 0.95, "eps": 1e-8}
    assert SOAP([parameter(3)]).defaults == expected | {"refresh_every": 10}
