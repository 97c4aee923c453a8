"""The shipped weights, and how a run's become weights to ship."""

import json
import struct
from pathlib import Path

import pytest
import torch
from conftest import Call, run
from safetensors import safe_open
from test_checkpoint import SETTINGS

from espcn.checkpoint import load_network
from espcn.model import ESPCN
from espcn.weights import save_weights


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()


@pytest.mark.parametrize("options", [{}, {"channels": 3, "padding": "zeros", "activation": "relu"}])
def test_saved_weights_are_the_folded_network(tmp_path: Path, options: dict) -> None:
    torch.manual_seed(1)
    network, path = ESPCN(3, **options), tmp_path / "new" / "a.safetensors"
    picture = torch.rand(2, network.channels, 12, 11)
    with torch.no_grad():
        expected = network(picture)
    save_weights(network, path, SETTINGS | options, {"seed": "1"})
    loaded, settings = load_network(path)
    assert settings == SETTINGS | options | {"center": 0.0, "gain": 1.0}
    with torch.no_grad():
        torch.testing.assert_close(loaded(picture), expected, atol=2e-6, rtol=0)
    assert metadata(path)["seed"] == "1"


def test_weights_of_a_run_say_where_they_come_from(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    done = call("train.py", "data=folder", f"data.path={pictures}", "max_epochs=1", "data.patch=8",
                "sets=[skimage-test]", "r=2", "seed=7", f"hydra.run.dir={tmp_path}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run("-m", "espcn.weights", str(tmp_path), str(tmp_path / "a.safetensors"))
    assert done.returncode == 0, done.stderr
    about = metadata(tmp_path / "a.safetensors")
    result = json.loads((tmp_path / "result.json").read_text())
    assert about["command"].startswith("python train.py data=folder ")
    assert (about["seed"], about["fingerprint"]) == ("7", result["fingerprint"])
    assert about["commit"] == str(result["versions"]["commit"])
    assert json.loads(about["psnr"])["skimage-test"] == pytest.approx(
        result["psnr"]["skimage-test"], abs=1e-3
    )
    network, _ = load_network(tmp_path / "a.safetensors")
    assert network.r == 2


@pytest.mark.parametrize("arguments", [[], ["nowhere"]])
def test_only_a_finished_run_gives_weights(arguments: list[str]) -> None:
    done = run("-m", "espcn.weights", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: nowhere must be" if arguments else "usage: ")


def test_hostile_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    save_weights(ESPCN(3), good, SETTINGS, {})
    content = good.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    bare = {name: value for name, value in header.items() if name != "__metadata__"}
    other = header | {"__metadata__": header["__metadata__"] | {"r": "2"}}
    named = header | {"__metadata__": header["__metadata__"] | {"activation": "os.system"}}
    overlapping = header | {"conv1.bias": header["conv1.bias"] | {"data_offsets": [0, 10**15]}}

    def packed(changed: dict) -> bytes:
        text = json.dumps(changed).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    bad = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "header": struct.pack("<Q", 2**62) + content[8:],
        "text": b"not weights at all",
        "no_metadata": packed(bare),
        "other_factor": packed(other),
        "named": packed(named),
        "overlapping": packed(overlapping),
    }
    for name, wrong in bad.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(wrong)
        with pytest.raises(
            ValueError, match=rf"`ckpt` .*{name}.safetensors\) must be a checkpoint"
        ):
            load_network(path)
