"""The command that upscales pictures and videos: `upscale.py`, or `espcn-upscale`.

It takes plain arguments, not Hydra's: file names contain spaces, commas and quotes.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from espcn import checks
from espcn.command.arguments import parser
from espcn.command.batch import Outcome, Treatment, carry_out
from espcn.command.job import Job
from espcn.command.naming import Naming
from espcn.command.plan import Plan, plan
from espcn.command.records import kept_segments, record_path, standing, weights_digest
from espcn.command.streams import STREAM, piped
from espcn.interrupts import STOPPED, interrupts
from espcn.io.atomic import check_folder
from espcn.io.claims import claim, remove_leftovers
from espcn.io.containers import CONTAINERS
from espcn.io.writing import FORMATS, LOSSY
from espcn.openmp import wait_asleep
from espcn.stdout import accept_all_names
from espcn.upscaling.size import Size
from espcn.video.segments import SEGMENT

FEW = 5  # that are named each
# Known without loading PyTorch: the factors of the shipped weights, and what runs them.
FACTORS = (2, 3, 4)
MOST = max(FACTORS) ** 2  # times as large, by two of them
ENGINES = {
    "engine": ("auto", "torch", "compile", "onnx", "openvino"),
    "precision": ("auto", "float32", "bfloat16", "int8"),
    "device": ("auto", "cpu", "cuda"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; the exit code is 1 if anything went wrong.

    Args:
        arguments: The command-line arguments; `sys.argv[1:]` if not given.
    """
    accept_all_names()
    given = parser().parse_args(arguments)
    wait_asleep()
    try:
        with interrupts([]), piped(given) as real:
            problems = upscale(real)
    except KeyboardInterrupt:
        kept = (
            f" Finished files are kept, and of a video all up to the last multiple of {SEGMENT} "
            "frames: run the command again to resume"
        )
        through = STREAM in (*given.files, given.output)
        print(f"Stopped.{'' if through else kept}", file=sys.stderr)
        sys.exit(STOPPED)
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    sys.exit(1 if problems else 0)


def upscale(given: argparse.Namespace) -> list[str]:
    """Upscale the requested files, and print the outcome.

    Args:
        given: The parsed arguments.

    Returns:
        The error messages.
    """
    started = time.monotonic()
    checks.integer("quality", given.quality, 1, "95 is the default", most=100)
    for name, choices in ENGINES.items():
        checks.choice(name, getattr(given, name), choices)
    size = _size(given)
    r = _factor(given) if size is None else None
    settings = _settings(given, r, size)  # of a job
    own_ending = "_preview" if given.preview else f"_x{r}" if size is None else size.ending
    ending = own_ending if given.suffix is None else given.suffix
    naming = Naming(ending, given.output, given.format, given.preview)
    todo = plan(
        given.files, naming, given.overwrite, given.shard, lambda job: standing(job, settings(job))
    )
    outcome = Outcome(problems=list(todo.problems))
    finished = [job.target for job in todo.existing]  # the others use up what was left
    remove_leftovers([*finished, *map(record_path, finished)])
    for job in todo.existing:
        _remove_segments(job)
    _tell_skipped(todo)
    if todo.jobs:
        _check_output(given.output, todo.jobs[0].target)
        from espcn.upscaling.upscaler import Upscaler  # torch: only when there is work to do
        from espcn.video.encoding import Encoding

        encoding = Encoding(given.codec, given.crf, given.preset)
        for suffix in {job.target.suffix.lower() for job in todo.jobs} & CONTAINERS.keys():
            encoding.check(CONTAINERS[suffix])  # once, and not for each video
        upscaler = Upscaler(
            r,
            given.ckpt,
            given.engine,
            given.precision,
            given.device,
            given.compression,
            given.ensemble,
        )
        how = f"by {r}" if size is None else str(size)
        what = "Previewing" if given.preview else "Upscaling"
        print(f"{what} {_count(todo.jobs)} {how} with {upscaler.engine}", flush=True)
        for reason, jobs in todo.outdated.items():
            print(f"Redoing {_count(jobs)}: {reason.value}", flush=True)
        treatment = Treatment(upscaler, size, encoding, given.quality, given.preview, settings)
        outcome.add(carry_out(todo.jobs, treatment))
        (outcome.problems if todo.single else outcome.notes).extend(outcome.large_enough)
    _tell(todo, outcome, time.monotonic() - started)
    return outcome.problems


def _remove_segments(job: Job) -> None:
    """Remove the segments that a killed command has left beside a finished video."""
    kept = kept_segments(job, {})
    if kept.folder is not None and kept.folder.is_dir():
        with suppress(OSError), claim(job.target) as mine:  # else they are at work on it again
            if mine:
                kept.remove()


