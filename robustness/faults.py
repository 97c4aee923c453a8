"""What becomes of the work when a program is killed, the disk fills or the data change.

    python -m robustness.faults
    python -m robustness.faults --only kill --times 3      # the rows whose names hold this word

Each fault befalls the real commands at short real work: T91, Set5, Set14 and a clip where
ESPCN_DATA says they are, else scikit-image's photographs. A program is killed with all its
processes, at moments spread over the time that it takes when it is let alone, started again, and
must leave what it leaves then. After each fault no file under its final name may be broken. The
same seed gives the same moments, as shares of that time. Needs Linux; as root, small disks are
mounted, and what others may not do is tried as another user. Writes results/faults.csv.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from espcn.io.atomic import write_csv
from espcn.io.reading import read_picture
from espcn.report.tables import table
from robustness.harness import (
    ENVIRONMENT,
    FAULTS,
    GRACE,
    LIMIT,
    ROOT,
    Case,
    Impossible,
    attempt,
    broken,
    failed,
    fault,
    hold,
    run,
    same,
    scratch,
    started,
    stranger,
    wait_until,
)
from robustness.works import (
    PICTURES,
    PREPARING,
    SWEEP,
    TRAINING,
    VIDEO,
    clip,
    fill_disk,
    from_folder,
    kill_and_go_on,
    many_pictures,
    patches,
    some_pictures,
    states,
    stop_in_order,
    train,
    upscale,
)

ENVIRONMENT |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


# The faults


for name, work, same_as in (
    ("training", TRAINING, "weights and optimiser, bit for bit"),
    ("preparing a cache", PREPARING, "the same bytes"),
    ("sweep", SWEEP, "the same table, all jobs done"),
    ("pictures", PICTURES, "the same files, byte for byte"),
    ("video", VIDEO, "the same file, byte for byte"),
):
    fault(f"kill -9: {name}", same_as)(partial(kill_and_go_on, work))


@fault("SIGTERM: training", f"ends within {GRACE} s, goes on to the same bits", tries=5)
def _(case: Case) -> None:
    command = TRAINING.command(case.folder)
    directory = stop_in_order(case, command, "run/epochs.csv", signal.SIGTERM)
    TRAINING.goes_on(case.folder, [sys.executable, "train.py", f"resume={directory}"])


@fault("SIGUSR1: a SLURM job", "requeues, goes on in its directory to the same bits", tries=5)
def _(case: Case) -> None:
    scontrol, asked = case.folder / "bin/scontrol", case.folder / "asked.txt"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    scontrol.chmod(0o755)
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1"}
    environment = ENVIRONMENT | job | {"PATH": f"{scontrol.parent}:{os.environ['PATH']}"}
    # Without a directory of its own: the job finds it by its number.
    settings = [one for one in TRAINING.command(case.folder)[2:] if "hydra.run.dir" not in one]
    command = [sys.executable, str(ROOT / "train.py"), *settings]
    own: dict[str, Any] = {"cwd": case.folder, "env": environment}
    table = "outputs/slurm/*/epochs.csv"
    directory = stop_in_order(case, command, table, signal.SIGUSR1, **own)
    hold(asked.read_text() == "requeue 4711\n", f"asked SLURM to {asked.read_text()}")
    done = run(command, **own)
    hold(done.returncode == 0, f"did not go on: {done.stderr[-500:]}")
    hold(list(directory.parent.iterdir()) == [directory], "took another directory")
    shutil.move(directory, case.folder / "run")
    hold(not broken(case.folder), f"broken in the end: {broken(case.folder)}")
    hold(same(states(case.folder), TRAINING.alone[2]), "the outcome is another one")


for name, work, kind in (
    ("checkpoint", TRAINING, "*.ckpt"),
    ("preparing a cache", PREPARING, "*.u1"),
    ("pictures", PICTURES, "out/*"),
    ("video", VIDEO, "out/*"),
):
    fault(f"full disk: {name}", "a line says so; with room it goes on", 3)(
        partial(fill_disk, work, kind)
    )


@fault("data that change under a run", "a line names the fingerprint; given back, it goes on", 4)
def _(case: Case) -> None:
    own = Path(shutil.copytree(many_pictures(), case.folder / "pictures"))
    changed, before = own / "99.png", (own / "99.png").read_bytes()

    def change() -> None:
        changed.unlink()
        if case.number % 2:
            shutil.copy(own / "98.png", changed)

    command = from_folder(case.folder, own, "max_epochs=5")
    preparing = case.number % 4 < 2
    begun = "cache/*/done.u1" if preparing else "run/last.ckpt"
    with started(command, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: list(case.folder.glob(begun)), process)
        if preparing:
            change()
            _, said = process.communicate(timeout=LIMIT)
            hold(process.returncode == 1, f"went on with another picture: {process.returncode}")
            hold("its SHA-256 was" in said and "Traceback" not in said, said[-500:])
    if not preparing:
        kept = (case.folder / "run/last.ckpt").read_bytes()
        change()
        failed(run(command), "`data` must be the images that the run began with (fingerprint")
        hold((case.folder / "run/last.ckpt").read_bytes() == kept, "last.ckpt is another one")
    changed.write_bytes(before)
    done = run(command)
    hold(done.returncode == 0, f"did not go on: {done.stderr[-500:]}")
    hold(not broken(case.folder), f"broken: {broken(case.folder)}")
    shutil.rmtree(own)
    # Of the folder that was let alone, the patches of its only recipe: they must be the same.
    hold(same(patches(case.folder), PREPARING.alone[2]), "the patches are others")


@fault("a cache that is not whole", "prepared anew, the same bytes", tries=5)
def _(case: Case) -> None:
    shutil.copytree(PREPARING.alone[0] / "cache", case.folder / "cache")
    (where,) = case.folder.glob("cache/*/")
    meta = json.loads((where / "meta.json").read_text())
    ways: list[Callable[[], object]] = [
        lambda: (where / "meta.json").write_text(json.dumps(meta | {"version": 0})),
        lambda: (where / "meta.json").write_text('{"version": 1, "ba'),
        lambda: os.truncate(where / "low.u1", 10_000),
        lambda: os.truncate(where / "target.u1", 10**9),
        lambda: (where / "target.u1").unlink(),
    ]
    ways[case.number % len(ways)]()
    PREPARING.goes_on(case.folder)


@fault("no home directory", "works, or a line names data.cache", tries=12)
def _(case: Case) -> None:
    here, home = case.folder / "here", case.folder / "home"
    here.mkdir(mode=0o777)
    here.chmod(0o777)
    home.mkdir(mode=0o555)
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "HOME"}
    homes = [{}, {"HOME": str(home / "nowhere")}, {"HOME": str(home)}]
    environment |= homes[case.number // 4 % 3]
    tiny = ("data=folder", f"data.path={some_pictures()}", "data.scales=[1]", "max_epochs=1")
    where = f"hydra.run.dir={here / 'run'}"
    commands = [
        train(*tiny, where),
        train(*tiny, where, f"data.cache={here / 'cache'}"),
        [sys.executable, "evaluate.py", "sets=[skimage-test]", where],
        upscale(some_pictures() / "0.png", "-o", here / "0.png"),
    ]
    done = run([*stranger(), *commands[case.number % 4]], env=environment)
    if case.number % 4:
        hold(done.returncode == 0, done.stderr[-500:])
    else:
        failed(done, "data.cache=DIR")
    hold(not broken(here), str(broken(here)))


@fault("a checkout that is read-only", "works elsewhere; a line names the setting", tries=6)
def _(case: Case) -> None:
    tree, here = case.folder / "tree", case.folder / "here"
    tree.mkdir()
    for name in ("espcn", "conf"):
        shutil.copytree(ROOT / name, tree / name)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, tree)
    for path in [*tree.rglob("*"), tree]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    here.mkdir()
    here.chmod(0o777)
    tiny = ("data=skimage", "data.scales=[1]", "data.stride=40", "max_epochs=1")
    score = [sys.executable, "evaluate.py", "sets=[skimage-test]"]
    tries: list[tuple[list[str], str]] = [
        (train(*tiny), "`hydra.run.dir` (=outputs/"),
        (train("-m", *tiny, "seed=0,1"), "`hydra.sweep.dir` (=outputs/"),
        (score, "`hydra.run.dir` (=outputs/"),
        (train(*tiny, f"hydra.run.dir={here / 'run'}"), ""),
        ([*score, f"output={here / 'scores'}"], ""),
        (upscale(some_pictures() / "0.png", "-o", here / "0.png"), ""),
    ]
    command, words = tries[case.number % len(tries)]
    before = sorted(tree.rglob("*"))
    done = run([*stranger(), *command], cwd=tree)
    if words:
        failed(done, words)
    else:
        hold(done.returncode == 0, done.stderr[-500:])
    hold(sorted(tree.rglob("*")) == before, "the checkout has changed")
    for path in (tree, *(path for path in before if path.is_dir())):
        path.chmod(0o755)  # so that it can be taken away


@fault("a folder that is not ours to write to", "a line for each file", tries=3)
def _(case: Case) -> None:
    folder = case.folder / "theirs"
    folder.mkdir()
    shutil.copy(some_pictures() / "0.png", folder)
    shutil.copy(clip(), folder / "clip.mp4")
    folder.chmod(0o555)
    arguments: list[tuple[str | Path, ...]] = [
        (folder,),
        (folder, "-o", folder),
        (folder / "0.png", "-o", folder / "large.png"),
    ]
    before = sorted(folder.iterdir())
    done = run([*stranger(), *upscale(*arguments[case.number % 3])])
    failed(done, "Permission denied")
    hold(sorted(folder.iterdir()) == before, "something was written")
    folder.chmod(0o755)


@fault("names of 255 bytes or not UTF-8", "all is done but what gets too long a name", tries=4)
def _(case: Case) -> None:
    folder, out = case.folder / "in", case.folder / "out"
    folder.mkdir()
    video = case.number % 4 == 1
    source = clip() if video else some_pictures() / "0.png"
    names = [b"plain", b"latin \xe9", b"\xff" * 248, b"n" * 248, "½".encode() * 124, b"l" * 251]
    if video:
        names = [names[1], names[3], names[5]]
    for name in names:
        shutil.copy(source, folder / (os.fsdecode(name) + source.suffix))
    strict = ENVIRONMENT | {"PYTHONIOENCODING": "utf-8:strict"}
    if case.number % 4 == 2:
        (folder / os.fsdecode(b"damaged \xff.png")).write_bytes(source.read_bytes()[:9999])
        for number in range(9):
            shutil.copy(source, folder / f"{number}.png")
        command = from_folder(case.folder, folder, "max_epochs=1")
        done = run(command, env=strict)
        hold(done.returncode == 0 and "left out" in done.stderr, done.stderr[-500:])
    elif case.number % 4 == 3:
        for name in (b"\xe9.png", b"o" * 251 + b".png"):
            target = out / os.fsdecode(name)
            done = run(upscale(source, "-o", target), env=strict)
            hold(done.returncode == 0, done.stderr[-500:])
            read_picture(target)
    else:
        for _ in range(2):  # the second finds all of it done
            failed(run(upscale(folder, "-r", "2", "-o", out), env=strict), "over 255 bytes")
            large = [path for path in out.iterdir() if path.is_file()]
            hold(len(large) == len(names) - 1, str(large))
    for made in (out, case.folder / "run", case.folder / "cache"):
        hold(not broken(made), str(broken(made)))


def main() -> None:
    """Try all faults; print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", metavar="NAME", help="those with this in their names")
    parser.add_argument(
        "--times", type=int, default=10, help="tries of a kill, of others less (10)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which moments (0)")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder (results)")
    given = parser.parse_args()
    chosen = [one for one in FAULTS if given.only in one.name]
    if not chosen:
        parser.error(f"--only (={given.only}) must be part of one of: "
                     f"{'; '.join(one.name for one in FAULTS)}")  # fmt: skip
    tries = {one.name: max(1, round(one.tries * given.times / 10)) for one in chosen}
    rows = []
    try:
        with tqdm(total=sum(tries.values()), unit="try", mininterval=1) as bar:
            for one in chosen:
                bar.set_description(one.name)
                tried = held = 0
                for number in range(tries[one.name]):
                    outcome = attempt(one, number, tries[one.name], given.seed)
                    if outcome:
                        bar.write(f"{one.name}, try {number}: {outcome}", sys.stderr)
                    tried += not isinstance(outcome, Impossible)
                    held += outcome is None
                    bar.update()
                rows.append(
                    {"fault": one.name, "tried": tried, "held": held, "what holds": one.holds}
                )
    finally:
        shutil.rmtree(scratch())
    total = {name: sum(row[name] for row in rows) for name in ("tried", "held")}  # type: ignore[misc]
    rows.append({"fault": "all", **total, "what holds": ""})
    print(table(rows))
    given.output.mkdir(parents=True, exist_ok=True)
    write_csv(given.output / "faults.csv", rows)
    sys.exit(1 if total["held"] < total["tried"] else 0)


if __name__ == "__main__":
    main()
