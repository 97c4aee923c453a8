"""Copy the other streams of a video, with its metadata, chapters and attachments."""

from typing import Any

import av
from av.stream import Discard, Disposition

from espcn.io.containers import (
    CHAPTERS,
    CONTAINER_METADATA,
    COVERS,
    HELD,
    TIMECODE_OF_FILE,
    holds,
)
from espcn.upscaling.remarks import Remarks


def copy_other_streams(
    outgoing: Any, incoming: Any, video: Any, head: list[Any], remarks: Remarks
) -> dict[int, Any]:
    """Add copies of all other streams, with metadata, chapters and attachments.

    Args:
        outgoing: The target, open for writing.
        incoming: The source, open for reading.
        video: The stream that is upscaled.
        head: The result of `until_frame`, in which cover pictures come first.
        remarks: Receives a remark on each stream that can't be copied.

    Returns:
        The new streams by their index in the source.
    """
    container, chapters = outgoing.format.name, incoming.chapters()
    own = {key: text for key, text in incoming.metadata.items() if key not in CONTAINER_METADATA}
    if container in TIMECODE_OF_FILE and "timecode" in video.metadata:
        own["timecode"] = video.metadata["timecode"]
    outgoing.metadata.update(own)
    if chapters and container in CHAPTERS:
        outgoing.set_chapters(chapters)
    elif chapters:
        remarks.left_out.append(f"its chapters, which {container} can't hold")
    copies = {}
    covers = {
        one.stream_index: bytes(one)
        for one in head
        if isinstance(one, av.Packet) and one.stream.disposition & Disposition.attached_pic
    }
    for stream in incoming.streams:
        chapters_own = stream.type == "data" and stream.discard == Discard.all
        if stream.index == video.index or chapters_own:
            continue  # MP4 stores chapters as a stream, of which FFmpeg gives no packets
        if _is_timecode(stream, video):
            continue  # MP4 stores it as a stream, which FFmpeg makes from the metadata
        codec = getattr(stream, "codec_context", None)
        name = codec.name if codec else ""
        try:
            if container == "matroska" and stream.type == "attachment":
                outgoing.add_attachment(stream.name, stream.mimetype, stream.data)
                continue
            if container == "matroska" and stream.index in covers and name in COVERS:
                outgoing.add_attachment(*COVERS[name], covers[stream.index])
                continue
            if not codec or not _can_copy(outgoing, stream):
                raise ValueError(name)
            copy = copies[stream.index] = outgoing.add_stream_from_template(stream)
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
        except (av.FFmpegError, ValueError, AttributeError, TypeError):
            what = " ".join([stream.type, name]).strip()
            remedy = "" if container == "matroska" else ": try .mkv"
            reason = "" if stream.type == "data" else f", which {container} can't hold{remedy}"
            remarks.left_out.append(f"its stream {stream.index} ({what}){reason}")
    return copies


def _can_copy(outgoing: Any, stream: Any) -> bool:
    """Return whether a file can hold a copy of a stream."""
    codec = stream.codec_context.codec
    # With a second H.264 video in .m2ts FFmpeg crashes, and of one in .mpg it makes what can't be
    # read.
    if stream.type == "video" and outgoing.format.name in HELD:
        return codec.name in outgoing.supported_codecs
    return holds(outgoing, codec)


def _is_timecode(stream: Any, video: Any) -> bool:
    """Return whether a stream holds nothing but the timecode that the video has as metadata."""
    timecode = stream.metadata.get("timecode")
    is_data = stream.type == "data" and stream.name is None  # that of a camera has a codec's name
    return is_data and timecode is not None and timecode == video.metadata.get("timecode")
