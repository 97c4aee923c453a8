"""Mutation testing: does a test fail when a line of the pure modules says something else?

    pip install cosmic-ray
    python -m robustness.mutants
    python -m robustness.mutants --only resize      # the modules whose paths hold this word

Cosmic Ray changes one thing at a time in a copy of the package, and the tests of that module are
run in one process that imports the package and the tests anew each time, and torch once, whose
import takes longer than most tests. `mutants.toml` lists modules, tests and changes, and the
mutants that do the same as the original, with the reason. Survivors are printed as differences. A
run goes on where it was left, and tries again what survived; after a change of a module, remove its
file in --sessions. Writes results/mutants.csv.
"""

import argparse
import ast
import contextlib
import importlib
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from difflib import unified_diff
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult
from tqdm import tqdm

from espcn.io.atomic import write_csv
from espcn.report.tables import table
from robustness.harness import ROOT

SETTINGS = Path(__file__).with_suffix(".toml")
COPIED = ("espcn", "tests", "conf", "pyproject.toml")
# Without the plugin that collects garbage, which takes as long as the tests.
PYTEST = "-x -q -n 0 -p no:cacheprovider -p no:unraisableexception"
ANEW = re.compile(r"(espcn|tests|test_\w+|helpers|conftest)(\.|$)")  # the modules of the copy


def main() -> None:
    """Try all mutants of the modules, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="the modules whose paths hold this word")
    parser.add_argument("--sessions", type=Path, default=ROOT / "outputs/mutants")
    options = parser.parse_args()
    settings = tomllib.loads(SETTINGS.read_text())
    sessions = options.sessions.resolve()
    sessions.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("ESPCN_DATA", None)  # photographs that everybody has, and fewer
    rows = []
    with tempfile.TemporaryDirectory() as copy, contextlib.chdir(copy):
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, name)
        for module, tests in settings["tests"].items():
            session = sessions / f"{Path(module).stem}.sqlite"
            if options.only in module:
                try_mutants(module, tests, session, settings)
            if session.exists():
                rows.append(counted(module, session, settings))
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "module"}
    print(table([*rows, {"module": "all"} | total]))
    write_csv(ROOT / "results/mutants.csv", rows)


def try_mutants(module: str, tests: list[str], session: Path, settings: dict[str, Any]) -> None:
    """Try those mutants of a module that were not tried yet, or survived.

    Args:
        module: Its path in the copy, which is the working directory.
        tests: Arguments of pytest; the later ones are for what the first let pass.
        session: Where the results are kept.
        settings: Those of `mutants.toml`.
    """
    fresh = not session.exists()
    with use_db(session) as work:
        if fresh:
            init([Path(module)], work, {})
            choose(module, work, settings)
        survived = {job for job, result in work.results if survives(result)}
        todo = [item for item in work.work_items if item.job_id in survived]
        todo += list(work.pending_work_items)
        tester = Tester(tests, settings["timeout"])
        if todo and not tester.passes():
            raise RuntimeError(f"{tests} must pass before anything is changed")
        for item in tqdm(todo, desc=module, mininterval=5):
            (mutation,) = item.mutations
            operator = get_operator(mutation.operator_name)(**mutation.operator_args)
            with use_mutation(mutation.module_path, operator, mutation.occurrence) as (old, new):
                outcome = TestOutcome.SURVIVED if tester.passes() else TestOutcome.KILLED
            diff = unified_diff(old.split("\n"), new.split("\n"), module, module, lineterm="")
            result = WorkResult(WorkerOutcome.NORMAL, "", outcome, "\n".join(diff))
            work.set_result(item.job_id, result)
        # Nothing that a mutant left behind in the process made the tests of the others fail.
        if todo and not tester.passes():
            raise RuntimeError(f"{tests} must pass after all was changed back")
        tester.stop()


class Tester:
    """Runs the same tests again and again, in a process that is replaced when it hangs or dies.

    Args:
        tests: Arguments of pytest, for one run after another until one fails.
        limit: Seconds of computing that they may take.
    """

    def __init__(self, tests: list[str], limit: float) -> None:
        self._runs, self._limit = [shlex.split(f"{PYTEST} {one}") for one in tests], limit
        self._process: Any = None

    def passes(self) -> bool:
        """Return whether the tests pass with the package as it is now."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs, self._runs, self._limit))
            self._process.start()
            theirs.close()
        self._pipe.send(None)
        with contextlib.suppress(EOFError, ConnectionError):
            # Without an answer it waits for something that never comes.
            if self._pipe.poll(60 * self._limit):
                return self._pipe.recv()
        self.stop()
        return False

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def serve(pipe: Connection, runs: list[list[str]], limit: float) -> None:
    """Run pytest each time that something is received, and send whether all passed.

    Args:
        pipe: Where from and where to.
        runs: Arguments of pytest, for one run after another until one fails.
        limit: Seconds of computing after which the process ends itself: not those of a clock, which
            goes on where other work is done first.
    """
    sys.dont_write_bytecode = True  # changes come faster than the seconds of a file's time
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, until the process ends
    while True:
        pipe.recv()
        signal.setitimer(signal.ITIMER_PROF, limit)
        pipe.send(all(_passes(arguments) for arguments in runs))