def _tell_skipped(todo: Plan) -> None:
    """Print which files are skipped, before the work."""
    if earlier := todo.earlier_results:
        named = ", ".join(map(str, earlier[:FEW])) + ", ..." * (len(earlier) > FEW)
        print(
            f"Skipped, as their names are those of results: {named} (rename them to upscale them)"
        )
    if todo.existing:
        print(f"Skipped existing results: {_count(todo.existing)} (--overwrite replaces them)")
    if todo.other_kinds:
        kinds = ", ".join(one or "no suffix" for one, _ in todo.other_kinds.most_common(FEW))
        more = ", ..." * (len(todo.other_kinds) > FEW)
        count = todo.other_kinds.total()
        print(f"Left out {count} file{'s' * (count > 1)} of other kinds: {kinds}{more}")


def _tell(todo: Plan, outcome: Outcome, seconds: float) -> None:
    """Print the outcome: results first, errors last."""
    if len(outcome.skipped) > FEW:
        print(f"Skipped: {len(outcome.skipped)} files that another command writes or has written")
    else:
        for words in outcome.skipped:
            print(f"Skipped: {words}")
    if outcome.done == 1 == len(todo.jobs):
        print(f"Written to {todo.jobs[0].target} in {seconds:.1f} s")
    elif todo.jobs:
        print(f"Done: {outcome.done} of {len(todo.jobs)} files in {seconds:.1f} s")
    elif not todo.existing and not outcome.problems:
        print("Nothing to do")
    for note in outcome.notes:
        print(f"Note: {note}", file=sys.stderr)
    for problem in outcome.problems:
        print(f"Error: {problem}", file=sys.stderr)


def _size(given: argparse.Namespace) -> Size | None:
    """Return the requested size; None for one of the networks' factors."""
    ways = {"width": given.width, "height": given.height, "scale": given.scale, "screen": given.to}
    asked = {name: value for name, value in ways.items() if value is not None}
    if given.ckpt is None and given.scale is not None:
        checks.number("scale", given.scale, "use 1.5, for example", above=1)
        if given.scale > MOST:
            raise ValueError(f"`scale` (={given.scale:g}) must be at most {MOST}: choose less")
    if not asked or (given.ckpt is None and given.scale in FACTORS):
        return None
    return Size(**asked)


def _factor(given: argparse.Namespace) -> int:
    if given.ckpt is None:
        asked = given.r if given.scale is None else int(given.scale)
        if asked not in (None, *FACTORS):
            instead = f"use --scale {asked}" if 1 < asked <= MOST else "choose one of them"
            raise ValueError(f"`-r` (={asked}) must be 2, 3 or 4: {instead}")
        return 3 if asked is None else asked
    from espcn.network.weights import load

    return load(given.r, given.ckpt).network.r


def _settings(
    given: argparse.Namespace, r: int | None, size: Size | None
) -> Callable[[Job], dict[str, Any]]:
    """Return a function that returns the settings that determine a job's result."""
    asked = {} if size is None else {k: v for k, v in asdict(size).items() if v is not None}
    how: dict[str, Any] = {"r": r} if size is None else {"size": asked}
    # Weights of one's own are the same for all.
    compression = "auto" if given.ckpt is not None else given.compression
    common = how | {"weights": weights_digest(r, given.ckpt), "compression": compression}
    if given.ensemble:  # results of before, without this word, stay what they are
        common["ensemble"] = True
    if given.precision == "int8":
        common["precision"] = "int8"

    def of(job: Job) -> dict[str, Any]:
        suffix = job.target.suffix.lower()
        quality = {"quality": given.quality} if FORMATS.get(suffix) in LOSSY else {}
        if given.preview:
            return common | quality | {"preview": True}
        if job.is_video:
            from espcn.video.encoding import Encoding

            encoding = Encoding(given.codec, given.crf, given.preset)
            codec, options = encoding.within(CONTAINERS[suffix])
            return common | {"codec": codec, "options": options}
        return common | quality

    return of


def _check_output(output: str | None, target: Path) -> None:
    """Raise one ValueError, instead of one per file, if the output folder is not writable."""
    if output is None:
        return
    folder = Path(output)
    if folder == target:  # the result itself
        folder = folder.parent
    check_folder(folder, "-o", output)


def _count(jobs: list[Job]) -> str:
    videos = sum(job.is_video for job in jobs)
    kinds = {"picture": len(jobs) - videos, "video": videos}
    return " and ".join(f"{n} {name}{'s' * (n > 1)}" for name, n in kinds.items() if n)
