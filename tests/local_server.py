"""What the servers of the tests share: quiet, for many clients at once, some of which are killed."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_):  # clients that are killed
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass
