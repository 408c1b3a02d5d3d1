#!/usr/bin/env python3
"""A server for tests/download.sh, tests/fetch.sh and tests/parquet.sh: files of a folder, with every way a download goes wrong.

    http_server.py FOLDER LOG PORTS

Serves /BEHAVIOUR/FILE on two ports of 127.0.0.1, which it writes to PORTS. Each request becomes a line
of LOG: port (first or second), path, range, token, status.
"""
import hashlib
import os
import sys
import threading
import time

import local_server

folder, log, ports_file = sys.argv[1:]
servers = []
seen = {}  # how often a path was asked for
lock = threading.Lock()
PAGE = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n" * 20


class Handler(local_server.Handler):
    def note(self, status):
        name = "first" if self.server is servers[0] else "second"
        token = self.headers.get("Authorization", "-").replace("Bearer ", "")
        with lock, open(log, "a") as out:
            out.write(f"{name} {self.path} {self.headers.get('Range', '-')} {token} {status}\n")

    def plain(self, status, body=b"", **headers):
        self.note(status)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def file(self, body, ranges=True, etag=True, length=True, stop_at=None, pause=0.0, kind="application/octet-stream"):
        """Sends a file or the rest of it; `stop_at` bytes and the connection breaks off."""
        tag = '"' + hashlib.md5(body).hexdigest() + '"'
        begin, status, wanted, total = 0, 200, self.headers.get("Range"), len(body)
        if ranges and wanted and self.headers.get("If-Range", tag) == tag:
            begin, last = wanted[len("bytes="):].split("-")
            begin, status = int(begin), 206
            if begin >= len(body):
                return self.plain(416)
            if last:
                body = body[:int(last) + 1]
        self.note(status)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if etag:
            self.send_header("ETag", tag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{total}")
        if length:
            self.send_header("Content-Length", str(len(body) - begin))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        end = len(body) if stop_at is None else min(len(body), stop_at)
        for at in range(begin, end, 1 << 16):
            self.wfile.write(body[at:min(end, at + (1 << 16))])
            time.sleep(pause)
        if end < len(body):
            self.close_connection = True

    def do_GET(self):
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self):
        behaviour, name = self.path[1:].split("/", 1)
        with lock:
            seen[self.path] = seen.get(self.path, 0) + 1
            count = seen[self.path]
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            return self.plain(404, b"not here")
        with open(path, "rb") as file:
            body = file.read()
        if behaviour == "plain":
            return self.file(body)
        if behaviour == "slow":
            return self.file(body, pause=0.08)
        if behaviour == "cut":  # after a third, then after another, then all
            return self.file(body, stop_at=len(body) * count // 3 if count < 3 else None)
        if behaviour == "cut_without_length":  # nothing tells the client that more was to come
            return self.file(body, length=False, stop_at=len(body) // 2 if count == 1 else None)
        if behaviour == "without_length":
            return self.file(body, length=False, etag=False)
        if behaviour == "without_range":
            return self.file(body, ranges=False, etag=False, stop_at=len(body) // 2 if count == 1 else None)
        if behaviour == "breaks":
            return self.file(body, stop_at=len(body) // 2)
        if behaviour == "stalls":  # for longer than any client of ours waits
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            return time.sleep(60)
        if behaviour == "chunks":  # an end, but no length
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            return self.wfile.write(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        if behaviour == "truncated":
            return self.file(body[:-1000])
        if behaviour == "page":
            return self.plain(200, PAGE, Content_Type="text/html; charset=utf-8")
        if behaviour == "page_as_bytes":
            return self.plain(200, PAGE, Content_Type="application/octet-stream")
        if behaviour == "busy" and count == 1:
            return self.plain(429, b"later", Retry_After="1")
        if behaviour == "failing" and count == 1 or behaviour == "failed":
            return self.plain(500, b"oh")
        if behaviour in ("busy", "failing"):
            return self.file(body)
        if behaviour == "moved":  # on the same host
            return self.plain(302, b"there", Location="/gated/" + name)
        if behaviour == "elsewhere":  # as a hub hands over to a content network
            digest = hashlib.sha256(body).hexdigest()
            address = f"http://127.0.0.1:{servers[1].server_port}/plain/{name}"
            return self.plain(302, b"there", Location=address, X_Linked_Size=str(len(body)),
                              X_Linked_ETag=f'"{digest}"')
        if behaviour == "elsewhere_damaged":
            address = f"http://127.0.0.1:{servers[1].server_port}/plain/{name}"
            return self.plain(302, b"there", Location=address, X_Linked_Size=str(len(body)),
                              X_Linked_ETag='"' + "0" * 64 + '"')
        if behaviour == "loop":
            return self.plain(302, b"there", Location=self.path)
        if behaviour == "gated":
            token = self.headers.get("Authorization")
            if token is None:
                return self.plain(401, PAGE, Content_Type="text/html")
            return self.file(body) if token == "Bearer secret" else self.plain(403, b"no")
        return self.plain(404, b"no such behaviour")


for _ in range(2):
    servers.append(local_server.Server(("127.0.0.1", 0), Handler))
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open(ports_file + ".partial", "w") as out:
    out.write(" ".join(str(server.server_port) for server in servers) + "\n")
os.rename(ports_file + ".partial", ports_file)
threading.Event().wait()