def _passes(arguments: list[str]) -> bool:
    """Return whether tests pass with the package as it is on disk now."""
    for name in [name for name in sys.modules if ANEW.match(name)]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return pytest.main(list(arguments)) == 0


def choose(module: str, work: WorkDB, settings: dict[str, Any]) -> None:
    """Leave out mutants of other operators, of type annotations, and of messages of errors.

    Args:
        module: Its path in the copy.
        work: The session, with all mutants.
        settings: Those of `mutants.toml`.
    """
    operator = re.compile("|".join(f"core/{one}" for one in settings["operators"]))
    mute = list(_mute(ast.parse(Path(module).read_text())))

    def counts(mutation: MutationSpec) -> bool:
        if not operator.fullmatch(mutation.operator_name):
            return False
        return not any(begin <= mutation.start_pos < end for begin, end in mute)

    jobs = {item.job_id: item.mutations[0] for item in work.work_items}
    counted = [job for job, mutation in jobs.items() if counts(mutation)]
    # Cosmic Ray's own order is that of random names.
    counted.sort(
        key=lambda job: (jobs[job].start_pos, jobs[job].operator_name, jobs[job].occurrence)
    )
    kept = set(counted[:: settings["every"].get(module, 1)])
    work.set_multiple_results(set(jobs) - kept, WorkResult(WorkerOutcome.SKIPPED))


def counted(module: str, session: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Print a module's survivors, and count its mutants.

    Args:
        module: Its path.
        session: Where its results are kept.
        settings: Those of `mutants.toml`.

    Returns:
        A row of the table.
    """
    equivalent = (one for one in settings["equivalent"] if one["module"] == module)
    same = {line for one in equivalent for line in one["lines"]}
    with use_db(session) as work:
        results = [one for _, one in work.results if one.worker_outcome == WorkerOutcome.NORMAL]
    alive = [one for one in results if survives(one)]
    left = [one for one in alive if changed(one) not in same]
    for one in left:
        print(one.diff)
    killed, equal = len(results) - len(alive), len(alive) - len(left)
    return {
        "module": module,
        "mutants": len(results),
        "killed": killed,
        "equivalent": equal,
        "survived": len(left),
    }


def survives(result: WorkResult) -> bool:
    """Return whether the tests passed."""
    return result.test_outcome == TestOutcome.SURVIVED


def changed(result: WorkResult) -> str:
    """Return what a mutant's line says, without its indentation; nothing where one was removed."""
    lines = (result.diff or "").splitlines()[2:]
    return next((line[1:].strip() for line in lines if line.startswith("+")), "")


Span = tuple[tuple[int, int], tuple[int, int]]


def _mute(tree: ast.AST) -> Iterator[Span]:
    """Return from where to where type annotations and raised messages reach."""
    for node in ast.walk(tree):
        parts = {
            ast.FunctionDef: ("returns",),
            ast.arg: ("annotation",),
            ast.AnnAssign: ("annotation",),
            ast.Raise: ("exc",),
        }.get(type(node), ())
        for name in parts:
            part = getattr(node, name)
            if part is not None:
                yield (
                    (part.lineno, part.col_offset),
                    (part.end_lineno or 0, part.end_col_offset or 0),
                )


if __name__ == "__main__":
    main()
