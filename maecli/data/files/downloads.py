"""Downloading by torchvision: with a time limit, progress on stderr, and one sentence when it fails."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import tarfile
from collections.abc import Callable, Iterator

from maecli.errors import DataError

TIMEOUT_SECONDS = 30.0


@contextlib.contextmanager
def downloading(message: Callable[[str], str]) -> Iterator[None]:
    """Run a download by torchvision, whose progress goes to stderr.

    Raises `DataError` if it fails, with what `message` makes of the words "the download failed: …".
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)  # urllib would wait for ever behind a firewall
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (OSError, RuntimeError, ValueError, tarfile.TarError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(message(f"the download failed: {reason}")) from error
    finally:
        socket.setdefaulttimeout(timeout)
