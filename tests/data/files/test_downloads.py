from __future__ import annotations

import http.client
import socket
import tarfile

import pytest

from maecli import api


def message(why: str) -> str:
    return f"it is not here and {why}"


def test_progress_goes_to_stderr(capsys):
    with api.downloading(message):
        print("100%")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "100%\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (RuntimeError("File not found\n  or corrupted."), "File not found or corrupted."),
        (tarfile.ReadError("unexpected end of data"), "unexpected end of data"),
        (http.client.IncompleteRead(b"abc", 5), "IncompleteRead(3 bytes read, 5 more expected)"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_failure_is_one_sentence(error, words):
    with pytest.raises(api.DataError) as caught, api.downloading(message):
        raise error
    assert str(caught.value) == f"it is not here and the download failed: {words}"
    assert caught.value.__cause__ is error


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), api.downloading(message):
        raise KeyError("bug")


def test_connections_are_limited_in_time_during_the_download_only():
    before = socket.getdefaulttimeout()
    with api.downloading(message):
        assert socket.getdefaulttimeout() == 30.0
    assert socket.getdefaulttimeout() == before
