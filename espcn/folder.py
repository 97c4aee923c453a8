"""The folder that Hydra is to make for a run or a sweep, looked at first."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from espcn.files import check_folder


class CheckFolder(Callback):
    """Hydra's callback that ends the program with one line where nothing can be written.

    Hydra itself would show the place in its own code.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at a run's folder."""
        _check("hydra.run.dir", config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at a sweep's."""
        _check("hydra.sweep.dir", config.hydra.sweep.dir)


def _check(setting: str, directory: str) -> None:
    try:
        check_folder(Path(directory), setting, directory)
    except ValueError as error:
        raise SystemExit(f"Error: {error}") from None  # all else Hydra makes into a warning
