"""Video containers: the endings of their names, and what each of them can hold."""

# File-name endings, and the container that each of them means, by FFmpeg's name.
# fmt: off
CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".avi": "avi", ".ts": "mpegts", ".m2ts": "mpegts", ".mts": "mpegts", ".mpg": "mpeg",
    ".mpeg": "mpeg", ".flv": "flv", ".wmv": "asf", ".3gp": "3gp", ".ogv": "ogg",
}
# fmt: on

# What FFmpeg's containers hold, where they differ and FFmpeg does not tell.
CHAPTERS = ROTATION = ("mp4", "mov", "3gp", "matroska", "webm")
ANY_SOUND = ("mpegts", "mpeg")
NO_REORDERING = ("avi", "mpeg")  # where frames have no times, or lose them
OF_THE_CONTAINER = ("major_brand", "minor_version", "compatible_brands", "encoder")  # metadata
