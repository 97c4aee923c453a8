"""Video containers: their file suffixes, and what each supports."""

from pathlib import Path

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
CONTAINER_OPTIONS = {suffix: {"mpegts_m2ts_mode": "1"} for suffix in (".m2ts", ".mts")}
# Of sources; Ogg holds no codec that FFmpeg encodes here.
VIDEO_SUFFIXES = (*CONTAINERS, ".ogv")

# What containers support, as far as they differ and FFmpeg does not report it.
CHAPTERS = ROTATION = ("mp4", "mov", "3gp", "matroska", "webm")
TIMECODE = ("mp4", "mov", "matroska", "webm")  # as metadata of the video stream
UNLISTED = ("mpegts", "mpeg")  # take codecs that FFmpeg does not list for them
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


def is_video(path: Path) -> bool:
    """Return whether a file is a video, judging by its suffix.

    Args:
        path: The file.

    Returns:
        Whether it is.
    """
    return path.suffix.lower() in VIDEO_SUFFIXES
