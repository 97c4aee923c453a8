"""Read picture files as arrays.

libvips, through pyvips, reads PNG, JPEG, TIFF, WebP, AVIF and GIF, and keeps 16 bits where Pillow
would silently reduce to 8. Pillow reads BMP and PPM, which libvips does not; pillow-heif reads HEIC
if it is installed.
"""

import io
import logging
import os
import re
from pathlib import Path

import numpy as np
import pyvips

from espcn.io.signatures import PNG, chunk, first_bytes, is_heic, is_ycbcr_or_lab, jpeg_scan

# File-name endings that count as pictures when a folder is listed. What a file really is, its
# first bytes tell.
# fmt: off
SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp",
    ".avif", ".heic", ".heif", ".gif", ".bmp", ".ppm", ".pgm", ".pbm",
})
# fmt: on

logging.getLogger("pyvips").setLevel(logging.ERROR)
pyvips.block_untrusted_set(True)  # leaves out SVG, CSV, MATLAB and such, which aren't photographs

MAX_PIXELS = 10**9  # a file of a few kilobytes can claim more
MAX_WHOLE = 178_956_970  # pixels of BMP and PPM, which are not read in bands: Pillow's own limit
PLENTY = 10**8  # pixels; a GIF of fewer may well have a frame that is smaller than its canvas

