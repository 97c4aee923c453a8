"""From stdin to stdout: the same results as from file to file, and messages elsewhere."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from espcn.command.cli import main
from espcn.io.reading import read_picture
from espcn.upscaling.upscaler import Upscaler
from helpers import ENVIRONMENT, ROOT, Call, Done, write_clip


@pytest.fixture
def photo(pictures: Path, tmp_path: Path) -> Path:
    with Image.open(pictures / "color0.png") as opened:
        opened.save(tmp_path / "my photo.jpg", quality=50)
    return tmp_path / "my photo.jpg"


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a call of the command with bytes for stdin, which returns those of stdout."""

    def script(*arguments: str | Path, content: bytes = b"") -> Done:
        streams = [io.TextIOWrapper(io.BytesIO(held)) for held in (content, b"", b"")]
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as left:
            main([str(one) for one in arguments])
        for stream in streams:
            stream.flush()
        _, out, said = (stream.buffer.getvalue() for stream in streams)  # type: ignore[attr-defined]
        told = left.value.code if isinstance(left.value.code, str) else ""
        code = 1 if told else left.value.code
        return Done(arguments, code, out, said.decode() + told)

    return script


def test_stdin_becomes_stdout_as_a_file_does(call: Call, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "upscale.py", "-", "-r", "2"], cwd=ROOT, input=photo.read_bytes(),
        env=ENVIRONMENT | {"TMPDIR": str(tmp_path / "temporary")}, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "temporary").iterdir())
    assert call("upscale.py", str(photo), "-r", "2").returncode == 0
    assert done.stdout == photo.with_name("my photo_x2.jpg").read_bytes()
    said = done.stderr.decode()
    assert "stdin: JPEG of quality 50, weights jpeg" in said
    assert "Written to stdout in" in said
    assert str(tmp_path) not in said


def test_format_can_be_another(piped: Call, photo: Path) -> None:
    done = piped(photo, "-o", "-", "--format", "png", "--compression", "none")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(read_picture(done.stdout), Upscaler(3)(read_picture(photo)))
    assert f"{photo}: no compression" not in done.stderr
    assert "Written to stdout in" in done.stderr


def test_hidden_file_goes_to_stdout_too(piped: Call, photo: Path) -> None:
    hidden = photo.rename(photo.with_name(".hidden.jpg"))
    done = piped(hidden, "-o", "-", "-r", "2")
    assert done.returncode == 0, done.stderr
    assert read_picture(done.stdout).shape == (192, 192, 3)


def test_stdin_becomes_a_file(piped: Call, photo: Path, tmp_path: Path) -> None:
    done = piped("-", "-o", tmp_path / "large.png", content=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    assert f"Written to {tmp_path}/large.png" in done.stdout.decode()
    assert read_picture(tmp_path / "large.png").shape == (288, 288, 3)
    done = piped("-", "-o", f"{tmp_path}/", content=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "stdin_x3.jpg").exists()


def test_video_goes_to_stdout_but_does_not_come_from_stdin(piped: Call, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", count=2)
    done = piped(clip, "-o", "-", "--preset", "ultrafast")
    assert done.stdout.startswith(b"\x1aE\xdf\xa3")  # EBML, as Matroska is
    done = piped("-", content=clip.read_bytes())
    assert done.returncode == 1
    assert done.stdout == b""
    assert "Error: stdin must be a picture (PNG, JPEG" in done.stderr
    assert "a video must be a file" in done.stderr


def test_what_goes_wrong_leaves_stdout_empty(piped: Call, photo: Path, tmp_path: Path) -> None:
    content = photo.read_bytes()
    for arguments, given, words in (
        (["-"], content[:1500], "Error: stdin is damaged or cut short"),
        (["-"], b"", "Error: stdin must be a picture, but is empty"),
        (["-", str(photo)], content, "Error: `-` must be the only file"),
        ([str(tmp_path), "-o", "-"], b"", "Error: `-o -` takes the result of a single file"),
        (["-", "--width", "9"], content, "Error: stdin: it is already 96 x 96 pixels"),
    ):
        done = piped(*arguments, content=given)
        assert (done.returncode, done.stdout) == (1, b""), done.stderr
        assert words in done.stderr


def test_terminal_is_no_place_for_a_picture(photo: Path) -> None:
    master, slave = pty.openpty()
    for arguments, words in (
        ([str(photo), "-o", "-"], b"stdout must not be a terminal"),
        (["-", "-o", "a.png"], b"stdin must be a picture: pipe one into this command"),
    ):
        done = subprocess.run(
            [sys.executable, "upscale.py", *arguments], cwd=ROOT, env=ENVIRONMENT, stdin=slave,
            stdout=slave, stderr=subprocess.PIPE, timeout=120,
        )  # fmt: skip
        assert done.returncode == 1
        assert words in done.stderr
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize(
    ("closed", "arguments", "words"),
    [
        ("<&-", ["-", "-o", "a.png"], "stdin must be a picture"),
        (">&-", ["a.png", "-o", "-"], "stdout must be open"),
    ],
)
def test_closed_stream_is_named(
    closed: str, arguments: list[str], words: str, tmp_path: Path
) -> None:
    command = [sys.executable, str(ROOT / "upscale.py"), *arguments]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command], cwd=tmp_path, env=ENVIRONMENT,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"Error: {words}" in done.stderr
    assert "Traceback" not in done.stderr


def test_reader_that_leaves_early_is_told(photo: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "upscale.py", str(photo), "-o", "-", "--format", "bmp"],
        cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait(60) == 1
    assert "Error: stdout was closed before all of the result was written" in said
    assert "BrokenPipe" not in said
    process.stderr.close()
