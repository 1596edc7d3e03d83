"""The Hub on this machine, as huggingface_hub speaks to it: data sets, commits, pull requests.

It answers what the client asks for when it lists, downloads and commits, large files (LFS) too.
Its own rules are few: a commit is a mapping of paths to contents, a pull request one more branch.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import huggingface_hub
import pytest
from huggingface_hub import constants

LARGE = (".jsonl", ".bin")  # endings of files that are stored apart
Files = dict[str, bytes]


class FakeHub:
    """`repositories` are the files of each branch by name; `asked` what was asked for, in order.

    `ignored` are endings that a .gitignore names. `sizes` are sizes that it claims. `sent` are
    contents that it sends in the place of others. Requests whose path has `fails_at` in it fail.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, Files]] = {}
        self.requests: dict[str, list[dict[str, Any]]] = {}
        self.stored: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.ignored: tuple[str, ...] = ()
        self.sizes: dict[str, int] = {}
        self.sent: Files = {}
        self.token = "hf_fake"
        self.fails_at = ""
        self.url = ""

    def add(self, name: str, files: Files) -> None:
        """Makes a data set with these files on its main branch."""
        self.repositories[name] = {"main": dict(files)}
        self.requests[name] = []

    def files(self, name: str, branch: str = "main") -> Files:
        return self.repositories[name][branch]

    @contextmanager
    def run(self) -> Iterator["FakeHub"]:
        http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        http.daemon_threads = True
        http.block_on_close = False
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{http.server_port}"
        yield self
        http.shutdown()
        http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = self.headers.get("content-length")
                body = self.rfile.read(int(length)) if length else self._chunks()
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                hub.asked.append(f"{self.command} {unquote(path)}")
                if hub.fails_at and hub.fails_at in path:
                    status, headers, content = 403, {}, b"broken"
                elif self.command in ("POST", "PUT") and not hub._may_write(self.headers, path):
                    status, headers, content = 401, {}, b'{"error": "no token"}'
                else:
                    status, headers, content = hub._reply(self.command, path, query, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "content-length" not in {name.lower() for name in headers}:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def _chunks(self) -> bytes:
                body = b""
                while self.headers.get("transfer-encoding") == "chunked":
                    size = int(self.rfile.readline(), 16)
                    body += self.rfile.read(size)
                    self.rfile.readline()
                    if not size:
                        break
                return body

            do_GET = do_HEAD = do_POST = do_PUT = _answer

            def log_message(self, *said: Any) -> None:
                pass

        return Handler

    def _may_write(self, headers: Any, path: str) -> bool:
        return "/lfs-store/" in path or headers.get("authorization") == f"Bearer {self.token}"

    def _reply(
        self, verb: str, path: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if "/lfs-store/" in path:
            self.stored[path.rsplit("/", 1)[1]] = body
            return 200, {}, b""
        if path.endswith("/info/lfs/objects/batch"):
            return _json(self._batch(json.loads(body)))
        parts = path.strip("/").split("/")
        api = parts[0] == "api"
        name = "/".join(parts[2:4] if api else parts[1:3])
        if name not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if not api:
            return self._resolve(verb, name, unquote(parts[4]), unquote("/".join(parts[5:])))
        what, rest = parts[4] if len(parts) > 4 else "", [unquote(part) for part in parts[5:]]
        if what in ("", "revision"):
            return self._info(name, rest[0] if rest else "main")
        if what == "tree":
            return self._tree(name, rest[0])
        if what == "preupload":
            return _json(self._preupload(json.loads(body)))
        if what == "commit":
            return self._commit(name, body, "create_pr" in query)
        if what == "discussions":
            found = self.requests[name]
            return _json({"discussions": found, "count": len(found), "start": 0})
        raise AssertionError(f"the fake Hub knows no {verb} {path}")

    def _branch(self, name: str, revision: str) -> Files | None:
        branches = self.repositories[name]
        by_commit = {_commit_of(files): files for files in branches.values()}
        return branches.get(revision, by_commit.get(revision))

    def _info(self, name: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        files = self._branch(name, revision)
        if files is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        siblings = [{"rfilename": path} for path in files]
        return _json({"id": name, "sha": _commit_of(files), "siblings": siblings, "tags": []})

    def _tree(self, name: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        files = self._branch(name, revision)
        assert files is not None
        entries: list[dict[str, Any]] = []
        for path, content in files.items():
            size = self.sizes.get(path, len(content))
            entry = {"type": "file", "path": path, "size": size, "oid": _blob(content)}
            if path.endswith(LARGE):
                entry["lfs"] = {"oid": _sha256(content), "size": size, "pointerSize": 120}
            entries.append(entry)
        return _json(entries)

    def _resolve(
        self, verb: str, name: str, revision: str, path: str
    ) -> tuple[int, dict[str, str], bytes]:
        files = self._branch(name, revision)
        if files is None or path not in files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        content = self.sent.get(path, files[path])
        etag = _sha256(files[path]) if path.endswith(LARGE) else _blob(files[path])
        headers = {"X-Repo-Commit": _commit_of(files), "ETag": f'"{etag}"'}
        return 200, {**headers, "Content-Length": str(len(content))}, content

    def _preupload(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": file["path"].endswith(self.ignored) if self.ignored else False,
                }
                for file in asked["files"]
            ]
        }

    def _batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        objects = []
        for item in asked["objects"]:
            store = {"href": f"{self.url}/lfs-store/{item['oid']}"}
            known = item["oid"] in self.stored
            objects.append({**item, **({} if known else {"actions": {"upload": store}})})
        return {"transfer": "basic", "objects": objects}

    def _commit(
        self, name: str, body: bytes, as_request: bool
    ) -> tuple[int, dict[str, str], bytes]:
        lines = [json.loads(line) for line in body.decode().splitlines()]
        header = lines[0]["value"]
        main = self.repositories[name]["main"]
        if header.get("parentCommit", _commit_of(main)) != _commit_of(main) and not as_request:
            return 412, {}, b'{"error": "the branch has moved"}'
        files = dict(main)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.stored[value["oid"]]
        self.messages.append(header)
        branch = "main"
        made = {"commitUrl": f"{self.url}/datasets/{name}/commit/{_commit_of(files)}"}
        if as_request:
            branch = self._open(name, header["summary"])
            number = branch.rsplit("/", 1)[1]
            made["pullRequestUrl"] = f"{self.url}/datasets/{name}/discussions/{number}"
        self.repositories[name][branch] = files
        return _json({**made, "commitOid": _commit_of(files), "success": True})

    def _open(self, name: str, title: str) -> str:
        number = len(self.requests[name]) + 1
        self.requests[name].append(
            {
                "title": title,
                "num": number,
                "author": {"name": "me"},
                "createdAt": "2026-01-02T03:04:05.000Z",
                "status": "open",
                "isPullRequest": True,
                "repo": {"name": name, "type": "dataset"},
            }
        )
        return f"refs/pr/{number}"


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json"}, json.dumps(value).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _commit_of(files: Files) -> str:
    told = "".join(f"{path} {_blob(files[path])}\n" for path in sorted(files))
    return hashlib.sha1(told.encode()).hexdigest()


@contextmanager
def hub(
    monkeypatch: pytest.MonkeyPatch, cache: Any, *, token: str | None = "hf_fake"
) -> Iterator[FakeHub]:
    """A fake Hub that is the client's during the block, with an empty cache."""
    with FakeHub().run() as running:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            running.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
        if token is None:
            monkeypatch.delenv("HF_TOKEN", raising=False)
        else:
            monkeypatch.setenv("HF_TOKEN", token)
        huggingface_hub.close_session()
        yield running
        huggingface_hub.close_session()
