from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from maecli.errors import MaeError
from maecli.storage.lock import Locked, locked

HOLDER = """
import os, sys, time
from pathlib import Path
from maecli.storage.lock import locked
with locked(Path(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(30)  # a reading process, which outlives its parent
        os._exit(0)
    print("held", flush=True)
    time.sleep(30)
"""


def test_the_second_is_refused_and_told_who_has_it(tmp_path):
    with locked(tmp_path), pytest.raises(Locked) as caught, locked(tmp_path):
        pass
    assert str(caught.value) == (
        f"{tmp_path} is being written by process {os.getpid()} on {socket.gethostname()}; wait for it to end, or use "
        "another --out"
    )


def test_who_waits_is_told_once_for_whom(tmp_path):
    first, told = contextlib.ExitStack(), []
    first.enter_context(locked(tmp_path))

    def waiting(line):
        told.append(line)
        first.close()

    with locked(tmp_path, wait_s=60, waiting=waiting):
        pass
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    assert told == [f"{tmp_path} is being written by {holder}: waiting up to 60 s for it to end"]


def test_it_is_free_again_afterwards_and_leaves_nothing(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "new/run"):
            assert (tmp_path / "new/run/.mae/lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told_with_who_left_a_mark_there(tmp_path, monkeypatch):
    with locked(tmp_path) as note:
        assert note == ""

    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", unsupported)
    told = f"{tmp_path} is on a file system without locks, so no second process is kept from writing there"
    with locked(tmp_path) as note:
        assert note == told
    (tmp_path / ".mae").mkdir(exist_ok=True)
    (tmp_path / ".mae/lock").write_text("process 12 on node7")  # as a host leaves it that died
    with locked(tmp_path) as note:
        assert note == f"{told}; process 12 on node7 began to and has not said that it ended: make sure that it has"
    assert not (tmp_path / ".mae/lock").exists()


def test_a_disk_that_fails_is_no_second_writer(tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "lockf", fails)
        with pytest.raises(MaeError, match=f"^cannot write {tmp_path}: Input/output error") as caught, locked(tmp_path):
            pass
    assert not isinstance(caught.value, Locked)
    with locked(tmp_path):
        pass


def test_a_link_to_nothing_is_told_at_once(tmp_path):
    link = tmp_path / "scratch"
    link.symlink_to(tmp_path / "gone")
    for folder in (link, link / "run"):
        with (
            pytest.raises(MaeError, match=f"^{link} is a link to {tmp_path / 'gone'}, which is not there"),
            locked(folder),
        ):
            pass
    assert list(tmp_path.iterdir()) == [link]


def test_a_folder_that_is_gone_however_often_it_is_made_is_told(tmp_path, monkeypatch):
    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(Path, "mkdir", gone)  # as of /proc
    with pytest.raises(MaeError, match=f"^cannot write {tmp_path / 'run'}: No such file"), locked(tmp_path / "run"):
        pass


def test_a_file_of_someone_that_is_called_so_is_left_alone(tmp_path):
    (tmp_path / ".mae").mkdir()
    (tmp_path / ".mae/lock").write_text("mine")
    with pytest.raises(MaeError, match="is no lock of mae's, so it stays as it is"), locked(tmp_path):
        pass
    assert (tmp_path / ".mae/lock").read_text() == "mine"


def test_a_folder_that_was_filled_stays(tmp_path):
    with locked(tmp_path / "run"):
        (tmp_path / "run/file").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["file"]


def test_threads_of_one_process_exclude_each_other(tmp_path):
    inside, seen = [0], []

    def enter() -> None:
        with locked(tmp_path, wait_s=20):
            inside[0] += 1
            seen.append(inside[0])
            time.sleep(0.01)
            inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_another_process_is_excluded_until_it_dies_even_if_its_children_live_on(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked, match=f"is being written by process {holder.pid} on "), locked(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with locked(tmp_path):
            pass
        os.killpg(holder.pid, signal.SIGKILL)


def test_many_processes_take_turns(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from maecli.storage.lock import locked\n"
        "for _ in range(20):\n"
        "    with locked(Path(sys.argv[1]), wait_s=60):\n"
        "        file = Path(sys.argv[1], 'count'); n = int(file.read_text()); time.sleep(0.001)\n"
        "        file.write_text(str(n + 1))\n"
    )
    (tmp_path / "count").write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(timeout=100) for process in processes] == [0] * 4
    assert Path(tmp_path, "count").read_text() == "80"
