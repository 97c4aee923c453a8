"""Download the files of a set, several at a time, verifying each before it gets its name."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import quote, urlsplit

from espcn.io.atomic import make_folder, sync_file, sync_folder
from espcn.progress import bar

Timeout = tuple[float, float]

TIMEOUT = (3.0, 10.0)  # seconds, to connect to one address of the host and between two packets
_CONNECTIONS = 8
_TRIES = 3  # for each file
_PAUSE = 0.5  # seconds between them

unreachable: set[str] = set()  # hosts, so that the next set does not wait for them again


def download(
    name: str,
    folder: Path,
    base_url: str,
    missing: Callable[[], Mapping[str, str]],
    timeout: Timeout = TIMEOUT,
) -> None:
    """Download files into a folder, several at a time; each gets its name once it is verified.

    If several jobs start together, one downloads; the others wait and then find nothing missing.

    Args:
        name: The set's name, for the progress bar.
        folder: Where the files go, under their base names.
        base_url: The address that paths are relative to.
        missing: Returns the SHA-256 of each missing file by its path.
        timeout: Seconds to wait for a connection, and between packets.

    Raises:
        ConnectionError: The host can't be reached.
        OSError: A file could not be downloaded; the ones before it stay.
        ValueError: A file does not match its SHA-256.
    """
    from filelock import FileLock

    host = urlsplit(base_url).netloc
    if host in unreachable:
        raise ConnectionError(f"{host} can't be reached")
    make_folder(folder)
    with FileLock(folder.parent / f".{name}.lock"):
        for stray in folder.glob("tmp????????"):  # of a download that was killed
            stray.unlink()
        wanted = missing()
        if wanted:
            _fetch_all(name, folder, base_url, wanted, timeout)
            sync_folder(folder)


def _fetch_all(
    name: str, folder: Path, base_url: str, registry: Mapping[str, str], timeout: Timeout
) -> None:
    """Fetch all of `registry`, several at a time; the first failed file cancels the rest."""
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    http = pooch.HTTPDownloader(timeout=timeout, chunk_size=2**16)
    host = urlsplit(base_url).netloc
    answered, stop = threading.Event(), threading.Event()

    def save(url: str, file: str, _: object) -> None:
        http(url, file, None)
        os.chmod(file, 0o644)  # only their owner can read pooch's temporary files
        sync_file(Path(file))

    def fetch(path: str) -> None:
        digest, file = f"sha256:{registry[path]}", os.path.basename(path)
        for left in reversed(range(_TRIES)):
            try:
                # Into a temporary file, which gets its name when its digest is right.
                pooch.retrieve(base_url + quote(path), digest, file, folder, downloader=save)
                answered.set()
                return
            except (OSError, ValueError) as error:
                if not _is_without_connection(error):
                    answered.set()
                elif not answered.is_set():  # a host that has answered gets its further tries
                    unreachable.add(host)
                    raise ConnectionError(f"{host} can't be reached") from error
                if left == 0 or stop.wait(_PAUSE):
                    raise

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        futures = [pool.submit(fetch, path) for path in registry]
        try:
            for future in bar(as_completed(futures), name, len(futures), unit="file", delay=0.5):
                future.result()
        except BaseException:  # Ctrl-C too
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _is_without_connection(error: Exception) -> bool:
    """Return whether the host could not be reached: unknown, refused, silent or untrusted."""
    from urllib3.exceptions import MaxRetryError  # requests wraps it, and only for these

    return any(isinstance(argument, MaxRetryError) for argument in error.args)
