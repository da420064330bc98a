"""A service of the new host: tells whoever connects to port 7000 which host answers, and on which address."""

from __future__ import annotations

import socket
import socketserver


class Greeting(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Say one line: the host's name and the address that was called."""
        address = self.connection.getsockname()[0]
        self.wfile.write(f"{socket.gethostname()} {address}\n".encode())


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("0.0.0.0", 7000), Greeting) as server:
        server.serve_forever()
