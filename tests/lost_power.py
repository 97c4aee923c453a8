"""What a loss of power may leave of the files that a command writes.

A preloaded library (robustness/sync_log.c) logs the names that are given and taken away, and the
syncs. After each of these the power may go. Then a name that was given, or taken away, since its
folder was synced is there or not, each independently of the others, and content since a file's last
sync is there or not. That is more than file systems in use lose, and what POSIX allows.
"""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path

from helpers import ENVIRONMENT, ROOT

SOURCE = ROOT / "tests/robustness/sync_log.c"
COMPILER = shutil.which("cc")
FOLDER = -1  # in place of the number of a file
State = dict[Path, bytes]  # the files that are left


@dataclass
class Event:
    """What changed, and what the file held after it."""

    what: str
    inode: int
    path: Path
    target: Path
    content: bytes


@dataclass
class Change:
    """Names of one folder that appear and go together: the file that each one has, or None."""

    names: dict[Path, int | None]


@dataclass
class Disk:
    """Names and content: as programs see them, and as they were synced.

    Files have numbers of their own, for an inode's is taken again.
    """

    root: Path
    seen: dict[Path, int] = field(default_factory=dict)
    names: dict[Path, int] = field(default_factory=dict)
    latest: dict[int, bytes] = field(default_factory=dict)
    synced: dict[int, bytes] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    made: int = 0

    @classmethod
    def holding(cls, root: Path) -> "Disk":
        """Return a disk with what is there, all of it synced."""
        disk = cls(root)
        for path in root.rglob("*"):
            disk.seen[path] = disk._new() if path.is_file() else FOLDER
            if path.is_file():
                disk.latest[disk.seen[path]] = disk.synced[disk.seen[path]] = path.read_bytes()
        disk.names = dict(disk.seen)
        return disk

    def _new(self) -> int:
        self.made += 1
        return self.made

    def follow(self, event: Event) -> None:
        """Take an event in."""
        path, target = event.path, event.target
        if event.what == "sync" and self.seen.get(path, FOLDER) == FOLDER:
            self.pending = [one for one in self.pending if not self._kept(one, path)]
        elif event.what == "mkdir":
            self._change({path: FOLDER})
        elif event.what == "create":
            self._change({path: self._new()})
        elif event.what == "unlink":
            self._change({path: None})
        elif event.what == "rename":
            assert path.parent == target.parent, f"{path} is moved to another folder"
            assert self.seen[path] != FOLDER, f"{path} is a folder"
            self._change({path: None, target: self.seen[path]})
        elif path in self.seen:  # "write" or "sync": not of a file that has lost its name
            self.latest[self.seen[path]] = event.content
            if event.what == "sync":
                self.synced[self.seen[path]] = event.content

    def _change(self, names: dict[Path, int | None]) -> None:
        self.pending.append(Change(names))
        _apply(self.seen, self.pending[-1])

    def _kept(self, change: Change, folder: Path) -> bool:
        if any(path.parent == folder for path in change.names):
            _apply(self.names, change)
            return True
        return False

    def states(self, draw: random.Random) -> Iterator[State]:
        """Yield what may be left: none and all of what is not synced, one and all but one, some."""
        count = len(self.pending)
        chosen = {frozenset(some) for n in (0, 1) for some in combinations(range(count), n)}
        chosen |= {frozenset(range(count)) - some for some in chosen}
        chosen |= {frozenset(i for i in range(count) if draw.random() < 0.5) for _ in range(2)}
        for some in sorted(chosen, key=sorted):
            names = dict(self.names)
            for number in sorted(some):
                _apply(names, self.pending[number])
            mixed = {file: draw.choice((self.synced, self.latest)) for file in self.latest}
            for content in ({}, dict.fromkeys(self.latest, self.latest), mixed):
                yield {
                    path: content.get(file, self.synced).get(file, b"")
                    for path, file in names.items()
                    if file != FOLDER and all(one in names for one in _above(path, self.root))
                }


@cache
def _above(path: Path, root: Path) -> list[Path]:
    """Return the folders between one and a file."""
    return [one for one in path.parents if one.is_relative_to(root) and one != root]


def _apply(names: dict[Path, int], change: Change) -> None:
    for path, file in change.names.items():
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


@dataclass
class Watched:
    """What a command did below a folder.

    Attributes:
        before: What was there.
        events: What changed, in order.
    """

    before: Disk
    events: list[Event]

    def states(self) -> Iterator[tuple[int, State]]:
        """Yield how many events there were, and what may be left after them; each state once."""
        disk, draw, known = deepcopy(self.before), random.Random(0), set()
        for number, event in enumerate(self.events, 1):
            disk.follow(event)
            for state in disk.states(draw):
                key = hash(frozenset((path, id(content)) for path, content in state.items()))
                if key not in known:
                    known.add(key)
                    yield number, state

    def unreached(self) -> Iterator[Path]:
        """Yield the files of folders that are synced, but not yet into the folders above them."""
        disk = deepcopy(self.before)
        for event in self.events:
            disk.follow(event)
            if event.what == "sync":
                for path in disk.seen:
                    above = _above(path, disk.root)
                    if path.parent == event.path and not disk.names.keys() >= {*above}:
                        yield path

    def sure(self, number: int | None = None) -> State:
        """Return what is left for sure after so many events, by default after all."""
        disk = deepcopy(self.before)
        for event in self.events[:number]:
            disk.follow(event)
        disk.pending = []
        return next(disk.states(random.Random(0)))


def build_library(folder: Path) -> Path:
    """Compile what logs."""
    assert COMPILER is not None
    path = folder / "sync_log.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", path, SOURCE, "-ldl"], check=True)
    return path


def watch(library: Path, root: Path, *command: str, **environment: str) -> Watched:
    """Run a command; return what it did below a folder, which it must end well."""
    log = root.with_name(f"{root.name}.log")
    log.mkdir()
    root.mkdir(exist_ok=True)
    before = Disk.holding(root)
    watching = {"LD_PRELOAD": str(library), "SYNC_ROOT": str(root), "SYNC_LOG": str(log)}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=ENVIRONMENT | watching | environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events, contents = [], {b"": b""}  # one object each, which `states` compares
    for line in os.fsdecode((log / "log").read_bytes()).splitlines():
        what, number, inode, path, target = line.split("\t")
        held = log / number
        content = held.read_bytes() if held.is_file() else b""
        content = contents.setdefault(content, content)
        events.append(Event(what, int(inode), Path(path), Path(target), content))
    return Watched(before, events)


def lay_out(root: Path, state: State) -> None:
    """Make a folder what a loss of power has left."""
    shutil.rmtree(root)
    root.mkdir()
    for path, content in state.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
