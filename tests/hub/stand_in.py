"""A Hub on this machine: the calls that huggingface_hub makes to create, commit, list and download, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

# Files of these kinds go the way of large files, as the Hub has it.
LARGE = (".safetensors", ".faiss", ".arrow", ".bin")
LICENSES = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "other", "unknown")
PIPELINE_TAGS = ("feature-extraction", "image-text-to-text", "text-ranking", "visual-question-answering")


@dataclass
class Repository:
    """Commits (each a table of files) and the branches that point to them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Put a commit on top of a branch; its 40 digits."""
        digest = hashlib.sha1(f"{branch} {len(self.commits)}".encode())
        for name in sorted(files):
            digest.update(name.encode() + hashlib.sha1(files[name]).digest())
        self.commits[digest.hexdigest()] = files
        self.branches[branch] = digest.hexdigest()
        return digest.hexdigest()


class RefusedError(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, code: str = "", text: str = "") -> None:
        super().__init__(text or code)
        self.status, self.code, self.text = status, code, text


class HubStandIn:
    """Repositories in memory behind an HTTP server on the loopback interface.

    `repositories` is keyed by (type, name); `log` holds every call as "METHOD path".
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.log: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def answer(self) -> None:
                hub.answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def files(self, name: str, repo_type: str = "model", revision: str = "main") -> dict[str, bytes]:
        """The files of a repository at a branch or commit."""
        repository = self.repositories[(repo_type, name)]
        return repository.commits[repository.branches.get(revision, revision)]

    def environment(self, home: Path) -> dict[str, str]:
        """Variables with which a process takes this for the Hub, with a cache of its own."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "PYTHONPATH"))}
        return {
            **kept,
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": "hf_standin",
            "HF_HOME": str(home),
            "HF_MODULES_CACHE": str(home / "modules"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one call."""
        url = urlsplit(handler.path)
        body = self._read_body(handler)
        self.log.append(f"{handler.command} {url.path}")
        headers: dict[str, str] = {}
        try:
            status, content = self._route(handler.command, unquote(url.path), parse_qs(url.query), body, headers)
        except RefusedError as refused:
            status, content = refused.status, refused.text or {"error": refused.code}
            headers |= {"X-Error-Code": refused.code} if refused.code else {}
        if isinstance(content, str):
            content = content.encode()
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers.setdefault("Content-Type", "application/json")
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    @staticmethod
    def _read_body(handler: BaseHTTPRequestHandler) -> bytes:
        if handler.headers.get("Transfer-Encoding") != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = []
        while length := int(handler.rfile.readline(), 16):
            parts.append(handler.rfile.read(length))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(parts)

    def _route(self, method: str, path: str, query: Any, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        if path == "/api/validate-yaml":
            return self._validate(json.loads(body)["content"])
        if path == "/api/whoami-v2":
            return 200, {"type": "user", "name": "me", "orgs": []}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if match := re.fullmatch(r"/large/([0-9a-f]{64})", path):
            self.large[match[1]] = body
            return 200, {}
        if match := re.fullmatch(r"/(?:datasets/)?[^/]+/[^/]+\.git/info/lfs/objects/batch", path):
            headers["Content-Type"] = "application/vnd.git-lfs+json"
            return 200, self._offer_uploads(json.loads(body)["objects"])
        if match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository = self._find("dataset" if match[1] else "model", match[2])
            return self._resolve(repository, match[3], match[4], headers)
        if match := re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/([a-z-]+)(?:/([^/]+)(?:/(.*))?)?)?", path):
            repository = self._find(match[1], match[2])
            return self._repository(method, match[2], repository, match[3], match[4] or "main", match[5], query, body)
        raise RefusedError(404, "NotFound")

    @staticmethod
    def _validate(content: str) -> tuple[int, Any]:
        """As strict as the Hub where a card is concerned: known license and pipeline tag, whole figures."""
        match = re.match(r"---\r?\n(.*?)\r?\n---", content, flags=re.DOTALL)
        data = yaml.safe_load(match[1]) if match else None
        if not isinstance(data, dict):
            raise RefusedError(400, text="the card has no metadata")
        if data.get("license", "unknown") not in LICENSES:
            raise RefusedError(400, text=f'"license" must be one of {", ".join(LICENSES)}')
        if "pipeline_tag" in data and data["pipeline_tag"] not in PIPELINE_TAGS:
            raise RefusedError(400, text=f"unknown pipeline_tag {data['pipeline_tag']}")
        for model in data.get("model-index", []):
            for result in model["results"]:
                if not {"task", "dataset", "metrics"} <= set(result) or not model["name"]:
                    raise RefusedError(400, text="model-index is not whole")
        return 200, {"errors": [], "warnings": []}

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        key = (asked.get("type") or "model", name)
        shown = {"url": f"{self.url}/{'datasets/' if key[0] == 'dataset' else ''}{name}", "id": name}
        if key in self.repositories:
            return 409, {"error": "exists", **shown}
        self.repositories[key] = Repository()
        self.repositories[key].commit("main", {})
        return 200, shown

    def _offer_uploads(self, objects: list[dict[str, Any]]) -> dict[str, Any]:
        offers = []
        for one in objects:
            offer = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.large:
                offer["actions"] = {"upload": {"href": f"{self.url}/large/{one['oid']}"}}
            offers.append(offer)
        return {"transfer": "basic", "objects": offers}

    def _find(self, repo_type: str, name: str) -> Repository:
        if (repo_type, name) not in self.repositories:
            raise RefusedError(404, "RepoNotFound")
        return self.repositories[(repo_type, name)]

    @staticmethod
    def _at(repository: Repository, revision: str) -> str:
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise RefusedError(404, "RevisionNotFound")
        return commit

    def _resolve(self, repository: Repository, revision: str, name: str, headers: dict[str, str]) -> tuple[int, Any]:
        commit = self._at(repository, revision)
        headers["X-Repo-Commit"] = commit
        if name not in repository.commits[commit]:
            raise RefusedError(404, "EntryNotFound")
        content = repository.commits[commit][name]
        headers |= {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        return 200, content

    def _repository(
        self,
        method: str,
        name: str,
        repository: Repository,
        verb: str | None,
        revision: str,
        below: str | None,
        query: Any,
        body: bytes,
    ) -> tuple[int, Any]:
        if verb == "branch" and method == "POST":
            if revision in repository.branches:
                return 409, {"error": "exists"}
            start = json.loads(body or b"{}").get("startingPoint") or "main"
            repository.branches[revision] = self._at(repository, start)
            return 200, {}
        commit = self._at(repository, revision)
        files = repository.commits[commit]
        if verb == "preupload":
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            return 200, {"files": modes, "commitOid": commit}
        if verb == "commit":
            return 200, self._commit(name, repository, revision, commit, "create_pr" in query, body)
        if verb == "tree":
            return 200, self._tree(files, below, "true" in query.get("recursive", []))
        return 200, {
            "id": name,
            "sha": commit,
            "private": False,
            "tags": [],
            "siblings": [self._entry(path, content) for path, content in files.items()],
        }

    def _commit(
        self, name: str, repository: Repository, branch: str, parent: str, as_pull_request: bool, body: bytes
    ) -> dict[str, Any]:
        files = dict(repository.commits[parent])
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header" and value.get("parentCommit", parent) != parent:
                raise RefusedError(412, text="the branch has moved on")
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        made = repository.commit("refs/pr/1" if as_pull_request else branch, files)
        shown = {"success": True, "commitOid": made, "commitUrl": f"{self.url}/{name}/commit/{made}"}
        return {**shown, "pullRequestUrl": f"{self.url}/{name}/discussions/1"} if as_pull_request else shown

    def _tree(self, files: dict[str, bytes], below: str | None, recursive: bool) -> list[dict[str, Any]]:
        start = f"{below.rstrip('/')}/" if below else ""
        found = [self._entry(path, content) for path, content in files.items() if path.startswith(start)]
        if below and not found:
            raise RefusedError(404, "EntryNotFound")
        if recursive:
            return found
        inner = sorted({one["path"][len(start) :].split("/")[0] for one in found if "/" in one["path"][len(start) :]})
        folders = [{"type": "directory", "path": start + folder, "oid": "0" * 40, "size": 0} for folder in inner]
        return [one for one in found if "/" not in one["path"][len(start) :]] + folders

    @staticmethod
    def _entry(path: str, content: bytes) -> dict[str, Any]:
        oid = hashlib.sha1(content).hexdigest()
        return {"type": "file", "path": path, "rfilename": path, "oid": oid, "size": len(content)}
