"""The command people use: from files to files, and one clear line for what goes wrong."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from espcn.command.cli import ENGINES, FACTORS
from espcn.command.job import Job, stamp
from espcn.command.records import Standing, kept_segments, standing, write_record
from espcn.io.claims import claim
from espcn.io.reading import read_picture
from espcn.network.backends import BACKENDS
from espcn.network.engine import PRECISIONS
from espcn.network.model import ESPCN
from espcn.network.weights import factors, load
from espcn.upscaling.compression import picture_compression
from espcn.upscaling.upscaler import Upscaler
from forked import Forked
from helpers import (
    ENVIRONMENT,
    ROOT,
    Call,
    check_failed,
    run,
    tiny_run,
    write_checkpoint,
    write_clip,
)


@pytest.fixture
def photos(tmp_path: Path, pictures: Path) -> Path:
    """Return a folder of two photographs, one in a sub-folder, names as people give them."""
    folder = tmp_path / "my photos, 2024"
    for name, source in (("Élan 'vital' [1].png", "color0.png"), ("sub/b=c & d.jpg", "color1.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(pictures / source).save(path)
    return folder


def files(folder: Path) -> list[str]:
    """Return the files of a folder and its subfolders, but for the records beside results."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parent.name != ".espcn")


def test_folder_is_upscaled_and_then_left_alone(call: Call, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "big"
    done = call("upscale.py", str(photos), "-r", "2", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert "Upscaling 2 pictures by 2 with torch" in done.stdout
    assert files(out) == ["sub/b=c & d_x2.jpg", "Élan 'vital' [1]_x2.png"]
    large = read_picture(out / "Élan 'vital' [1]_x2.png")
    assert np.array_equal(large, Upscaler(2)(read_picture(photos / "Élan 'vital' [1].png")))
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    done = call("upscale.py", str(photos), "-r", "2", "-o", str(out))
    assert done.returncode == 0
    assert "Skipped existing results: 2 pictures (--overwrite" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == kept
    done = call("upscale.py", str(photos), "-r", "2", "-o", str(out), "--precision", "int4")
    check_failed(done, "`precision` (=int4) must be one of")  # though there is nothing to do
    done = call("upscale.py", str(photos), "-r", "2", "-o", str(out), "--overwrite")
    assert "Upscaling 2 pictures" in done.stdout


def test_result_of_another_precision_is_made_anew(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    command = ("upscale.py", str(pictures / "color2.png"), "-r", "2", "-o", f"{tmp_path}/a.png")
    made = []
    for precision in ("float32", "int8", "int8", "float32"):
        done = call(*command, "--precision", precision)
        assert done.returncode == 0, done.stderr
        assert ("Skipped existing results" in done.stdout) == (len(made) == 2)
        made.append((tmp_path / "a.png").read_bytes())
    assert made[0] == made[3] != made[1] == made[2]


def test_result_of_something_else_is_made_anew(
    call: Call, pictures: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "big"
    source, result = photos / "sub/b=c & d.jpg", out / "sub/b=c & d_x2.jpg"

    def again(*arguments: str) -> str:
        done = call("upscale.py", str(photos), "-r", "2", "-o", str(out), *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    again()
    source.touch()  # a later time alone is no change
    assert "Skipped existing results: 2 pictures" in again()
    small = result.stat().st_size
    Image.open(pictures / "color2.png").resize((40, 30)).save(source)
    said = again()
    assert said.index("Skipped existing results") < said.index("Upscaling")
    assert "Redoing 1 picture: the source has changed\n" in said
    assert "Skipped existing results: 1 picture" in said
    assert read_picture(result).shape == (60, 80, 3)
    said = again("--quality", "40")
    assert "Redoing 1 picture: the settings have changed\n" in said  # a PNG has no quality
    assert result.stat().st_size < small
    alone = read_picture(result).astype(int)
    said = again("--quality", "40", "--ensemble")
    assert "Upscaling 2 pictures by 2 with torch" in said
    assert ", the mean of eight\n" in said
    assert "Redoing 2 pictures: the settings have changed\n" in said
    assert 0 < np.abs(read_picture(result) - alone).mean() < 3
    for name in ("one", "other"):
        torch.manual_seed(len(name))
        write_checkpoint(tmp_path / f"{name}.ckpt", ESPCN(2), r=2)
    own = ("--compression", "none", "--quality", "40", "--ckpt", str(tmp_path / "one.ckpt"))
    assert "Redoing 2 pictures: the settings have changed\n" in again(*own)
    own = (*own[:-1], str(tmp_path / "other.ckpt"))
    assert "Redoing 2 pictures: the weights have changed\n" in again(*own)
    result.write_bytes(b"somebody else's")
    assert "2 pictures (--overwrite replaces them)" in again(*own)
    assert result.read_bytes() == b"somebody else's"


def test_result_of_another_source_is_kept_and_told(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
    shutil.copy(pictures / "color0.png", tmp_path / "day1/a.png")
    shutil.copy(pictures / "color1.png", tmp_path / "day2/a.png")
    out = tmp_path / "big"
    assert call("upscale.py", str(tmp_path / "day1"), "-r", "2", "-o", str(out)).returncode == 0
    before = (out / "a_x2.png").read_bytes()
    done = call("upscale.py", str(tmp_path / "day2"), "-r", "2", "-o", str(out))
    check_failed(done, f"{out}/a_x2.png was made from a different file than {tmp_path}/day2/a.png")
    assert (out / "a_x2.png").read_bytes() == before
    # Sources and results may move together.
    for name in ("day1", "big"):
        (tmp_path / "moved").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = tmp_path / "moved"
    done = call("upscale.py", str(moved / "day1"), "-r", "2", "-o", str(moved / "big"))
    assert "Skipped existing results: 1 picture" in done.stdout
    (moved / "day1").rename(moved / "renamed")  # the same picture, elsewhere
    done = call("upscale.py", str(moved / "renamed"), "-r", "2", "-o", str(moved / "big"))
    assert "Skipped existing results: 1 picture" in done.stdout


def test_source_that_changes_meanwhile_is_upscaled_again(pictures: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "a_x2.png"
    shutil.copy(pictures / "color0.png", source)
    shutil.copy(pictures / "color1.png", target)
    job, before = Job(source, target), stamp(source)
    write_record(job, {"r": 2}, before)
    assert standing(job, {"r": 2}) == Standing.KEPT
    assert standing(job, {"r": 3}) == Standing.SETTINGS
    assert standing(job, {"r": 2, "weights": "of another digest"}) == Standing.WEIGHTS
    shutil.copy(pictures / "color2.png", source)
    assert standing(job, {"r": 2}) == Standing.SOURCE
    with pytest.raises(OSError, match="has changed while it was upscaled"):
        write_record(job, {"r": 2}, before)
    assert standing(job, {"r": 2}) == Standing.SOURCE  # what it was made from is gone


@pytest.mark.slow
def test_commands_on_the_same_files_leave_them_whole(photos: Path, tmp_path: Path) -> None:
    write_clip(photos / "clip.mkv", count=30, size=(64, 48))
    out, commands = tmp_path / "big", []
    for compression in ("none", "40", "none"):
        command = [sys.executable, "upscale.py", str(photos), "-o", str(out), "--compression"]
        commands.append(
            subprocess.Popen(
                [*command, compression, "--preset", "ultrafast"], cwd=ROOT, env=ENVIRONMENT,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    done = skipped = 0
    for command in commands:
        said, problems = command.communicate(timeout=300)
        finished = re.search(r"Done: (\d) of 3 files", said)
        done += int(finished[1]) if finished else 0
        skipped += said.count("written by another command")  # now, or since it was planned
        other = problems.count("from other sources or settings: run this one again")
        assert problems.count("Error: ") == other, problems
        assert command.returncode == (1 if other else 0)
        assert "Traceback" not in problems
    assert done >= 3  # more, if one begins when another has ended
    assert done + skipped <= 9
    assert files(out) == ["clip_x3.mkv", "sub/b=c & d_x3.jpg", "Élan 'vital' [1]_x3.png"]
    assert not [path for path in out.rglob(".*") if path.name != ".espcn"]
    for name in files(out)[1:]:
        read_picture(out / name)
    with av.open(str(out / "clip_x3.mkv")) as made:
        assert sum(1 for _ in made.decode(video=0)) == 30


def test_what_another_command_does_is_skipped_and_no_error(
    call: Call, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        shutil.copy(pictures / f"color{number}.png", tmp_path / f"{number}.png")
    target = tmp_path / "0_x3.png"
    with claim(target):
        done = call("upscale.py", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert f"Skipped: {target} is being written by another command\n" in done.stdout
    assert "Done: 1 of 2 files" in done.stdout
    assert not target.exists()
    done = call("upscale.py", str(tmp_path / "0.png"))
    written, job = target.read_bytes(), Job(tmp_path / "0.png", target)
    settings = json.loads((tmp_path / ".espcn/0_x3.png.json").read_text())["settings"]

    @contextlib.contextmanager
    def late(path: Path) -> Iterator[bool]:
        """Let another command write the result when this one is about to."""
        target.write_bytes(written)
        write_record(job, settings, stamp(job.source))
        with claim(path) as mine:
            yield mine

    monkeypatch.setattr("espcn.command.batch.claim", late)
    words = f"{target} was written by another command in the meantime"
    target.unlink()
    done = call("upscale.py", str(job.source))
    assert done.returncode == 0, done.stderr
    assert f"Skipped: {words}\n" in done.stdout
    target.unlink()
    done = call("upscale.py", str(job.source), "--compression", "40")
    check_failed(done, f"{words}, from other sources or settings: run this one again")
    assert target.read_bytes() == written


def test_many_that_another_command_does_are_counted(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as claims:
        for number in range(6):
            shutil.copy(pictures / "grey0.png", tmp_path / f"{number}.png")
            claims.enter_context(claim(tmp_path / f"{number}_x3.png"))
        done = call("upscale.py", str(tmp_path))
    assert done.returncode == 0
    assert "Skipped: 6 files that another command writes or has written\n" in done.stdout


def test_pictures_and_a_video_at_once(call: Call, photos: Path) -> None:
    write_clip(photos / "clip.mp4", count=3)
    done = call("upscale.py", str(photos), "--preset", "ultrafast", "--precision", "float32")
    assert done.returncode == 0, done.stderr
    assert "Upscaling 2 pictures and 1 video by 3 with torch, float32" in done.stdout
    with av.open(str(photos / "clip_x3.mp4")) as made:
        assert made.streams.video[0].width == 144
    assert read_picture(photos / "sub/b=c & d_x3.jpg").shape == (288, 288, 3)


def test_bad_files_are_named_at_the_end_and_the_others_are_done(call: Call, photos: Path) -> None:
    (photos / "empty.png").touch()
    (photos / "text.jpg").write_text("not a picture")
    Image.new("RGB", (20, 20)).save(
        photos / "moves.gif", save_all=True, append_images=[Image.new("RGB", (20, 20), "red")]
    )
    Image.new("L", (20, 20)).save(
        photos / "pages.tif", save_all=True, append_images=[Image.new("L", (20, 20), 9)]
    )
    (photos / "sub/clip.mkv").write_bytes(b"no video")
    done = call("upscale.py", str(photos), str(photos / "gone.png"))
    assert sorted(files(photos))[-1].endswith("Élan 'vital' [1]_x3.png")
    assert (photos / "sub/b=c & d_x3.jpg").exists()
    assert (photos / "moves_x3.gif").exists()
    said = sorted(line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert done.returncode == 1
    for line, words in zip(
        said,
        ("empty.png is empty", "gone.png must be an existing file",
         "pages.tif has 2 frames or pages", "clip.mkv is not a complete video",
         "text.jpg is not a complete picture"),
        strict=True,
    ):  # fmt: skip
        assert words in line
    assert not [name for name in files(photos) if "part" in name]


def test_result_of_an_animated_gif_can_be_named(call: Call, tmp_path: Path) -> None:
    source, target, still = tmp_path / "a.gif", tmp_path / "new/b.gif", tmp_path / "still.gif"
    Image.new("RGB", (20, 20)).save(
        source, save_all=True, append_images=[Image.new("RGB", (20, 20), "red")]
    )
    done = call("upscale.py", str(source), "-o", str(target))
    assert done.returncode == 0, done.stderr
    with Image.open(target) as made:
        assert (made.size, getattr(made, "n_frames", 1)) == ((60, 60), 2)
    Image.new("RGB", (20, 20)).save(still)
    assert "must end in .png" in call("upscale.py", str(still), "-o", str(target)).stderr


def test_animation_keeps_its_format_whatever_it_is_called(call: Call, tmp_path: Path) -> None:
    source, frames = (
        tmp_path / "moving.jpg",
        [Image.new("RGB", (20, 20), c) for c in ("red", "tan")],
    )
    frames[0].save(source, "WEBP", save_all=True, append_images=frames[1:])
    done = call("upscale.py", str(tmp_path), "--format", "png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "moving_x3.webp") as made:
        assert (made.format, getattr(made, "n_frames", 1)) == ("WEBP", 2)
    words = f"`--format` (=png) can't hold {source}, an animation: leave it out"
    check_failed(call("upscale.py", str(source), "--format", "png"), words)
    words = f"`-o` (={tmp_path / 'b.png'}) must end in .webp, as {source} is an animation"
    check_failed(call("upscale.py", str(source), "-o", str(tmp_path / "b.png")), words)
    done = call("upscale.py", str(source), "--preview", "-o", str(tmp_path / "b.gif"))
    check_failed(done, f"`-o` (={tmp_path / 'b.gif'}) must end in .png .jpg")


def test_video_that_another_command_is_at_work_on_keeps_its_segments(
    call: Call, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "clip.mkv", 3, (32, 32))
    assert call("upscale.py", str(source)).returncode == 0
    left = tmp_path / ".espcn/clip_x3.mkv.segments/000000"
    left.parent.mkdir()
    left.touch()
    with claim(tmp_path / "clip_x3.mkv") as mine:  # which makes it anew, say
        assert mine
        assert "Skipped existing results" in call("upscale.py", str(source)).stdout
        assert left.exists()
    assert call("upscale.py", str(source)).returncode == 0
    assert not left.exists()


def test_finished_video_is_the_same_on_every_processor(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_clip(tmp_path / "clip.mkv", 3, (32, 32))
    for capability in ("AVX2", "AVX512"):
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda said=capability: said)
        done = call("upscale.py", str(source))
        assert ("Skipped existing results" in done.stdout) == (capability == "AVX512")


def test_records_of_videos_are_judged_without_pytorch() -> None:
    code = "import sys, espcn.video.encoding; sys.exit('torch' in sys.modules)"
    assert run("-c", code).returncode == 0


def test_results_of_ones_own_weights_do_not_depend_on_the_compression(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    own = write_checkpoint(tmp_path / "own.ckpt", ESPCN(3))
    made = ["-o", str(tmp_path / "a.png")]
    command = ("upscale.py", str(pictures / "color2.png"), "--ckpt", str(own), *made)
    assert call(*command).returncode == 0
    assert "Skipped existing results" in call(*command, "--compression", "none").stdout


def test_run_without_its_best_weights_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    command = ("upscale.py", str(tmp_path / "a.png"), "--ckpt", str(tmp_path / "run"))
    for more in ((), ("--width", "99")):
        words = f"`ckpt` (={tmp_path}/run/best.ckpt) must be an existing file"
        check_failed(call(*command, *more), words)


def test_what_a_format_cannot_hold_is_noted(call: Call, tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (9, 9, 9, 9)).save(tmp_path / "clear.png")
    done = call("upscale.py", str(tmp_path), "--format", "jpg")
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == (
        f"Note: {tmp_path}/clear_x3.jpg is without its transparency, which JPEG can't hold: it "
        "is now on white"
    )


def test_shards_do_the_work_together(call: Call, photos: Path) -> None:
    for number in range(2):
        done = call("upscale.py", str(photos), "--shard", f"{number}/2")
        assert "Upscaling 1 picture by 3" in done.stdout
    assert len(files(photos)) == 4
    done = run("upscale.py", str(photos), "--shard", "2/2")
    assert done.returncode == 2
    assert "'2/2' must be I/N, with I from 0 to N - 1, like 0/4" in done.stderr


def test_sizes_are_met_and_made_anew_when_they_change(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    Image.open(pictures / "color0.png").save(tmp_path / "a.png")  # 96 x 96
    Image.new("L", (300, 50)).save(tmp_path / "wide.png")
    write_clip(tmp_path / "clip.mp4", count=3)  # 48 x 32
    done = call("upscale.py", str(tmp_path), "--width", "240", "--preset", "ultrafast")
    assert done.returncode == 0, done.stderr
    assert "Upscaling 2 pictures and 1 video to a width of 240 with torch" in done.stdout
    assert "Note: " + str(tmp_path / "wide.png") + ": it is already 300 x 50 pixels" in done.stderr
    assert read_picture(tmp_path / "a_240w.png").shape == (240, 240, 3)
    assert not (tmp_path / "wide_240w.png").exists()
    with av.open(str(tmp_path / "clip_240w.mp4")) as made:
        assert (made.streams.video[0].width, made.streams.video[0].height) == (240, 160)
    done = call("upscale.py", str(tmp_path), "--width", "240", "--preset", "ultrafast")
    assert "Skipped existing results: 1 picture and 1 video" in done.stdout
    done = call("upscale.py", str(tmp_path / "a.png"), "--to", "HD", "--suffix", "_240w")
    assert "Redoing " in done.stdout
    assert read_picture(tmp_path / "a_240w.png").shape == (720, 720, 3)
    done = call("upscale.py", str(tmp_path / "wide.png"), "--width", "300")
    check_failed(done, "not smaller than requested (to a width of 300): it is left unchanged")


def test_scale_by_a_factor_is_that_factor(call: Call, photos: Path) -> None:
    assert list(FACTORS) == factors()
    assert call("upscale.py", str(photos), "--scale", "2").returncode == 0
    done = call("upscale.py", str(photos), "-r", "2")
    assert "Skipped existing results: 2 pictures" in done.stdout
    done = run("upscale.py", str(photos), "-r", "2", "--to", "4k")
    assert done.returncode == 2
    assert "not allowed with argument" in done.stderr


def test_own_weights_bring_their_factor(call: Call, photos: Path) -> None:
    ckpt = str(ROOT / "espcn/network/pretrained/espcn_x4.safetensors")
    done = call("upscale.py", str(photos / "sub"), "--ckpt", ckpt)
    assert done.returncode == 0, done.stderr
    assert read_picture(photos / "sub/b=c & d_x4.jpg").shape == (384, 384, 3)
    check_failed(
        call("upscale.py", str(photos), "--ckpt", ckpt, "-r", "3"), "must be the factor of"
    )


def test_network_of_the_notebook_upscales_pictures_but_no_video(
    call: Call, pictures: Path, photos: Path, tmp_path: Path
) -> None:
    settings = {"channels": 3, "padding": "zeros", "hydra.run.dir": tmp_path / "run"}
    done = call("train.py", *tiny_run(pictures, **settings))
    assert done.returncode == 0, done.stderr
    Image.open(pictures / "grey0.png").save(photos / "grey.png")
    write_clip(photos / "clip.mkv", count=3)
    done = call("upscale.py", str(photos), "--ckpt", str(tmp_path / "run"))
    check_failed(
        done, f"{photos}/clip.mkv: only the luma of a video is upscaled, but the network in"
    )
    assert read_picture(photos / "grey_x3.png").shape == (288, 288, 1)
    colors = read_picture(photos / "Élan 'vital' [1]_x3.png")
    trained = load(ckpt=tmp_path / "run").network
    small = torch.from_numpy(read_picture(photos / "Élan 'vital' [1].png"))
    with torch.no_grad():
        wanted = 255 * trained(small.permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0).numpy()
    assert np.abs(colors - wanted.clip(0, 255)).mean() < 0.5
    assert not (photos / "clip_x3.mkv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--width", "0"], "`width` (=0) must be a whole number of at least 1"),
        (["--scale", "0.5"], "`scale` (=0.5) must be a number above 1"),
        (["--to", "2k"], "`to` (=2k) must be hd or 720p (1280 x 720), fullhd or 1080p"),
        (["--scale", "17"], "`scale` (=17) must be at most 16: choose less"),
        (["-r", "7"], "`-r` (=7) must be 2, 3 or 4: use --scale 7"),
        (["-r", "30"], "`-r` (=30) must be 2, 3 or 4: choose one of them"),
        (["--engine", "warp"], "`engine` (=warp) must be one of auto, torch"),
        (["--precision", "int4"], "`precision` (=int4) must be one of auto, float32"),
        (["--device", "tpu"], "`device` (=tpu) must be one of auto, cpu, cuda"),
        (["--codec", "libfoo"], "`codec` (=libfoo) must be an available encoder: choose one of"),
        (["--crf", "99"], "`crf` (=99) must be at most 51 with libx264: 18 is the default"),
        (["--quality", "0"], "`quality` (=0) must be a whole number of at least 1"),
        (["--ckpt", "nowhere.ckpt"], "`ckpt` (=nowhere.ckpt) must be an existing file"),
        (["--ckpt", "no.ckpt", "--to", "hd"], "`ckpt` (=no.ckpt) must be an existing file"),
        (["--format", "psd"], "`--format` (=psd) must be one of png jpg"),
        (["--compression", "strong"], "`compression` (=strong) must be auto, none or a quality"),
        (["--compression", "0"], "`compression` (=0) must be a whole number of at least 1"),
        (["-o", "upscale.py/folder"], "`-o` (=upscale.py/folder) must be a folder that can be"),
    ],
)
def test_bad_settings_are_named(call: Call, photos: Path, arguments: list[str], words: str) -> None:
    before = files(photos)
    check_failed(call("upscale.py", str(photos), *arguments), words)
    assert files(photos) == before


def test_quality_that_an_encoder_has_not_is_told_once(call: Call, tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mp4"):
        write_clip(tmp_path / name, count=2)
    for arguments in (["--crf", "60"], ["--crf", "18", "--preset", "13"]):
        done = call("upscale.py", str(tmp_path), *arguments)
        check_failed(done, f"`{arguments[-2].removeprefix('--')}` (={arguments[-1]}) must be")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "b.mp4"]


def test_engine_that_is_not_installed_is_named(
    call: Call, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espcn.network.onnx_graph.find_spec", lambda name: None)
    done = call("upscale.py", str(photos), "--engine", "openvino")
    check_failed(
        done,
        "`engine` (=openvino) needs onnx and openvino, not installed: `pip install onnx openvino`",
    )


def test_folder_without_pictures_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    check_failed(call("upscale.py", str(tmp_path)), "contains no pictures or videos")


def test_each_file_gets_the_weights_that_suit_it(call: Call, photos: Path, tmp_path: Path) -> None:
    out, jpeg = tmp_path / "out", photos / "sub/b=c & d.jpg"
    write_clip(photos / "clip.mkv", count=3)
    done = call("upscale.py", str(photos), "-r", "2", "-o", str(out), "--format", "png")
    assert done.returncode == 0, done.stderr
    assert files(out) == ["clip_x2.mkv", "sub/b=c & d_x2.png", "Élan 'vital' [1]_x2.png"]
    said = {line.partition(": ")[0]: line.partition(": ")[2] for line in done.stdout.splitlines()}
    assert said[str(jpeg)].startswith("JPEG of quality 75, weights jpeg ")
    assert said[str(photos / "Élan 'vital' [1].png")] == "no compression, finer weights"
    assert said[str(photos / "clip.mkv")].startswith("H.264, QP ")
    plain, large = Upscaler(2), read_picture(out / "sub/b=c & d_x2.png")
    suited = plain.suited_to(picture_compression(jpeg))
    assert np.array_equal(large, suited(read_picture(jpeg)))
    assert not np.array_equal(large, plain(read_picture(jpeg)))
    clean = read_picture(out / "Élan 'vital' [1]_x2.png")
    assert np.array_equal(clean, plain(read_picture(photos / "Élan 'vital' [1].png")))


@pytest.mark.parametrize("quality", [None, 30])
def test_compression_can_be_given(
    call: Call, photos: Path, tmp_path: Path, quality: int | None
) -> None:
    jpeg, png = photos / "sub/b=c & d.jpg", tmp_path / "a.png"
    given = "none" if quality is None else str(quality)
    done = call("upscale.py", str(jpeg), "-r", "2", "--compression", given, "-o", str(png))
    assert done.returncode == 0, done.stderr
    assert "JPEG" not in done.stdout
    found = (
        "not compressed, as given, finer"
        if quality is None
        else "quality 30, as given, weights jpeg"
    )
    assert f"{jpeg}: {found}" in done.stdout
    expected = Upscaler(2, compression=quality)(read_picture(jpeg))
    assert np.array_equal(read_picture(png), expected)


def test_full_disk_leaves_no_half_file(photos: Path) -> None:
    # A limit on the size of a file, in blocks of 1024 bytes, stands for a disk that is full.
    Image.effect_noise((300, 300), 90).convert("RGB").save(photos / "noise.png")
    write_clip(photos / "clip.mkv", count=20, size=(96, 64))
    before = files(photos)
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", sys.executable, "upscale.py", str(photos),
         "--crf", "1"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert any("noise_x3.png could not be written" in line for line in said)
    assert any("clip_x3.mkv could not be written" in line for line in said)
    assert not [name for name in files(photos) if "part" in name]
    assert set(before) <= set(files(photos))


@pytest.mark.parametrize("kind", [pytest.param("picture", marks=pytest.mark.slow), "video"])
def test_ctrl_c_leaves_no_half_file(kind: str, tmp_path: Path) -> None:
    if kind == "picture":
        Image.effect_noise((2500, 2500), 90).save(tmp_path / "noise.png")
    else:
        write_clip(tmp_path / "clip.mkv", count=2000, size=(160, 96), codec="mpeg4")
    before = files(tmp_path)
    with Forked("upscale.py", str(tmp_path), "-r", "4") as command:
        command.wait_until(lambda: list(tmp_path.glob(".*.part")))
        command.signal(signal.SIGINT)
        done = command.finish()
    assert done.returncode == 130
    assert (
        "and of a video all up to the last multiple of 250 frames: run the command again"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert [one for one in files(tmp_path) if ".segments" not in one] == list(before)


def test_ctrl_c_as_the_work_begins_stops_it(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    submit = ThreadPoolExecutor.submit

    def interrupted(*arguments: Any) -> None:
        submit(*arguments)
        raise KeyboardInterrupt

    write_clip(tmp_path / "clip.mkv", count=500)
    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    assert call("upscale.py", str(tmp_path), "-r", "2").returncode == 130
    assert not (tmp_path / "clip_x2.mkv").exists()


def test_first_picture_needs_no_lightning_nor_compiler() -> None:
    script = (
        "import sys; from espcn import Upscaler; import numpy as np, espcn.command.cli,"
        "espcn.upscaling.picture; Upscaler(3)(np.zeros((9, 9, 3), 'uint8'));"
        "print([name for name in ('pytorch_lightning', 'lightning_fabric', 'torch._inductor',"
        "'skimage.io', 'matplotlib', 'onnx', 'hydra') if name in sys.modules])"
    )
    done = run("-c", script)
    assert done.stdout == "[]\n", done.stderr


def test_engines_are_those_that_there_are() -> None:
    """The command lists them itself, as it checks what is asked for before it loads PyTorch."""
    assert ENGINES["engine"] == ("auto", *BACKENDS)
    assert ENGINES["precision"] == ("auto", *PRECISIONS)


def test_help_says_what_there_is() -> None:
    done = run("upscale.py", "--help")
    assert done.returncode == 0
    options = (
        "-r --scale --width --height --to -o --ckpt --overwrite --shard --engine --precision "
        "--device --codec --crf --preset --preview"
    )
    for word in (*options.split(), "--quality", "photo_x3.jpg", "(default: 95)", "4k or 2160p"):
        assert word in done.stdout
    assert "%(" not in done.stdout


@pytest.mark.parametrize("name", ["espcn-upscale", "espcn-export"])
def test_commands_are_installed(name: str) -> None:
    command = Path(sys.executable).with_name(name)
    done = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {name} ")


def test_any_name_is_printed_where_stdout_is_not_utf_8(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "写真.png")
    done = run("upscale.py", str(tmp_path / "写真.png"), "-r", "2", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    assert "\\u5199\\u771f.png" in done.stdout
    assert (tmp_path / "写真_x2.png").is_file()
    assert len(list((tmp_path / ".espcn").iterdir())) == 1  # its record


def test_result_may_be_on_another_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, start: Path) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr("espcn.command.records.os.path.relpath", refuse)
    job = Job(tmp_path / "a.png", tmp_path / "big/a_x2.png")
    for file in (job.source, job.target):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    write_record(job, {"r": 2}, stamp(job.source))
    assert standing(job, {"r": 2}) == Standing.KEPT
    assert standing(job, {"r": 3}) == Standing.SETTINGS
    assert kept_segments(job, {"r": 2}).count() == 0
