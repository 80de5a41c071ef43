"""The plainest server: one request at a time, through ``generate``; run with RUN PORT THREADS."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import torch

from chargen.generation.generator import Generator
from chargen.runs.folder import RunFolder


def handler_of(generator: Generator) -> type[BaseHTTPRequestHandler]:
    """What answers a POST with a text as JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (text,) = generator.generate(
                asked["prompt"],
                length=asked["max_tokens"],
                seed=asked["seed"],
                temperature=asked["temperature"],
            )
            body = json.dumps({"choices": [{"text": text}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def main(run: str, port: str, threads: str) -> None:
    if int(threads):
        torch.set_num_threads(int(threads))
    path = Path(run)
    generator = Generator(path, RunFolder(path).load_model())
    HTTPServer(("127.0.0.1", int(port)), handler_of(generator)).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
