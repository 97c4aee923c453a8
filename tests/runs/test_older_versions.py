"""What version 0.1 wrote: its checkpoints load, its runs are resumed."""

import shutil
from pathlib import Path

from espcn.imaging.degradation import Degradation
from espcn.network.weights import load
from helpers import Call, read_run_result

OLD = Path(__file__).parent / "from_0.1/run"


def test_checkpoint_loads() -> None:
    trained = load(ckpt=OLD / "last.ckpt")
    assert trained.network.r == 2
    assert trained.degradation == Degradation(blur=0.5, downsample="decimate")


def test_run_is_resumed(call: Call, tmp_path: Path) -> None:
    run = shutil.copytree(OLD, tmp_path / "run")
    done = call("train.py", f"resume={run}", "max_epochs=2")
    assert done.returncode == 0, done.stderr
    before, now = read_run_result(OLD), read_run_result(run)
    assert (now["status"], now["epochs"], now["optim"]) == ("completed", 2, "sgd")
    assert now["val_loss"] < before["val_loss"]
    assert (run / "epochs.csv").read_text().startswith((OLD / "epochs.csv").read_text())
