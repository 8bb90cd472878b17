"""A server on the loopback address that sends files whole, cut, damaged or not at all."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Sends files by name.

    Attributes:
        files: The content of each file.
        cut: How many bytes of an answer are sent before the connection ends, or None for all; each
            answer takes one from the list.
        ranges: Whether the server understands ranges.
        status: The status of every answer, or None.
        headers: Further headers.
        asked: The Range header of each request.
    """

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.cut = []
        self.ranges = True
        self.status = None
        self.headers = {}
        self.asked = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        content = server.files.get(self.path.rsplit("/", 1)[1])
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status is not None or content is None:
            self.send_error(server.status or 404)
            return
        tag = f'"{hash(content)}"'
        start = 0
        if asked and server.ranges and self.headers.get("If-Range", tag) == tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        cut = server.cut.pop(0) if server.cut else None
        self.wfile.write(content[start : None if cut is None else start + cut])
