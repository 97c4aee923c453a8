"""The files that somebody names, and where each one's enlarged picture or video goes."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espcn.formats import CONTAINERS, FORMATS
from espcn.pictures import SUFFIXES

_OWN = re.compile(r"(.+)_x\d+")


@dataclass(frozen=True)
class Job:
    """A file, and the file that it becomes."""

    source: Path
    target: Path

    @property
    def is_video(self) -> bool:
        """Say whether the file is a video, by its name."""
        return self.source.suffix.lower() in CONTAINERS


@dataclass
class Plan:
    """What there is to do, what is done already, and what can't be done: each with its reason."""

    jobs: list[Job] = field(default_factory=list)
    done: list[Job] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan(
    inputs: Sequence[str],
    r: int,
    output: str | None = None,
    overwrite: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> Plan:
    """Find the pictures and videos among files and folders, and say where each one goes.

    A file `a.jpg` becomes `a_x3.jpg`: beside it, or within the folder `output`, at the place it has
    within its own folder. Of one file alone, `output` may be a file's name. What is there already
    is done, unless `overwrite`; an `a_x3.jpg` that stands beside its `a.jpg` is no input. `shard`
    (i, n) takes every n-th file from the i-th on, whether it is done or not.
    """
    made = Plan()
    found: dict[Path, Path] = {}  # each file, and its place within the folder that was named
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            inside = dict(_inside(path, output))
            if not inside:
                made.problems.append(f"{path} holds no pictures or videos, nor do its sub-folders")
            found |= inside
        elif not path.exists():
            made.problems.append(f"{path} must be a file or a folder that exists: there is none")
        elif not is_known(path):
            made.problems.append(
                f"{path} must be a picture or a video, known by its name's ending: {_endings()}"
            )
        else:
            found[path] = Path(path.name)
    stems = {(path.parent, path.stem) for path in found}
    files = [path for path in found if not _is_own(path, stems)]
    as_file = output is not None and not Path(output).is_dir() and is_known(Path(output))
    if as_file and (len(files) > 1 or any(Path(name).is_dir() for name in inputs)):
        raise ValueError(
            f"`-o` (={output}) must be a folder for more than one file, not a file's name"
        )
    targets: dict[Path, Path] = {}
    for source in files[shard[0] :: shard[1]]:
        target = Path(output or "") if as_file else _target(source, found[source], r, output)
        job = Job(source, target)
        if (target.suffix.lower() in CONTAINERS) != job.is_video:
            made.problems.append(
                f"{target} must be of the same kind as {source}: both videos or not"
            )
        elif target == source:
            made.problems.append(f"{source} would be written over itself: give another name to -o")
        elif target in targets:
            made.problems.append(f"{source} would become {target}, as {targets[target]} does")
        elif target.exists() and not overwrite:
            made.done.append(job)
        else:
            made.jobs.append(job)
        targets.setdefault(target, source)
    return made


def _inside(folder: Path, output: str | None) -> Iterator[tuple[Path, Path]]:
    """Give the pictures and videos of a folder and its sub-folders, but for the one written to."""
    out = Path(output).resolve() if output is not None else None
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = sorted(
            one for one in folders if not one.startswith(".") and (here / one).resolve() != out
        )
        for file in sorted(files):
            path = here / file
            if is_known(path) and not file.startswith("."):
                yield path, path.relative_to(folder)


def _target(source: Path, place: Path, r: int, output: str | None) -> Path:
    kept = source.suffix.lower() in FORMATS or source.suffix.lower() in CONTAINERS
    name = f"{source.stem}_x{r}{source.suffix if kept else '.png'}"
    return source.with_name(name) if output is None else Path(output) / place.with_name(name)


def is_known(path: Path) -> bool:
    """Say whether a file is a picture or a video, by its name."""
    return path.suffix.lower() in SUFFIXES or path.suffix.lower() in CONTAINERS


def _is_own(path: Path, stems: set[tuple[Path, str]]) -> bool:
    """Say whether a file is the enlarged one of another that is there too."""
    own = _OWN.fullmatch(path.stem)
    return own is not None and (path.parent, own[1]) in stems


def _endings() -> str:
    return " ".join(sorted(SUFFIXES) + sorted(CONTAINERS))
