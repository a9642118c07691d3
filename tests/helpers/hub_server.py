"""A Hugging Face hub on loopback, as far as its client needs one to fetch a model."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories are folders `OWNER/NAME` below a root."""

    root: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """The paths of all requests."""
    gated: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    """Files that arrive with other bytes than the hub says."""
    captive: bool = False
    """Whether a portal answers everything with a page to log in."""
    status: int = 0
    """What everything is answered with, where it is not 0."""


@contextmanager
def hub(root: Path) -> Iterator[Hub]:
    served = Hub(root)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
            served.asked.append(path)
            parts = path.strip("/").split("/")
            if served.status:
                self._refuse(served.status, "")
            elif served.captive:
                self._send(b"<html>log in</html>", {"Content-Type": "text/html"})
            elif parts[:2] == ["api", "models"]:
                self._describe("/".join(parts[2:4]), parts[4:])
            elif len(parts) > 4 and parts[2] == "resolve":
                self._send_file("/".join(parts[:2]), "/".join(parts[4:]))
            else:
                self._refuse(404, "")

        def _describe(self, repo: str, rest: list[str]) -> None:
            folder = served.root / repo
            if not folder.is_dir():
                self._refuse(401, "RepoNotFound")
            elif repo in served.gated:
                self._refuse(403, "GatedRepo")
            elif rest[:1] == ["revision"] and rest[1] not in ("main", COMMIT):
                self._refuse(404, "RevisionNotFound")
            else:
                files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
                tree = rest[:1] == ["tree"]
                described = [_in_tree(path, folder) if tree else _sibling(path, folder) for path in files]
                model = {"id": repo, "sha": COMMIT, "siblings": described, "tags": [], "private": False}
                self._send(json.dumps(described if tree else model).encode(), {"Content-Type": "application/json"})

        def _send_file(self, repo: str, name: str) -> None:
            path = served.root / repo / name
            if not path.is_file():
                self._refuse(404, "EntryNotFound")
                return
            content = bytes(path.stat().st_size) if name in served.damaged else path.read_bytes()
            self._send(content, {"ETag": f'"{_sha256(path)}"', "X-Repo-Commit": COMMIT})

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def _sibling(path: Path, folder: Path) -> dict[str, Any]:
    size = path.stat().st_size
    lfs = {"size": size, "sha256": _sha256(path), "pointerSize": 130}
    return {"rfilename": path.relative_to(folder).as_posix(), "size": size, "blobId": "0" * 40, "lfs": lfs}


def _in_tree(path: Path, folder: Path) -> dict[str, Any]:
    file = _sibling(path, folder)
    lfs = file["lfs"] | {"oid": file["lfs"]["sha256"]}
    return {"type": "file", "path": file["rfilename"], "size": file["size"], "oid": "0" * 40, "lfs": lfs}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
