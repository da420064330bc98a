"""A service of the new host: replies on port 7000 with the host name and the requested address."""

from __future__ import annotations

import socket
import socketserver


class Greeting(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Send one line: the host name and the requested address."""
        address = self.connection.getsockname()[0]
        self.wfile.write(f"{socket.gethostname()} {address}\n".encode())


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("0.0.0.0", 7000), Greeting) as server:
        server.serve_forever()
