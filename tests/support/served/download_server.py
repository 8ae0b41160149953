"""A web server for tests of downloads, with a folder for each kind of failure."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keras_fcn.datasets.download import Archive

PAGE = b"<html>Sign in to the network</html>"


class Server:
    """A local web server with a folder for each kind of failure, which records its responses.

    Attributes:
        requests: Path, Range header and bytes sent, per request.
        breaks_after: For the folder /breaks: bytes of each answer's body, the last one's being all.
    """

    def __init__(self, contents: bytes) -> None:
        self.contents, self.requests, self.breaks_after = contents, [], []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.http.server_port}"

    def archive(self, *folders: str, name: str = "a.tar") -> Archive:
        urls = tuple(f"http://{self.host}/{folder}/{name}" for folder in folders)
        return Archive(name, len(self.contents), hashlib.sha1(self.contents).hexdigest(), urls)

    def answer(self, folder: str, asked: str | None) -> tuple[int, dict[str, str], bytes]:
        """Returns status, headers and body; the headers have the full length even if the body is truncated."""
        if folder in ("503", "404"):
            return int(folder), {}, b"sorry"
        if folder == "page":
            return 200, {"Content-Type": "text/html; charset=utf-8"}, PAGE
        if folder == "wrong":
            return 200, {}, bytes(len(self.contents))
        if folder == "longer":
            return 200, {"Content-Length": ""}, self.contents + b"more"
        if folder == "shorter":
            return 200, {}, self.contents[:-1]
        if folder == "416" and asked:
            return 416, {"Content-Range": f"bytes */{len(self.contents)}"}, b""
        if folder == "other-part" and asked:
            return 206, {"Content-Range": f"bytes 0-9/{len(self.contents)}"}, self.contents[:10]
        start = 0 if asked is None or folder in ("ignores", "416") else int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if not start:
            return 200, {}, self.contents
        span = f"bytes {start}-{len(self.contents) - 1}/{len(self.contents)}"
        return 206, {"Content-Range": span}, self.contents[start:]

    def _handler(server):  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                folder, asked = self.path.split("/")[1], self.headers["Range"]
                status, headers, body = server.answer(folder, asked)
                sent = len(body)
                if folder == "breaks" and server.breaks_after:
                    sent = server.breaks_after.pop(0)
                server.requests.append((self.path, asked, sent))
                self.send_response(status)
                for key, value in ({"Content-Length": str(len(body))} | headers).items():
                    if value:
                        self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body[:sent])

            def log_message(self, *_) -> None:
                pass

        return Handler
