"""Checkpoints: what is ours is read, what is not is refused, and nothing in one is ever run."""

import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from espcn.network.model import ESPCN
from espcn.network.weights import DIGEST, load, shipped
from espcn.training.checkpoint_io import AtomicCheckpointIO
from helpers import CHECKPOINT_SETTINGS, same_tensors, write_checkpoint


def test_network_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    network, picture = ESPCN(3), torch.rand(1, 1, 9, 8)
    path = write_checkpoint(tmp_path / "a.ckpt", network)
    loaded, degradation, source, metadata = load(ckpt=path)
    assert loaded.settings | degradation.settings() == CHECKPOINT_SETTINGS
    assert (source, metadata) == (path, {})
    with torch.no_grad():
        assert torch.equal(loaded(picture), network(picture))


class Hostile:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("hostile-code-ran"),))


def test_pickled_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Hostile(), "hyper_parameters": CHECKPOINT_SETTINGS}, "a.ckpt")
    Path("b.ckpt").write_bytes(pickle.dumps(Hostile()))
    for name in ("a.ckpt", "b.ckpt"):
        with pytest.raises(ValueError, match="must be a checkpoint that train.py wrote"):
            load(ckpt=name)
    assert not Path("hostile-code-ran").exists()


def test_named_targets_are_not_imported(tmp_path: Path) -> None:
    hostile = {"_target_": "os.mkdir", "path": str(tmp_path / "made")}
    path = write_checkpoint(tmp_path / "a.ckpt", ESPCN(3), activation=hostile)
    with pytest.raises(ValueError, match="must be a checkpoint that train.py wrote"):
        load(ckpt=path)
    assert not (tmp_path / "made").exists()


class Large:
    def __reduce__(self) -> tuple:
        return (bytearray, (10**10,))


def test_memory_that_a_checkpoint_asks_for_is_refused(tmp_path: Path) -> None:
    # Each would take 10 GB: a call that PyTorch allows, a large factor, a compressed tensor.
    write_checkpoint(tmp_path / "call.ckpt", ESPCN(3), extra=Large())
    with pytest.raises(ValueError, match="it holds more than plain values"):
        load(ckpt=tmp_path / "call.ckpt")
    write_checkpoint(tmp_path / "factor.ckpt", ESPCN(3), r=3000)
    with pytest.raises(ValueError, match=r"`r` \(=3000\) must be at most 64"):
        load(ckpt=tmp_path / "factor.ckpt")
    whole = write_checkpoint(tmp_path / "whole.ckpt", ESPCN(3))
    with (
        zipfile.ZipFile(whole) as stored,
        zipfile.ZipFile(tmp_path / "zip.ckpt", "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in stored.namelist():
            made.writestr(name, bytes(10**6) if name.endswith("data/0") else stored.read(name))
    with pytest.raises(ValueError, match="it is compressed, which PyTorch's are not"):
        load(ckpt=tmp_path / "zip.ckpt")


def tensors(header: object, length: int | None = None, data: bytes = bytes(12)) -> bytes:
    words = json.dumps(header).encode()
    return struct.pack("<Q", len(words) if length is None else length) + words + data


@pytest.mark.parametrize(
    "content",
    [
        tensors({}, length=2**63),
        tensors({}, length=99_000_000),
        tensors({name: {"dtype": "F32", "shape": [2], "data_offsets": [begin, begin + 8]}
                 for name, begin in (("a", 0), ("b", 4))}),
        tensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        tensors({"__metadata__": {name: str(value) for name, value in CHECKPOINT_SETTINGS.items()}
                 | {"r": "3000"}}, data=b""),
    ],
    ids=["absurd length", "too long", "overlap", "beyond the end", "large factor"],
)  # fmt: skip
def test_crafted_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="must be a checkpoint that train.py wrote, or weights"):
        load(ckpt=tmp_path / "a.safetensors")


@pytest.mark.parametrize("content", [b"", b"text, not a checkpoint", b"PK\x03\x04 cut short"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`ckpt` .*a.ckpt\) must be a checkpoint"):
        load(ckpt=path)


def test_truncated_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    whole = write_checkpoint(tmp_path / "a.ckpt", ESPCN(3)).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    write_checkpoint(tmp_path / "factor.ckpt", ESPCN(2))  # weights of another factor than it says
    for name in ("cut", "foreign", "list", "factor"):
        with pytest.raises(ValueError, match="must be a checkpoint that train.py wrote"):
            load(ckpt=tmp_path / f"{name}.ckpt")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(bad: float, tmp_path: Path) -> None:
    network = ESPCN(3)
    with torch.no_grad():
        network.conv3.bias[0] = bad
    with pytest.raises(ValueError, match="its weights hold NaN or infinity"):
        load(ckpt=write_checkpoint(tmp_path / "a.ckpt", network))


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`ckpt` .*nowhere.ckpt\) must be an existing"):
        load(ckpt=tmp_path / "nowhere.ckpt")


def test_failed_saving_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", ESPCN(3))
    before = path.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        AtomicCheckpointIO().save_checkpoint({"bad": lambda: None}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["weights", "checkpoint"])
def test_file_with_a_flipped_bit_is_refused_or_loads_as_it_was(kind: str, tmp_path: Path) -> None:
    if kind == "weights":
        whole = shipped(3)
        path = tmp_path / "flipped.safetensors"
    else:
        whole = write_checkpoint(tmp_path / "whole.ckpt", load(3).network)
        path = tmp_path / "flipped.ckpt"
    expected, content = load(ckpt=whole).network.state_dict(), whole.read_bytes()
    draw = np.random.default_rng(0)
    places = [*range(0, 3000, 37), *draw.integers(0, len(content), 250), *range(-600, 0, 17)]
    refused: list[str] = []
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        try:
            network = load(ckpt=path).network
        except ValueError as error:
            refused.append(str(error))
        else:  # in a name, a time or what the file says of itself: the weights are whole
            assert same_tensors(network.state_dict(), expected)
    assert len(refused) >= 250
    assert all(str(path) in words and "\n" not in words for words in refused)


def test_each_bit_of_what_an_archive_says_of_a_part_is_harmless_or_refused(tmp_path: Path) -> None:
    # What a part is, a folder for one, stands there alone: no checksum holds for it.
    path = write_checkpoint(tmp_path / "flipped.ckpt", load(3).network)
    expected, content = load(ckpt=path).network.state_dict(), path.read_bytes()
    refused = 0
    name = content.rindex(b"/data/0")
    for place in range(content.rindex(b"PK\x01\x02", 0, name), name + len("/data/0")):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                network = load(ckpt=path).network
            except ValueError:
                refused += 1
            else:
                assert same_tensors(network.state_dict(), expected), (place, bit)
    assert refused >= 100


def test_file_of_weights_from_before_digests_loads(tmp_path: Path) -> None:
    with safe_open(shipped(2), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        said = {name: text for name, text in file.metadata().items() if name != DIGEST}
    path = tmp_path / "old.safetensors"
    path.write_bytes(save(tensors, said))
    assert same_tensors(load(ckpt=path).network.state_dict(), load(2).network.state_dict())
    path.write_bytes(save(tensors, said | {DIGEST: "0" * 64}))
    with pytest.raises(ValueError, match="it is damaged: its content is not what its digest says"):
        load(ckpt=path)
