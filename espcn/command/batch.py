"""Upscale many files, each with its progress, outcome and detected compression."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from espcn.command.job import Job, stamp
from espcn.command.records import Standing, kept_segments, standing, write_record
from espcn.io.atomic import make_folder
from espcn.io.claims import claim
from espcn.progress import bar
from espcn.upscaling.size import LargeEnough, Size

if TYPE_CHECKING:  # torch: only when there is work to do
    from espcn.upscaling.upscaler import Upscaler
    from espcn.video.encoding import Encoding


WAKE = 0.5  # seconds between two looks for Ctrl-C


class Stopped(Exception):
    """Raised within a job to abort it when the program ends."""


@dataclass
class Outcome:
    """The outcome of one job, or of all.

    Attributes:
        done: Number of files written.
        problems: Errors.
        notes: Other notes for the user, such as streams left out.
        large_enough: Files that were left unchanged.
        skipped: Files that another command handles.
    """

    done: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    large_enough: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Add another outcome.

        Args:
            other: The other one.
        """
        self.done += other.done
        self.problems += other.problems
        self.notes += other.notes
        self.large_enough += other.large_enough
        self.skipped += other.skipped


@dataclass(frozen=True)
class Treatment:
    """How files are upscaled and written.

    Attributes:
        upscaler: The upscaler.
        size: The size of the results; None for the upscaler's factor.
        encoding: How videos are encoded.
        quality: Quality of JPEG, WebP and AVIF, 1 to 100.
        preview: Whether to write only a preview.
        settings: Returns these settings as stored in the record of a job's result.
    """

    upscaler: "Upscaler"
    size: Size | None
    encoding: "Encoding"
    quality: int
    preview: bool
    settings: Callable[[Job], dict[str, Any]]


def carry_out(jobs: list[Job], treatment: Treatment) -> Outcome:
    """Upscale files: pictures in parallel, videos one at a time.

    Args:
        jobs: The files and their targets.
        treatment: How they are upscaled.

    Returns:
        The combined outcome. A file that fails does not stop the others.
    """
    stop = threading.Event()
    outcome = Outcome()
    videos = [job for job in jobs if job.is_video]
    pictures = [job for job in jobs if not job.is_video]
    # One picture is written while another is computed. A video overlaps these by itself.
    for some, workers in ((pictures, min(4, os.cpu_count() or 1)), (videos, 1)):
        with ThreadPoolExecutor(workers) as pool:
            try:  # the first job is at work before the last is handed over
                work = [pool.submit(_one, job, treatment, stop) for job in some]
                alone = len(work) < 2
                for done in bar(_ended(work), total=len(work), unit="file", disable=alone):
                    outcome.add(done.result())
            except BaseException:
                print("\nStopping after the current rows and frames", file=sys.stderr)
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    return outcome


def _ended(work: list[Future[Outcome]]) -> Iterator[Future[Outcome]]:
    """Yield futures as they complete.

    Python checks for Ctrl-C before it waits, and a Ctrl-C that comes in between is not noticed
    until the wait is over, so each wait is short.
    """
    ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
    for one in work:
        one.add_done_callback(ended.put)
    left = len(work)
    while left:
        try:
            done = ended.get(timeout=WAKE)
        except Empty:
            continue
        left -= 1
        yield done


def _one(job: Job, treatment: Treatment, stop: threading.Event) -> Outcome:
    """Run one job, unless another command is running it or has done it."""
    unit = "frame" if job.is_video else "row"
    with bar(desc=job.source.name, unit=unit, leave=False, delay=1) as shown:

        def progress(done: int, total: int | None) -> None:
            if stop.is_set():
                raise Stopped
            if job.is_video and done > 1 and not shown.n:
                of = f" of {total:,}" if total else ""
                _tell(f"Resuming {job.target} after frame {done:,}{of}")
            shown.total = total
            shown.update(done - shown.n)

        try:
            make_folder(job.target.parent)
            with claim(job.target) as mine:
                if not mine:
                    return Outcome(skipped=[f"{job.target} is being written by another command"])
                now = stamp(job.target)
                if now is not None and now != job.existing:
                    return _made_by_another(job, treatment)
                source = stamp(job.source)
                made = _made(job, treatment, progress)
                try:
                    write_record(job, treatment.settings(job), source)
                except OSError as error:
                    made.notes.append(f"{job.target} is kept, but its record is wrong: {error}")
                return made
        except Stopped:
            return Outcome()
        except LargeEnough as reason:
            return Outcome(large_enough=[f"{job.source}: {reason}"])
        except Exception as error:  # whatever it is, the other files must not be lost
            words = str(error) or type(error).__name__
            known = str(job.source) in words or str(job.target) in words
            return Outcome(problems=[words if known else f"{job.source}: {words}"])


def _made_by_another(job: Job, treatment: Treatment) -> Outcome:
    """Check a result that another command has written since this job was planned."""
    words = f"{job.target} was written by another command in the meantime"
    if standing(job, treatment.settings(job)) == Standing.KEPT:
        return Outcome(skipped=[words])
    return Outcome(problems=[f"{words}, from other sources or settings: run this one again"])


def _made(job: Job, treatment: Treatment, progress: Callable[[int, int | None], None]) -> Outcome:
    """Upscale one file."""
    from espcn.command.preview import save_preview
    from espcn.io.signatures import is_animation
    from espcn.upscaling.animation import upscale_animation
    from espcn.upscaling.picture import upscale_picture
    from espcn.video.pipeline import upscale_video

    upscaler, quality = treatment.upscaler, treatment.quality
    what = (upscaler, job.source, job.target, treatment.size)
    if treatment.preview:
        _say(job, save_preview(*what, quality), upscaler)
        return Outcome(done=1)
    if job.is_video:
        kept = kept_segments(job, treatment.settings(job))
        made = upscale_video(*what, treatment.encoding, progress, kept)
    elif is_animation(job.source):
        made = upscale_animation(*what, quality, progress)
    else:
        made = upscale_picture(*what, quality, progress)
    _say(job, made.compression, upscaler)
    return Outcome(
        done=1,
        problems=[f"{job.target} is kept, but {words}" for words in made.damaged],
        notes=[f"{job.target} is without {words}" for words in made.left_out],
    )


def _say(job: Job, found: str, upscaler: "Upscaler") -> None:
    """Print a file's detected compression above the progress bars, if it was used."""
    if upscaler.is_own:
        return
    _tell(f"{job.source}: {found}")


def _tell(words: str) -> None:
    """Print a line above the progress bars."""
    if sys.stderr.isatty():
        tqdm.write(words)
    else:  # in a log file the bars need not be drawn anew
        print(f"{words}\n", end="", flush=True)  # at once: other threads print, too
