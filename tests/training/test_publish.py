"""The shipped weights, and how a run's become weights to ship."""

import json
import os
import shlex
import struct
from pathlib import Path

import pytest
import torch

from espcn.data.datasets import load_set
from espcn.evaluation.protocol import score_mean
from espcn.imaging.degradation import BENCHMARK, Degradation
from espcn.network.model import ESPCN
from espcn.network.weights import factors, load, save_weights, shipped
from espcn.training.publish import earlier, provenance
from forked import fork
from helpers import Call, write_checkpoint

real_sets = pytest.mark.skipif("ESPCN_DATA" not in os.environ, reason="needs the image sets")


@pytest.mark.parametrize("options", [{}, {"channels": 3, "padding": "zeros", "activation": "relu"}])
def test_saved_weights_are_the_folded_network(tmp_path: Path, options: dict) -> None:
    torch.manual_seed(1)
    network, path = ESPCN(3, **options), tmp_path / "a.safetensors"
    picture = torch.rand(2, network.channels, 12, 11)
    degradation = Degradation(0.5, "decimate")
    save_weights(network, path, degradation, {"seed": "1"})
    with torch.no_grad():
        expected = network(picture)  # left as it was, float32
    loaded, undone, _, metadata = load(ckpt=path)
    assert loaded.settings == network.settings | {"center": 0.0, "gain": 1.0}
    assert undone == degradation
    with torch.no_grad():
        torch.testing.assert_close(loaded(picture), expected, atol=2e-6, rtol=0)
    assert metadata["seed"] == "1"


def test_weights_of_a_run_say_where_they_come_from(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    done = call("train.py", "data=folder", f"data.path={pictures}", "max_epochs=1", "data.patch=8",
                "sets=[skimage-test]", "r=2", "seed=7", f"hydra.run.dir={tmp_path}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = fork("-m", "espcn.training.publish", str(tmp_path), str(tmp_path / "a.safetensors"))
    assert done.returncode == 0, done.stderr
    network, _, _, about = load(ckpt=tmp_path / "a.safetensors")
    result = json.loads((tmp_path / "result.json").read_text())
    assert about["command"].startswith("python train.py data=folder ")
    assert f" data.path={pictures.name} " in about["command"]
    assert "hydra" not in about["command"]
    assert "licence" not in about  # which is theirs to choose
    assert (about["seed"], about["fingerprint"]) == ("7", result["fingerprint"])
    assert about["commit"] == str(result["versions"]["commit"])
    assert json.loads(about["psnr"])["skimage-test"] == pytest.approx(
        result["psnr"]["skimage-test"], abs=1e-3
    )
    assert network.r == 2


def test_weights_that_went_on_tell_of_their_earlier_training(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    begin: list[str] = []
    told: list[list[dict[str, str]]] = []
    for number in range(3):
        run, path = tmp_path / f"run{number}", tmp_path / f"{number}.safetensors"
        done = call("train.py", "data=folder", f"data.path={pictures}", "max_epochs=1", "r=2",
                    "data.patch=8", "sets=[]", f"seed={number}", *begin,
                    f"hydra.run.dir={run}")  # fmt: skip
        assert done.returncode == 0, done.stderr
        result = json.loads((run / "result.json").read_text())
        told.append(earlier(result))
        save_weights(load(ckpt=run).network, path, BENCHMARK, provenance(result))
        begin = [f"init={path if number else run}"]  # of a run, then of weights
    assert [len(one) for one in told] == [0, 1, 2]
    assert told[2][0] == told[1][0]
    assert all("/" not in one["command"] for one in told[2])
    assert [one["command"].count("seed=0") for one in told[2]] == [1, 0]
    assert json.loads(load(ckpt=path).metadata["earlier"]) == told[2]
    (tmp_path / "1.safetensors").unlink()
    assert earlier(result) == []
    (tmp_path / "0.safetensors").rename(tmp_path / "1.safetensors")  # others have their name
    assert earlier(result) == []


def test_published_command_names_no_folder_of_the_machine() -> None:
    pictures = "data.path='/home/me/my pictures, 2024'"
    sets = ["sets=[/home/me/mine,'/home/me/a, b',Set5]", "sets=[mine,'a, b',Set5]"]
    words = [
        "python",
        "train.py",
        "++data_dir=/home/me/sets",
        "data=folder",
        pictures,
        "init=/a.b/c.safetensors",
        sets[0],
    ]
    first = shlex.join(words)
    known = {"channels": 1, "versions": {"torch": "2", "commit": "0"}, "psnr": {}, "seed": 0}
    known |= {"psnr_matched": {}, "train_s": 1, "threads": 1, "device": "cpu", "best_epoch": 1}
    known |= {"epochs": 1, "dataset": "mine", "images": 9, "fingerprint": "0", "r": 3}
    for data_path in (pictures, "data.path=."):
        again = shlex.join(["python", "train.py", "resume=DIR", "data=folder", data_path])
        about = provenance(known | {"init": "/a.b/c.safetensors", "command": f"{first} && {again}"})
        name = "data.path='my pictures, 2024'" if data_path == pictures else data_path
        assert shlex.split(about["command"]) == [
            "python", "train.py", "data=folder", "data.path='my pictures, 2024'",
            "init=c.safetensors", sets[1], "&&", "python", "train.py", "resume=DIR", "data=folder",
            name,
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "a.safetensors"], "Error: nowhere must be the directory of a finished run"),
        (["README.md", "a.safetensors"], "Error: README.md must be the directory of a finished"),
        (
            ["nowhere", "no/a.safetensors"],
            "Error: the file (=no/a.safetensors) must be in a folder",
        ),
        (["nowhere", "a.ckpt"], "Error: the file (=a.ckpt) must end in .safetensors"),
    ],
)
def test_only_a_finished_run_gives_weights(arguments: list[str], message: str) -> None:
    done = fork("-m", "espcn.training.publish", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0)])
