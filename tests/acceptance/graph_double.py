"""A stand-in for the Cloud API that a test holds in its hands: the simulator is too proper."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

#: Asked with each request's JSON; answers with status and body.
Answering = Callable[[dict[str, Any]], tuple[int, bytes]]


def taken(wamid: str) -> tuple[int, bytes]:
    """The answer of a Cloud API that took the message under this id."""
    body = {"messaging_product": "whatsapp", "contacts": [], "messages": [{"id": wamid}]}
    return 200, json.dumps(body).encode()


@dataclass
class GraphDouble:
    """An HTTP server on a free port. Use as a context manager.

    Attributes:
        answering: what it answers; may be set at any time.
        received: the requests that came, in order.
        port: where it listens; 0 until then for any that is free.
    """

    answering: Answering
    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                asked = json.loads(self.rfile.read(length))
                double.received.append(asked)
                status, body = double.answering(asked)
                with suppress(ConnectionError):  # the caller may be gone by now
                    self.send_response(status)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def config(self) -> str:
        """The settings of a gateway whose only sender, `main`, is carried by this."""
        return f"""
        [senders.main]
        provider = "cloud"
        phone_number_id = "1065000077"
        access_token = "secret-access-token"
        app_secret = "secret-app-secret"
        verify_token = "secret-verify-token"
        graph_url = "http://127.0.0.1:{self.port}"
        """
