"""A model hub on this machine: as much of its protocol as a download needs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving(models: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """Serve folders under their ids; yield the address and the list of files asked for."""
    server = _Hub(models)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked
    finally:
        server.shutdown()
        server.server_close()


class _Hub(ThreadingHTTPServer):
    def __init__(self, models: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models = models
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.removeprefix("/")
        if not path.startswith("api/models/"):
            self._send_file(path)
            return
        path = path.removeprefix("api/models/")
        if "/tree/" in path:
            identifier, _, revision = path.partition("/tree/")
            self._describe(identifier, revision, tree=True)
        else:
            identifier, _, revision = path.partition("/revision/")
            self._describe(identifier, revision, tree=False)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _describe(self, identifier: str, revision: str, *, tree: bool) -> None:
        folder = self.server.models.get(identifier)
        if folder is None:
            self._answer(404, {"error": "Repository not found"}, "RepoNotFound")
            return
        if revision not in ("", "main", REVISION):
            self._answer(404, {"error": "Revision not found"}, "RevisionNotFound")
            return
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        if tree:
            self._answer(
                200,
                [
                    {"type": "file", "path": name, "size": size, "oid": "0"}
                    for name, size in files.items()
                ],
            )
        else:
            siblings = [{"rfilename": name, "size": size} for name, size in files.items()]
            self._answer(200, {"id": identifier, "sha": REVISION, "siblings": siblings})

    def _send_file(self, path: str) -> None:
        identifier, _, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        file = self.server.models.get(identifier, Path()) / name
        if not file.is_file():
            self._answer(404, {"error": "Entry not found"}, "EntryNotFound")
            return
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.server.asked.append(name)
            self.wfile.write(data)

    def _answer(self, status: int, value: object, error: str | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        if error:
            self.send_header("X-Error-Code", error)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Stay quiet."""
