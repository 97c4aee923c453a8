"""The shipped weights for compressed sources: what they are, and which of them is chosen."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from espcn.network.strengths import (
    CHAINS,
    CLEAN,
    DETAILS,
    FINER,
    NONE,
    PER_OCTAVE,
    STEP,
    USUAL_DETAIL,
    Compression,
    Strength,
    links,
    load_strength,
    strength,
)
from espcn.network.weights import SHIPPED, factors, load
from helpers import ROOT, same_tensors

MOST_BYTES = 4_000_000  # of all shipped weights together
ENDS = {"jpeg": (100, 10), "webp": (0, 127), "avif": (0, 255), "heic": (0, 51),
        "h264": (0, 51), "hevc": (0, 51), "vp9": (0, 255), "av1": (0, 255)}  # fmt: skip


RECIPES = {"finer": "finer_x{}", "jpeg": "finetune_x{}"}  # of those that were trained twice


def assert_provenance(r: int, name: str, metadata: dict[str, str]) -> None:
    """Check what weights say they began with: the clean ones, the link before, or themselves."""
    kind, init = name.rstrip("12345"), metadata.get("init", "")
    if name == "clean":
        assert not init
        assert "earlier" not in metadata
        return
    if kind == "video":
        number = int(name[-1])
        before = "shipped" if number == 1 else f"espcn_x{r}_video{number - 1}"
        assert init.partition(", ")[0].removesuffix(".safetensors") == before
        earlier = json.loads(metadata.get("earlier", "[]"))
        # Those at r = 3 were begun with files, which don't say it.
        assert len(earlier) == (0 if r == 3 else number - 1)
        assert all(one.keys() == {"command", "training", "commit"} for one in earlier)
        commands = [*(one["command"] for one in earlier), metadata["command"]]
        for command in commands:
            assert f"experiment=finetune_video_x{r} " in command
            assert "/" not in command
        if r != 3:
            assert "init=shipped" in commands[0]
            crfs = [f"h264=[{low},{high}]" for low, high in ((14, 22), (22, 30), (30, 40))]
            assert all(crf in command for crf, command in zip(crfs, commands, strict=False))
        return
    assert not init.startswith("shipped")
    (first,) = json.loads(metadata["earlier"])
    assert first.keys() == {"command", "training", "commit"}
    assert "init=" not in first["command"]  # by its recipe, from the clean weights
    for command in (first["command"], metadata["command"]):
        assert f"experiment={RECIPES[kind].format(r)} " in command
        assert "/" not in command  # no folder of the machine it was made on


@pytest.mark.parametrize("r", [2, 3, 4])
def test_every_factor_has_both_chains_with_their_provenance(r: int) -> None:
    found = links(r)
    assert list(found) == [
        "clean", "finer1", *(f"jpeg{k}" for k in range(1, 6)), *(f"video{k}" for k in range(1, 4))
    ]  # fmt: skip
    for name, path in found.items():
        trained = load(r, path)
        assert (trained.network.r, trained.network.channels) == (r, 1)
        setting = {"jpeg": {"jpeg"}, "vide": {"h264"}}.get(name[:4], set())
        assert set(trained.degradation.settings()) == setting
        images = "T91+BSD200, 291 images" if name == "finer1" else "T91, 91 images"
        assert trained.metadata["dataset"] == images
        assert {"command", "commit", "fingerprint", "seed", "licence"} <= trained.metadata.keys()
        assert_provenance(r, name, trained.metadata)
        assert "/" not in trained.metadata["command"]  # no folder of the machine it was made on


def test_shipped_weights_stay_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.glob("*.safetensors")) < MOST_BYTES
    assert factors() == [2, 3, 4]


def test_links_are_themselves_and_between_them_lie_their_mixtures() -> None:
    clean, first = load(2).network.state_dict(), load(2, links(2)["jpeg1"]).network.state_dict()
    second = load(2, links(2)["jpeg2"]).network.state_dict()
    for level, expected in ((0.0, clean), (1.0, first), (2.0, second)):
        loaded = load_strength(2, Strength("jpeg", level)).state_dict()
        assert same_tensors(loaded, expected)
    mixed = load_strength(2, Strength("jpeg", 1.25)).state_dict()
    for name, weights in mixed.items():
        torch.testing.assert_close(weights, 0.75 * first[name] + 0.25 * second[name])


def test_a_frame_does_not_look_into_the_folder_again(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Compression("h264", 30)
    first = strength(2, frame)

    def glob(*_: object) -> None:
        pytest.fail("the folder of shipped weights was listed")

    monkeypatch.setattr(Path, "glob", glob)
    assert strength(2, frame) == first
    assert links(3)["clean"].name == "espcn_x3.safetensors"


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("codec", sorted(CHAINS))
def test_stronger_compression_takes_a_higher_level(codec: str, r: int) -> None:
    weak, strong = ENDS[codec]
    numbers = [weak + (strong - weak) * part / 20 for part in range(21)]
    chosen = [strength(r, Compression(codec, number)) for number in numbers]
    levels = [0 if one == FINER else one.level for one in chosen]
    assert all(one <= other for one, other in pairwise(levels))
    assert levels[0] < 1
    assert levels[-1] >= 1
    for one, level in zip(chosen, levels, strict=True):
        assert one.chain == (CHAINS[codec] if level else "finer")
        assert one.level / STEP == int(one.level / STEP)
        load_strength(r, one)


@pytest.mark.parametrize("codec", PER_OCTAVE)
@pytest.mark.parametrize("r", [2, 3, 4])
def test_video_of_less_detail_takes_stronger_weights(codec: str, r: int) -> None:
    middle = sum(ENDS[codec]) / 2
    unknown = strength(r, Compression(codec, middle)).level
    parts = (1e-9, DETAILS[0] / USUAL_DETAIL[r], 1, DETAILS[1] / USUAL_DETAIL[r], 1e9)
    levels = [
        strength(r, Compression(codec, middle, detail=USUAL_DETAIL[r] * part)).level
        for part in parts
    ]
    assert levels[1] > unknown == levels[2] > levels[3]
    assert (levels[0], levels[-1]) == (levels[1], levels[-2])  # what is beyond counts no more
    assert Compression(codec, middle, detail=4.0).at_detail(8.0) == middle + PER_OCTAVE[codec]


@pytest.mark.parametrize("codec", PER_OCTAVE)
def test_smooth_video_without_loss_is_clean(codec: str) -> None:
    assert strength(2, Compression(codec, 0.0, detail=DETAILS[0])) == FINER
    assert strength(2, Compression(codec, ENDS[codec][1] / 5, detail=DETAILS[0])) != FINER


def test_detail_of_pictures_counts_for_nothing() -> None:
    for codec in CHAINS.keys() - PER_OCTAVE:
        middle = sum(ENDS[codec]) / 2
        assert Compression(codec, middle, detail=1.0).at_detail(8.0) == middle


def test_no_compression_is_the_finer_weights() -> None:
    assert strength(3, NONE) == strength(3, Compression("jpeg", 100)) == FINER
    finer = load(3, links(3)["finer1"]).network.state_dict()
    assert same_tensors(load_strength(3, FINER).state_dict(), finer)
    assert str(FINER) == "finer weights"
    assert same_tensors(load_strength(3, CLEAN).state_dict(), load(3).network.state_dict())
    assert str(NONE) == "no compression"


def test_factor_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`r` \(=5\) must be one of the shipped factors"):
        load_strength(5, CLEAN)
    with pytest.raises(ValueError, match=r"`r` \(=5\) must be one of the shipped factors"):
        strength(5, Compression("jpeg", 50))
    with pytest.raises(ValueError, match=r"`codec` \(=h265\) must be one of none, jpeg"):
        Compression("h265", 30)


def test_levels_are_those_that_were_measured() -> None:
    levels = json.loads((SHIPPED / "levels.json").read_text())
    with (ROOT / "results/calibration.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(levels) == set(CHAINS)
    for codec, by_r in levels.items():
        for r, knots in by_r.items():
            measured = [row for row in rows if (row["codec"], row["r"]) == (codec, r)]
            assert [knot[0] for knot in knots] == [
                pytest.approx(float(row["number"]), abs=0.06) for row in measured
            ]
            highest = 0.0
            for (_, level), row in zip(knots, measured, strict=True):
                highest = max(highest, float(row["level"]))
                assert level == pytest.approx(highest, abs=0.006)
