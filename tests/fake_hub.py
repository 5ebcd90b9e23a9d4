"""A Hugging Face Hub on loopback that serves one model, or one data set, from a folder."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

COMMIT = "0" * 40


@contextlib.contextmanager
def serving(
    folder: Path,
    name: str,
    taken: dict | None = None,
    kind: str = "models",
    card: dict | None = None,
    converted: tuple[str, ...] | None = None,
) -> Iterator[tuple[str, list[str]]]:
    """(address, requested paths) of a hub that knows the model or data set `name`, with what its card says; what is
    pushed to it goes into `taken`. The files `converted` are those that the hub itself wrote as Parquet."""
    taken = {} if taken is None else taken
    asked: list[str] = []
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    resolved = f"/{name}/resolve/{COMMIT}/" if kind == "models" else f"/{kind}/{name}/resolve/{COMMIT}/"

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = self.path.split("?")[0]
            asked.append(path)
            if path.startswith(f"/api/{kind}/{name}/tree/"):
                return self.send(json.dumps([listed(file, data) for file, data in files.items()]).encode(), body)
            if path.startswith(f"/api/{kind}/{name}/revision/refs%2F") and converted is None:
                return self.refuse(404, "RevisionNotFound")
            if path.startswith(f"/api/{kind}/{name}"):
                there = [file for file in files if ("/revision/refs%2F" in path) == (file in (converted or ()))]
                about = {
                    "id": name,
                    "modelId": name,
                    "sha": COMMIT,
                    "siblings": [{"rfilename": file, "size": len(files[file])} for file in there],
                    "cardData": card,
                }
                return self.send(json.dumps(about).encode(), body)
            file = path.removeprefix(resolved).removeprefix(f"/{name}/resolve/main/")
            if file in files:
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

        def do_POST(self):
            """Make a repository, say how files travel, take a commit."""
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            path = self.path.split("?")[0]
            asked.append(path)
            if path == "/api/repos/create":
                wanted = json.loads(sent)
                made = "/".join(part for part in (wanted.get("organization"), wanted["name"]) if part)
                if made == name:
                    return self.refuse(409)
                taken[made] = {"visibility": wanted.get("visibility")}
                return self.send(
                    json.dumps({"url": f"http://{self.headers['Host']}/{made}", "id": made}).encode(), True
                )
            if "/preupload/" in path:
                plain = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
                found = [{"path": one["path"], **plain} for one in json.loads(sent)["files"]]
                return self.send(json.dumps({"files": found}).encode(), True)
            if "/commit/" not in path:
                return self.send(b"{}", True)
            repository = path.removeprefix("/api/models/").split("/commit/")[0]
            for line in map(json.loads, sent.splitlines()):
                if line["key"] == "file":
                    taken[repository][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            done = {"commitUrl": f"http://{self.headers['Host']}/{repository}/commit/{COMMIT}", "commitOid": COMMIT}
            return self.send(json.dumps(done).encode(), True)

        def refuse(self, status, code=None):
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

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
