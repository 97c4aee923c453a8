"""PyTorch Hub loads the network from the checkout, as it does from a repository."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from espcn import Upscaler, load
from espcn.network.strengths import Compression, load_strength, strength
from helpers import ROOT, same_tensors

# Prints what hubconf.py and the package themselves import; their libraries import more.
IMPORTS = """
import builtins, sys
import torch
found, usual = set(), builtins.__import__
def note(name, globals=None, *rest):
    if (globals or {}).get("__name__", "").partition(".")[0] in ("espcn", "hubconf"):
        found.add(name.partition(".")[0])
    return usual(name, globals, *rest)
builtins.__import__ = note
for compression in (None, 50):
    torch.hub.load(REPO, "espcn", source="local", compression=compression)
print(*sorted(found - {"espcn", *sys.stdlib_module_names}))
"""


@pytest.mark.parametrize("r", [2, 3, 4])
def test_hub_has_the_shipped_network(r: int) -> None:
    network = torch.hub.load(str(ROOT), "espcn", source="local", r=r)
    assert same_tensors(network.state_dict(), load(r).network.state_dict())
    assert not network.training
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 5, 7)).shape == (2, 1, 5 * r, 7 * r)


def test_hub_has_weights_for_jpegs_and_none() -> None:
    suited = torch.hub.load(str(ROOT), "espcn", source="local", compression=50)
    mixed = load_strength(3, strength(3, Compression("jpeg", 50)))
    assert same_tensors(suited.state_dict(), mixed.state_dict())
    fresh = torch.hub.load(str(ROOT), "espcn", source="local", r=5, pretrained=False)
    assert not fresh.training
    assert fresh(torch.rand(1, 1, 4, 4)).shape == (1, 1, 20, 20)
    with pytest.raises(ValueError, match=r"`r` \(=5\) must be one of the shipped factors"):
        torch.hub.load(str(ROOT), "espcn", source="local", r=5)


def test_hub_refuses_a_compression_that_it_can_not_heed() -> None:
    rule = r"`compression` \(=50\) must be left out with `pretrained` \(=False\): it chooses"
    with pytest.raises(ValueError, match=rule):
        torch.hub.load(str(ROOT), "espcn", source="local", pretrained=False, compression=50)
    with pytest.raises(ValueError, match=r"`compression` \(='50'\) must be a whole number of"):
        torch.hub.load(str(ROOT), "espcn", source="local", compression="50")


def test_hub_has_what_upscales_pictures() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    large = torch.hub.load(str(ROOT), "upscaler", source="local", r=2)(picture)
    assert np.array_equal(large, Upscaler(2)(picture))


def test_hub_finds_the_package_from_any_folder(tmp_path: Path) -> None:
    script = f"import torch; print(torch.hub.load({str(ROOT)!r}, 'espcn', source='local').r)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr


def in_new_process(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )


def test_dependencies_are_what_loading_imports() -> None:
    listed = runpy.run_path(str(ROOT / "hubconf.py"))["dependencies"]
    done = in_new_process(IMPORTS.replace("REPO", repr(str(ROOT))))
    assert (done.returncode, done.stdout.split()) == (0, listed), done.stderr


def test_missing_dependency_is_named_by_hub() -> None:
    script = f"""
import sys, torch
sys.modules["safetensors"] = None  # as if it were not installed
torch.hub.load({str(ROOT)!r}, "espcn", source="local")
"""
    done = in_new_process(script)
    assert "RuntimeError: Missing dependencies: safetensors" in done.stderr
