"""The command `export.py`: what it writes and says, and how it fails."""

from pathlib import Path

import onnx
import onnxruntime
import pytest

from espcn.export.formats import FORMATS
from espcn.network.weights import shipped
from helpers import Call, run


def test_file_is_written_and_said_to_be_checked(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "a.ONNX"
    done = call("export.py", "-r", "2", "-o", str(path))
    written = "Written to {} with the clean weights of T91".format
    check = f"checked by ONNX Runtime {onnxruntime.__version__}"
    assert (done.returncode, done.stdout) == (0, f"{written(path)}, {check}\n")


def test_quality_chooses_the_weights_and_is_written_down(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "jpeg.onnx"
    assert call("export.py", "-r", "2", "--compression", "50", "-o", str(path)).returncode == 0
    suits = {one.key: one.value for one in onnx.load(path).metadata_props}["degradation"]
    assert suits == "JPEGs of quality 50: weights jpeg 4"
    done = call("export.py", "-r", "2", "--compression", "none", "-o", str(path))
    assert f"Written to {path} with finer weights, for clean sources, checked by" in done.stdout
    suits = {one.key: one.value for one in onnx.load(path).metadata_props}["degradation"]
    assert suits == "clean sources: finer weights"


@pytest.mark.parametrize(("quality", "words"), [
    (50, "jpeg=[40,62]"), (100, "experiment=finer_x2"), (82, "mixed from the shipped weights: "),
])  # fmt: skip
def test_provenance_is_that_of_the_weights_that_were_taken(
    call: Call, tmp_path: Path, quality: int, words: str
) -> None:
    path = tmp_path / "a.onnx"
    call("export.py", "-r", "2", "--compression", str(quality), "-o", str(path))
    said = {one.key: one.value for one in onnx.load(path).metadata_props}
    assert words in said["command"].replace("'", "")
    assert ("fingerprint" in said) == (quality != 82)


def test_help_lists_every_ending_and_loads_no_torch() -> None:
    code = (
        "import sys; from espcn.export.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    lines = run("-c", code).stdout.splitlines()
    assert lines[-1] == "False"
    assert [line.split()[0] for line in lines if line.startswith("  .")] == list(FORMATS)


def test_what_is_wrong_is_named(call: Call, tmp_path: Path) -> None:
    endings = " or ".join(FORMATS)
    (folder := tmp_path / "x.onnx").mkdir()
    for arguments, words in (
        (["--compression", "0"], "`compression` (=0) must be a whole number of at least 1"),
        (["--compression", "50", "--ckpt", str(shipped(3))], "it must be left out with `ckpt`"),
        (["--ckpt", __file__], "must be a checkpoint that train.py wrote"),
        (["-r", "7"], "`r` (=7) must be one of the shipped factors"),
        (["-o", str(tmp_path / "a.pth")], f"a.pth) must end in {endings}: the ending chooses"),
        (["-o", str(tmp_path / "a")], f"a) must end in {endings}"),
        (["-o", str(tmp_path / "no/a.onnx")], "must be in a folder that exists"),
        (["-o", str(folder)], f"`-o` (={folder}) must be a file, but is a folder"),
        (["-r", "0"], "shipped factors (2, 3, 4): choose one\n"),
        (["--ckpt", str(tmp_path / "no.ckpt")], "must be an existing file"),
    ):
        done = call("export.py", *arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [folder]
