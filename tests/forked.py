"""Commands in processes of their own, without the seconds that each takes to import PyTorch.

They are forks of a process that has imported what commands need, which `multiprocessing` keeps:
they can be killed, stopped and told their environment as any. What a command does as it starts is
tested by `run`. What starts processes of its own begins by `run` too: joblib's workers would never
end, as they do so when the interpreter ends, for which `multiprocessing` waits for them.
"""

import atexit
import faulthandler
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import pytest

from helpers import ENVIRONMENT, ROOT, Done

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["hydra", "espcn.training.train", "espcn.evaluation.evaluate",
     "espcn.command.cli", "espcn.upscaling.picture", "espcn.video.pipeline", "tensorboard"]
)  # fmt: skip


PATIENCE = 200  # seconds that a command may take: a machine may be busy with much else


class Forked:
    """A command at work; one that is left behind by its test is killed."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path = ROOT,
        **environment: str,
    ) -> None:
        self.arguments = arguments
        self.folder = TemporaryDirectory()
        where = Path(self.folder.name)
        self.process = _context.Process(
            target=_become, args=(arguments, cwd, ENVIRONMENT | environment, where)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", "1")  # of the process that is forked: it has no threads
            self.process.start()

    def __enter__(self) -> "Forked":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.is_alive():
            self.signal(signal.SIGKILL)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid or 0, signal.SIGKILL)  # what it has started
        self.process.join()
        self.folder.cleanup()

    def wait_until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait until something is so, and the command still at work."""
        deadline = time.monotonic() + patience
        while not condition():
            assert self.process.is_alive(), self.finish()
            assert time.monotonic() < deadline, self.finish(0)
            time.sleep(0.005)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid or 0, number)

    def finish(self, timeout: float = PATIENCE) -> Done:
        """Wait for its end; return what it has printed."""
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:  # it says where it hangs, as `faulthandler` does
            self.signal(signal.SIGABRT)
            self.process.join(10)
        out, err = ((Path(self.folder.name) / name).read_text() for name in ("out", "err"))
        assert code is not None, f"{self.arguments} has not ended: {out}{err}"
        return subprocess.CompletedProcess(self.arguments, code, out, err)


def fork(*arguments: str, timeout: float = PATIENCE, cwd: Path = ROOT, **environment: str) -> Done:
    """Run a command of the project, as `run` does, without importing PyTorch again."""
    with Forked(*arguments, cwd=cwd, **environment) as command:
        return command.finish(timeout)


def _become(
    arguments: tuple[str, ...],
    cwd: Path,
    environment: dict[str, str],
    folder: Path,
) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    faulthandler.enable(2)
    first, *rest = arguments
    sys.argv = [first, *rest] if first != "-m" else rest
    try:
        if first == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif first == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(rest[0], {"__name__": "__main__"})
        else:
            runpy.run_path(first, run_name="__main__")
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()
