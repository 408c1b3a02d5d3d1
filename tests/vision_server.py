#!/usr/bin/env python3
"""A vision endpoint for tests/caption.sh, with every way one goes wrong.

    vision_server.py FOLDER SIZE MODEL PROMPT

Serves /BEHAVIOUR/v1/chat/completions on a port of 127.0.0.1, which it writes to FOLDER/port. A caption names
the SHA-256 of the picture that came. A request that is not of the right form (a JPEG of at most SIZE pixels,
MODEL, PROMPT) gets status 422. The height of a picture chooses what goes wrong with it. Each request becomes
a line of FOLDER/log: behaviour, status, digest of the picture, its size, key.
"""
import base64
import hashlib
import json
import os
import select
import struct
import sys
import threading
import time

import local_server

folder, size, model, prompt = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
lock = threading.Lock()
seen = {}  # how often a picture came
num_let_through = 0


def jpeg_size(data):
    assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "no JPEG"
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    height, width = struct.unpack(">HH", data[at + 5:at + 9])
    return width, height


def picture_of(request):
    assert request["model"] == model, "model"
    assert isinstance(request["max_tokens"], int) and 0 <= request["temperature"] <= 2, "parameters"
    (message,) = request["messages"]
    picture, text = message["content"]
    assert message["role"] == "user" and picture["type"] == "image_url" and text["type"] == "text", "types"
    assert text["text"] == prompt, "prompt"
    head, data = picture["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64", "data URL"
    data = base64.b64decode(data, validate=True)
    assert max(jpeg_size(data)) <= size, "size"
    return data


class Handler(local_server.Handler):
    def note(self, status):
        key = self.headers.get("Authorization", "-").replace("Bearer ", "")
        with lock, open(os.path.join(folder, "log"), "a") as out:
            out.write(f"{self.behaviour} {status} {self.digest} {self.shape} {key}\n")

    def send(self, status, body, stop_at=None, **headers):
        self.note(status)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:stop_at])
        if stop_at is not None:
            self.close_connection = True

    def error(self, status, message, **headers):
        self.send(status, json.dumps({"error": {"message": message}}).encode(), **headers)

    def say(self, content, end="stop", **how):
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": end}
        self.send(200, json.dumps({"choices": [choice]}).encode(), **how)

    def do_POST(self):
        self.behaviour, self.digest, self.shape = self.path.split("/")[1], "-", "-"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            assert self.path == f"/{self.behaviour}/v1/chat/completions", "path"
            assert self.headers["Content-Type"] == "application/json", "content type"
            picture = picture_of(json.loads(body))
        except (AssertionError, KeyError, ValueError, IndexError) as problem:
            return self.error(422, f"not of the right form: {problem}")
        self.digest = hashlib.sha256(picture).hexdigest()
        width, height = jpeg_size(picture)
        self.shape = f"{width}x{height}"
        with lock:
            seen[self.digest] = seen.get(self.digest, 0) + 1
        try:
            self.answer(height, seen[self.digest], f'A "picture" {self.digest}')
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, height, count, caption):
        key = self.headers.get("Authorization")
        if self.behaviour == "gated" and key != "Bearer secret":
            return self.error(401 if key is None else 403, f"wrong key: {key}")
        if self.behaviour == "down":
            return self.error(503, "down")
        if self.behaviour == "moved":
            return self.send(307, b"", Location="/elsewhere/v1/chat/completions")
        if self.behaviour == "nowhere":
            return self.error(404, "no such model")
        if self.behaviour == "held":
            if not self.gets_a_turn():
                self.close_connection = True
                return None
        if height == 21 and count == 1:
            return self.error(429, "later", Retry_After="1")
        if height == 22 and count <= 2:
            return self.error(500, "oh")
        if height == 23 and count == 1:
            self.note("cut")
            self.close_connection = True
            return self.connection.close()
        if height == 24 and count == 1:
            return self.say(caption, stop_at=30)
        if height == 25 and count == 1:  # silent until the client goes
            self.note("silent")
            self.connection.recv(1)
            self.close_connection = True
            return None
        if height == 26:
            return self.send(200, b'{"choices": [{"message"')
        if height == 27:
            return self.say(" \n")
        if height == 28:
            return self.error(400, f"not this one, and not by {key}")
        if height == 29:
            return self.say("A pict", end="length")
        if height == 30:
            return self.send(200, b'{"choices": []}')
        if height == 31:
            return self.say(f"<think>\nhm\n</think>\n\n{caption}\n")
        if height == 32:
            return self.send(200, b" " * 9_000_000)
        return self.say(caption)

    def gets_a_turn(self):
        """FOLDER/turns says how many answers there may be in all; a client that is gone gets none."""
        global num_let_through
        while True:
            if select.select([self.connection], [], [], 0)[0]:
                return False
            with open(os.path.join(folder, "turns")) as file:
                num_turns = int(file.read())
            with lock:
                if num_let_through < num_turns:
                    num_let_through += 1
                    return True
            time.sleep(0.02)


server = local_server.Server(("127.0.0.1", 0), Handler)
with open(os.path.join(folder, "port.partial"), "w") as out:
    out.write(f"{server.server_port}\n")
os.rename(os.path.join(folder, "port.partial"), os.path.join(folder, "port"))
server.serve_forever()
