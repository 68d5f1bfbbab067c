"""Servers on this machine, for downloads: obedient ones, and ones that say what they please."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """A running server and the requests it was sent, headers and all."""

    url: str
    requests: list[str] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        return [request.split()[0] for request in self.requests]


#: Writes the answer to a request, byte by byte as it is to go over the line.
Answer = Callable[[socket.socket], None]


def reply(body: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """An answer of these headers and this body, whether they agree or not."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""])
    return lambda connection: connection.sendall(head.encode("latin-1") + body)


def file(content: bytes) -> Answer:
    """What a sound server answers."""
    return reply(content, f"Content-Length: {len(content)}")


@contextmanager
def serving(answer: Answer, path: str = "/m.tflite") -> Iterator[Server]:
    """A server that answers a GET with `answer` and a HEAD with nothing, until this is left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}{path}")
        stop = threading.Event()

        def serve() -> None:
            listener.settimeout(0.02)
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(10)
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(4096)):
                    request += piece
                server.requests.append(request.decode("latin-1"))
                try:
                    (reply(b"") if request.startswith(b"HEAD") else answer)(connection)
                except OSError:
                    # The client has heard enough.
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            thread.join()


@dataclass
class Store:
    """A server that keeps what it is given with PUT, and the requests it was sent."""

    url: str
    kept: dict[str, bytes] = field(default_factory=dict)
    #: `GET /path` and so on.
    requests: list[str] = field(default_factory=list)


@contextmanager
def storing() -> Iterator[Store]:
    """A store of files by their paths, until this is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._noted()
            store.kept[self.path] = self._body()
            self._answer(201, b"")

        def do_GET(self) -> None:
            self._noted()
            found = store.kept.get(self.path)
            self._answer(404 if found is None else 200, found or b"")

        do_HEAD = do_GET  # noqa: N815

        def _noted(self) -> None:
            store.requests.append(f"{self.command} {self.path}")

        def _body(self) -> bytes:
            if "Content-Length" in self.headers:
                return self.rfile.read(int(self.headers["Content-Length"]))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        store = Store(f"http://127.0.0.1:{server.server_address[1]}/cache")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