# Pixels of each byte, at most, by the first two: deflate makes 1032 bytes of one, each of eight
# pixels of a bit; a code of GIF stands for no more pixels than there are codes.
_DENSEST = {PNG: 8 * 1032, b"GI": 4096}
_MARKER = re.compile(rb"\xff[^\0\xd0-\xd7\xff]")  # of a JPEG, after the data of a scan
_PADDED = re.compile(r"extraneous bytes before marker 0x\w\w$")
_SLACK = 16  # bytes that a scan may be too short or too long
_PILLOW = (b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")  # first two bytes of BMP and PPM


def read_picture(source: Path | bytes) -> np.ndarray:
    """Return the samples of a picture, upright, as it should be displayed.

    EXIF orientation is applied, palettes and 1-bit pictures become 0..255, CMYK becomes sRGB. RGB
    in another colour space keeps its samples: profiles are not applied. AVIF of 10 or 12 bits is
    scaled to 0..65535. A grey GIF has 3 channels, because GIF only has palettes.

    Args:
        source: A path, or a file's content.

    Returns:
        uint8 or uint16 `(height, width, channels)`: 1 channel is grey, 2 grey and alpha, 3 RGB, 4
        RGBA.

    Raises:
        OSError: The file can't be opened.
        ValueError: It is not a picture, is damaged or truncated, has several frames or pages, or
            has unsupported samples; the message contains the file's name if there is one.
    """
    image = open_picture(source)
    try:
        samples = image.numpy()
    except pyvips.Error as error:
        raise _unreadable(source, error) from error
    return samples.reshape(image.height, image.width, image.bands)


def open_picture(source: Path | bytes) -> pyvips.Image:
    """Open a picture like `read_picture`, without decoding it yet.

    Args:
        source: A path, or a file's content.

    Returns:
        An image to be read once, from top to bottom.

    Raises:
        OSError: As for `read_picture`.
        ValueError: As for `read_picture`.
    """
    name = _name(source)
    head = first_bytes(source, 2)
    if not head:
        raise ValueError(f"{name} is empty: copy or download it again")
    if head in _PILLOW:
        return _open_with_pillow(source)
    if is_heic(source):
        return _open_with_heif(source)
    if is_ycbcr_or_lab(source):  # whose samples libvips would return as if they were RGB
        raise ValueError(f"{name} must be RGB, not Lab or YCbCr: save it as an RGB TIFF or PNG")
    try:
        image = _open_with_vips(source)
        if image.width * image.height > MAX_PIXELS:  # before it is turned, in memory
            raise ValueError(
                f"{name} says that it is {image.width} x {image.height} pixels, over "
                f"{MAX_PIXELS // 10**6} megapixels: cut it into pieces"
            )
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        most = max(size * _DENSEST.get(head, MAX_PIXELS), PLENTY)
        if image.width * image.height > most:
            raise ValueError(  # before memory is allocated for its pixels
                f"{name} says that it is {image.width} x {image.height} pixels, more than its "
                f"{size} bytes can hold: copy or download it again"
            )
        image = _normalised(image)
    except pyvips.Error as error:
        raise _unreadable(source, error) from error
    frames = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if frames > 1 or chunk(source, b"acTL"):  # libvips sees its first frame only
        many = f"{frames} frames or pages" if frames > 1 else "many frames"
        raise ValueError(f"{name} has {many}: save the one you want as PNG")
    if image.format not in ("uchar", "ushort"):
        raise ValueError(
            f"{name} must have samples of 8 or 16 bits without sign, got {image.format}: "
            "save it as a 16-bit PNG or TIFF"
        )
    if image.bands > 4:
        raise ValueError(f"{name} must have 1 to 4 channels, got {image.bands}: save it as RGB")
    if chunk(source, b"pHYs")[8:] == b"\1":
        image = _with_unit(image)
    return image


def jpeg_damage(source: Path) -> str | None:
    """Return what is wrong with a JPEG that can be read nevertheless.

    After a zeroed block, for example, the rest of a picture may be grey or shifted.

    Args:
        source: The file, which is decoded twice; upscaling takes many times as long.

    Returns:
        What is wrong, in a few words; None for any other file, and for what cameras and scanners
        are known to write: bytes between the parts of a header, before markers, and at the end.
    """
    begin = jpeg_scan(source)
    if begin is None:
        return None
    content = source.read_bytes()
    end = _MARKER.search(content, begin)
    if end is None or end[0] != b"\xff\xd9":  # several scans
        said = _jpeg_warning(content)
    else:  # libvips notices neither data that ends within the last rows nor data that is left over
        data = content[: end.start()]
        said = _jpeg_warning(data + b"\xff\0" * _SLACK)
        has_restarts = b"\xff\xd0" in data[begin:]  # after which a scanner may write some more
        if not (said or has_restarts or _jpeg_warning(data.rstrip(b"\0\xff")[:-_SLACK])):
            return "more data than pixels"
    return None if _PADDED.search(said) else said.removeprefix("Corrupt JPEG data: ") or None


class Rows:
    """The rows of an opened picture, read from top to bottom.

    Each call must start within the rows of the call before, or right after them: those rows are
    kept.

    Args:
        picture: A picture as `open_picture` returns it.
        source: Its file, for messages.
    """

    def __init__(self, picture: pyvips.Image, source: Path | bytes) -> None:
        self._region, self._source = pyvips.Region.new(picture), source
        self._dtype = np.uint16 if picture.format == "ushort" else np.uint8
        self._shape = (picture.width, picture.bands)
        self._top, self._kept = 0, np.empty((0, *self._shape), self._dtype)

    def __call__(self, top: int, bottom: int) -> np.ndarray:
        """Return some rows.

        Args:
            top: The first row.
            bottom: The row after the last one.

        Returns:
            uint8 or uint16 `(bottom - top, width, channels)`.

        Raises:
            ValueError: The file is damaged.
        """
        known = self._top + len(self._kept)
        self._kept, self._top = self._kept[top - self._top :], top
        if bottom > known:
            try:
                fetched = self._region.fetch(0, known, self._shape[0], bottom - known)
            except pyvips.Error as error:
                raise _unreadable(self._source, error) from error
            new = np.frombuffer(fetched, self._dtype).reshape(-1, *self._shape)
            self._kept = np.concatenate([self._kept, new])
        return self._kept[: bottom - top]


def _open_with_vips(source: Path | bytes) -> pyvips.Image:
    # A source, because libvips takes brackets in the name of a file for options.
    if isinstance(source, bytes):
        opened = pyvips.Source.new_from_memory(source)
    else:
        opened = pyvips.Source.new_from_file(os.fsencode(source))
    # "error" and not "truncated", which fills the missing part of a TIFF with black.
    return pyvips.Image.new_from_source(opened, "", access="sequential", fail_on="error")


def _open_with_heif(source: Path | bytes) -> pyvips.Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise ValueError(
            f"{_name(source)} is HEIC: `pip install pillow-heif`, which reads it, or convert it to "
            "PNG"
        ) from error
    try:
        file = pillow_heif.open_heif(source, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        too_large = file.size[0] * file.size[1] > MAX_PIXELS
        samples: np.ndarray = np.empty(0) if too_large else np.asarray(file)
    except Exception as error:  # libheif's errors, and those of what decodes for it
        raise _unreadable(source, error) from error
    if too_large:
        raise ValueError(f"{_name(source)} is too large to be read: save it as PNG")
    if samples.dtype == np.uint16:  # 10 or 12 bits: white must be 65535
        bits = int(file.info.get("bit_depth", 10))
        samples = (samples << (16 - bits)) | (samples >> (2 * bits - 16))
    image = pyvips.Image.new_from_array(np.ascontiguousarray(samples))
    kept = {"exif": "exif-data", "icc_profile": "icc-profile-data", "xmp": "xmp-data"}
    for name, field in kept.items():  # it is upright already, as phones seldom store it
        if content := file.info.get(name):
            image.set_type(pyvips.GValue.blob_type, field, content)
    return image


def _normalised(image: pyvips.Image) -> pyvips.Image:
    """Return an upright image in sRGB or grey, whose 16-bit samples use the full range."""
    if image.get_typeof("orientation") and image.get("orientation") > 1:
        image = image.copy_memory().autorot()  # rotating needs all rows in memory
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
    if image.format == "ushort" and image.get("vips-loader").startswith("heif"):
        # libvips shifts 10 and 12 bits to the top and leaves zeros below: white must be 65535.
        image = image | (image >> image.get("bits-per-sample"))
    return image


def _open_with_pillow(source: Path | bytes) -> pyvips.Image:
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.Image import DecompressionBombError
    from PIL.PpmImagePlugin import PpmImageFile

    file = io.BytesIO(source) if isinstance(source, bytes) else source
    opener = BmpImageFile if first_bytes(source, 2) == b"BM" else PpmImageFile
    try:
        with opener(file) as picture:
            if picture.width * picture.height > MAX_WHOLE:
                raise DecompressionBombError  # as Image.open does, which also warns of half as many
            layout = picture.tile[0].args  # of a PPM: mode, highest value
            wide = isinstance(layout, tuple) and layout[0] == "RGB" and layout[1] > 255
            if picture.mode == "I":  # a 16-bit PGM
                return pyvips.Image.new_from_array(np.asarray(picture).astype(np.uint16))
            samples = np.asarray(picture.convert({"1": "L", "P": "RGB"}.get(picture.mode)))
            across, down = picture.info.get("dpi", (0, 0))
    except DecompressionBombError as error:
        raise ValueError(f"{_name(source)} is too large to be read: save it as PNG") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise _unreadable(source, error) from error
    if wide:
        raise ValueError(f"{_name(source)} is a 16-bit PPM: save it as a 16-bit PNG or TIFF")
    opened = pyvips.Image.new_from_array(samples)
    if not across or not down:
        return opened
    opened = opened.copy(xres=across / 25.4, yres=down / 25.4)  # libvips counts per mm
    return _with_unit(opened)


def _jpeg_warning(content: bytes) -> str:
    """Return what libjpeg says first of a JPEG, or nothing."""
    opened = pyvips.Source.new_from_memory(content)
    try:
        pyvips.Image.jpegload_source(opened, access="sequential", fail_on="warning").avg()
    except pyvips.Error as error:
        return str(error).strip().splitlines()[-1].partition("VipsJpeg: ")[2] or "unreadable"
    return ""


def _with_unit(image: pyvips.Image) -> pyvips.Image:
    """Return an image whose resolution is known, as libvips says of JPEG and TIFF only."""
    image = image.copy()
    image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    return image


def _name(source: Path | bytes) -> str:
    return "the file" if isinstance(source, bytes) else str(source)


def _unreadable(source: Path | bytes, error: Exception) -> ValueError:
    words = str(error).strip()
    if "known format" in words or "cannot identify" in words:
        remedy = "provide a complete PNG, JPEG, TIFF, WebP, AVIF, GIF, BMP or PPM"
        return ValueError(f"{_name(source)} is not a complete picture: {remedy}")
    reason = words.splitlines()[-1].strip() if words else type(error).__name__
    return ValueError(
        f"{_name(source)} is damaged or cut short ({reason}): copy or download it again"
    )
