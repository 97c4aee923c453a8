"""Video containers: their file suffixes, and what each supports."""

from pathlib import Path
from typing import Any

# FFmpeg's name of the container that each file suffix stands for.
# fmt: off
CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".avi": "avi", ".ts": "mpegts", ".m2ts": "mpegts", ".mts": "mpegts", ".mpg": "mpeg",
    ".mpeg": "mpeg", ".flv": "flv", ".wmv": "asf", ".3gp": "3gp",
}
# fmt: on
# FFmpeg's options for some suffixes: packets of 192 bytes, as on Blu-ray. FFmpeg itself goes by the
# name of the file, which is another one until the file is complete.
BLURAY = {"mpegts_m2ts_mode": "1"}
CONTAINER_OPTIONS = {".m2ts": BLURAY, ".mts": BLURAY}
# Of sources; Ogg holds no codec that FFmpeg encodes here.
VIDEO_SUFFIXES = (*CONTAINERS, ".ogv")

# What containers support, as far as they differ and FFmpeg does not report it.
CHAPTERS = ROTATION = ("mp4", "mov", "3gp", "matroska", "webm")
TIMECODE = ("mp4", "mov", "matroska", "webm")  # as metadata of the video stream
TIMECODE_OF_FILE = ("avi", "flv", "asf")  # as metadata of the file
# Sound and upscaled video that these hold, of which FFmpeg lists one codec each. All others it
# either refuses or writes so that they can't be read.
HELD = {
    "mpegts": (
        "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "aac", "aac_latm", "ac3", "dts",
        "eac3", "mp2", "mp3", "opus", "s302m", "truehd",
    ),
    "mpeg": (
        "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "ac3", "dts", "mp1", "mp2", "mp3",
        "pcm_dvd", "pcm_s16be",
    ),
}  # fmt: skip
NO_REORDERING = ("asf", "avi", "mpeg")  # frames have no timestamps, or lose them
# The attachments that cover pictures become in Matroska, by FFmpeg's name of their codec.
COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# Metadata that describes the container itself, and is not copied to another.
CONTAINER_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder")
# Metadata of a video stream that is no longer true of it upscaled.
STREAM_METADATA = (
    "alpha_mode", "bps", "duration", "encoder", "encoder_settings", "number_of_bytes",
    "number_of_frames", "_statistics_tags", "_statistics_writing_app",
    "_statistics_writing_date_utc",
)  # fmt: skip
# What FFmpeg lists for these, and then refuses to write.
REFUSED = {"mov": ("av1", "flac", "opus", "truehd", "vp9"), "mp4": ("truehd",)}


def holds(outgoing: Any, codec: Any) -> bool:
    """Return whether a file can hold sound or upscaled video of a codec.

    Args:
        outgoing: The file, open for writing.
        codec: PyAV's encoder or decoder of the stream.

    Returns:
        Whether its container supports the codec.
    """
    held = {*HELD.get(outgoing.format.name, ()), *outgoing.supported_codecs}
    if outgoing.container_options == BLURAY:
        held.add("pcm_bluray")
    refused = codec.canonical_name in REFUSED.get(outgoing.format.name, ())
    return not refused and not held.isdisjoint((codec.name, codec.canonical_name))


def is_video(path: Path) -> bool:
    """Return whether a file is a video, judging by its suffix.

    Args:
        path: The file.

    Returns:
        Whether it is.
    """
    return path.suffix.lower() in VIDEO_SUFFIXES
