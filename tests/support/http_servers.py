"""Servers on this machine, for downloads: obedient ones, and ones that say what they please."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


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
