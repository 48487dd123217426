"""A registry in memory with an address of its own, and another host beside it that counts who comes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2


@contextmanager
def listening(answer):
    """Gives the host and port at which a function answers requests, on this machine only.

    Args:
        answer: Takes a request, and gives the answer.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def say(self):
            length = int(self.headers.get("Content-Length") or 0)
            url = f"http://{self.headers.get('Host', 'localhost')}{self.path}"
            found = answer(
                httpx2.Request(self.command, url, headers=dict(self.headers), content=self.rfile.read(length))
            )
            body = found.content
            self.send_response(found.status_code)
            for name, value in found.headers.items():
                if name.lower() not in ("content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", found.headers.get("Content-Length", str(len(body))))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = say

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Elsewhere:
    """Another host.

    Attributes:
        heard: The requests that came.
        answer: Takes a request, and gives the answer; a test may change it.
        place: Its host and port.
    """

    def __init__(self):
        self.heard = []
        self.answer = lambda request: httpx2.Response(200, json={"token": "t0ken"})
        self.place = ""

    def __call__(self, request):
        self.heard.append(request)
        return self.answer(request)


@contextmanager
def elsewhere():
    found = Elsewhere()
    with listening(found) as found.place:
        yield found
