"""A Hugging Face Hub on loopback that serves one model from a folder."""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

COMMIT = "0" * 40


@contextlib.contextmanager
def serving(folder: Path, name: str) -> Iterator[tuple[str, list[str]]]:
    """(address, requested paths) of a hub that knows the model `name`."""
    asked: list[str] = []
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = self.path.split("?")[0]
            asked.append(path)
            if path.startswith(f"/api/models/{name}/tree/"):
                return self.send(json.dumps([listed(file, data) for file, data in files.items()]).encode(), body)
            if path.startswith(f"/api/models/{name}"):
                about = {
                    "id": name,
                    "modelId": name,
                    "sha": COMMIT,
                    "siblings": [{"rfilename": file} for file in files],
                }
                return self.send(json.dumps(about).encode(), body)
            file = path.rsplit("/", 1)[-1]
            if path.startswith(f"/{name}/resolve/") and file in files:
                return self.send(files[file], body, etag=hashlib.sha1(files[file]).hexdigest())
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()

        def send(self, data, body, etag="list"):
            self.send_response(200)
            self.send_header("Content-Type", "application/json" if etag == "list" else "application/octet-stream")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def listed(file: str, data: bytes) -> dict:
    return {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
