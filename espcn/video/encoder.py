"""Encode a video in segments, so that an interrupted one can be resumed."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import av

from espcn.video.segments import SEGMENT, Segments, SegmentWriter


class SegmentedEncoder:
    """Encodes a video in segments, each with its own encoder, or reuses finished segments.

    Args:
        stream: The stream of the video, whose encoder makes the first segment.
        again: Returns a stream with the same settings and a fresh encoder.
        segments: Where finished segments are kept.
        finished: Number of segments that are already finished.
    """

    def __init__(
        self, stream: Any, again: Callable[[], Any], segments: Segments, finished: int
    ) -> None:
        self.stream, self.done = stream, 0
        self._again, self._segments, self._finished = again, segments, finished
        self._encoder = stream
        self._read: Iterator[av.Packet] = iter(())  # those of the finished segment at work
        self._writer = SegmentWriter(None, "")  # which keeps nothing, until there is a segment
        self._last: int | None = None  # when the last packet is decoded

    def encode(self, frame: Any) -> list[av.Packet]:
        """Encode the next frame; within a finished segment, its content is ignored.

        Args:
            frame: The frame, with its timestamp.

        Returns:
            Packets for the stream, from this frame or others.
        """
        number, place = divmod(self.done, SEGMENT)
        self.done += 1
        is_last = place == SEGMENT - 1
        if number < self._finished:
            if place == 0:
                self._read = self._segments.read(number)
            return self._sent(self._read if is_last else islice(self._read, 1))
        if place == 0:
            self._writer = self._segments.write(number)
            with usual_priority():  # which opens the encoder
                if number:
                    self._encoder = self._again()
                packets = self._encoder.encode(frame)
        else:
            packets = self._encoder.encode(frame)
        if is_last:
            packets += self._encoder.encode(None)
        for packet in packets:
            self._writer.add(packet)
        if is_last:
            self._writer.finish()
        return self._sent(packets)

    def rest(self) -> list[av.Packet]:
        """Finish the last segment.

        Returns:
            The last packets.
        """
        begun = self.done % SEGMENT
        return self._sent(timed(self._encoder.encode(None), begun)) if begun else []

    def close(self) -> None:
        """Delete an unfinished segment."""
        self._writer.discard()

    def _sent(self, packets: Iterable[av.Packet]) -> list[av.Packet]:
        """Return packets assigned to the stream, with their decoding times in order."""
        sent = list(packets)
        for packet in sent:
            packet.stream = self.stream
            # An encoder that begins goes back by the frames that it holds, perhaps by longer ones.
            if self._last is not None and packet.dts is not None and packet.dts <= self._last:
                packet.dts = self._last + 1
            self._last = packet.dts
        return sent


def timed(packets: list[av.Packet], frames: int) -> list[av.Packet]:
    """Set the times at which the last packets of a video are decoded.

    For one or two frames, x265 reads them from uninitialised memory, so that the video occasionally
    could not be written at all. So few frames can't be reordered.

    Args:
        packets: The packets that the encoder held back.
        frames: Number of frames that the encoder received.

    Returns:
        The packets.
    """
    if frames <= 2:
        for packet in packets:
            packet.dts = packet.pts
    return packets


@contextmanager
def usual_priority() -> Iterator[None]:
    """Prevent an encoder from giving itself and the opening thread real-time priority.

    SVT-AV1 does so when run as root, as in a container. It would starve everything else, from the
    network's other threads to processes that are started later.

    Yields:
        Nothing.
    """
    tasks = Path("/proc/self/task")  # Linux alone
    if not tasks.is_dir() or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    try:
        yield
    finally:
        for task in tasks.iterdir():
            with suppress(OSError):  # it may have ended meanwhile
                if os.sched_getscheduler(int(task.name)) == os.SCHED_FIFO:
                    os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
