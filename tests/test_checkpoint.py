"""Checkpoints: what is ours is read, what is not is refused, and nothing in one is ever run."""

import pickle
from pathlib import Path

import pytest
import torch

from espcn.checkpoint import load_network
from espcn.model import ESPCN
from espcn.trainer import WholeFileIO

SETTINGS = {
    "r": 3, "channels": 1, "activation": "tanh", "padding": "replicate", "center": 0.45,
    "gain": 5.0, "blur": 0.5, "downsample": "decimate",
}  # fmt: skip


def written(path: Path, network: ESPCN, **changes: object) -> Path:
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    content = {"state_dict": weights, "hyper_parameters": SETTINGS | changes}
    WholeFileIO().save_checkpoint(content, path)
    return path


def test_network_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    network, picture = ESPCN(3), torch.rand(1, 1, 9, 8)
    loaded, settings = load_network(written(tmp_path / "a.ckpt", network))
    assert settings == SETTINGS
    with torch.no_grad():
        assert torch.equal(loaded(picture), network(picture))


class Hostile:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("hostile-code-ran"),))


def test_pickled_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Hostile(), "hyper_parameters": SETTINGS}, "a.ckpt")
    Path("b.ckpt").write_bytes(pickle.dumps(Hostile()))
    for name in ("a.ckpt", "b.ckpt"):
        with pytest.raises(ValueError, match="must be a checkpoint that train.py wrote"):
            load_network(name)
    assert not Path("hostile-code-ran").exists()


def test_named_targets_are_not_imported(tmp_path: Path) -> None:
    hostile = {"_target_": "os.mkdir", "path": str(tmp_path / "made")}
    path = written(tmp_path / "a.ckpt", ESPCN(3), activation=hostile)
    with pytest.raises(ValueError, match="must be a checkpoint that train.py wrote"):
        load_network(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"text, not a checkpoint", b"PK\x03\x04 cut short"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`ckpt` .*a.ckpt\) must be a checkpoint"):
        load_network(path)


def test_truncated_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.ckpt", ESPCN(3)).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    written(tmp_path / "factor.ckpt", ESPCN(2))  # weights of another factor than it says
    for name in ("cut", "foreign", "list", "factor"):
        with pytest.raises(ValueError, match="must be a checkpoint that train.py wrote"):
            load_network(tmp_path / f"{name}.ckpt")


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`ckpt` .*nowhere.ckpt\) must be an existing"):
        load_network(tmp_path / "nowhere.ckpt")


def test_failed_saving_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ckpt", ESPCN(3))
    before = path.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        WholeFileIO().save_checkpoint({"bad": lambda: None}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