def test_usage_is_shown_without_a_run(arguments: list[str], code: int) -> None:
    done = fork("-m", "espcn.training.publish", *arguments)
    assert done.returncode == code
    assert (done.stderr if code else done.stdout).startswith("usage: ")


def test_run_of_an_older_version_is_told_to_be_run_anew(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"status": "completed"}')
    write_checkpoint(tmp_path / "best.ckpt", ESPCN(3))
    done = fork("-m", "espcn.training.publish", str(tmp_path), str(tmp_path / "a.safetensors"))
    assert "is of an older version: run it anew" in done.stderr
    assert not (tmp_path / "a.safetensors").exists()


def test_shipped_are_the_three_factors_of_the_paper() -> None:
    assert factors() == [2, 3, 4]


@pytest.mark.parametrize("r", [2, 3, 4])
def test_shipped_weights_are_the_papers_network_with_their_provenance(r: int) -> None:
    network, degradation, _, about = load(r)
    assert (network.r, network.channels, network.activation) == (r, 1, "tanh")
    assert degradation == BENCHMARK
    assert sum(weight.numel() for weight in network.parameters()) == 20128 + 289 * r * r
    assert about["command"] == f"python train.py experiment=best_x{r}"
    assert about["dataset"] == "T91, 91 images"
    assert about["licence"] == "MIT"
    assert {"commit", "fingerprint", "seed", "psnr"} <= about.keys()
    assert not about["commit"].endswith("+")


@real_sets
@pytest.mark.parametrize("r", [2, 3, 4])
def test_shipped_weights_reach_the_figures_in_their_metadata(r: int) -> None:
    network, _, _, about = load(ckpt=shipped(r))
    expected = json.loads(about["psnr"])
    for name in ("Set5", "Set14"):
        assert score_mean(network, load_set(name)).psnr == pytest.approx(expected[name], abs=0.005)


def test_evaluation_takes_the_shipped_weights_of_a_factor(call: Call, tmp_path: Path) -> None:
    for r, arguments in ((3, []), (2, ["r=2"])):
        done = call("evaluate.py", "sets=[skimage-test]", f"output={tmp_path / str(r)}", *arguments)
        assert done.returncode == 0, done.stderr
        assert (
            f"espcn_x{r}.safetensors, made by: python train.py experiment=best_x{r}" in done.stdout
        )
        record = json.loads((tmp_path / str(r) / "evaluation.json").read_text())
        assert record["ckpt"] == f"espcn_x{r}.safetensors"
        assert record["provenance"] == load(r).metadata
        figures = record["sets"]["skimage-test"]
        assert figures["psnr"] > figures["bicubic_psnr"] + 1


def test_missing_factor_is_named_with_those_that_there_are(call: Call, tmp_path: Path) -> None:
    done = call("evaluate.py", "r=5", "sets=[skimage-test]", f"output={tmp_path}")
    assert done.returncode == 1
    assert "`r` (=5) must be one of the shipped factors (2, 3, 4)" in done.stderr


def test_hostile_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    save_weights(ESPCN(3), good, BENCHMARK, {})
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
        if name == "no_metadata":
            with pytest.raises(ValueError, match="it does not say 'r'"):
                load(ckpt=path)
        with pytest.raises(
            ValueError, match=rf"`ckpt` .*{name}.safetensors\) must be a checkpoint"
        ):
            load(ckpt=path)
