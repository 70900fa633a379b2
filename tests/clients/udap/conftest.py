"""A gated server with a test community, and the clients of docs/clients.md as they stand there.

The server is `idi-match demo`, and later another process on its database; nothing here shares code with it. With
`IDI_MATCH_UDAP_DATABASE`, the URL of an empty database, it goes on there: by a backup, restored.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import types
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parents[3]
BINARY = os.environ["IDI_MATCH_BINARY"]


def examples(language):
    """The blocks of the page that are marked as clients in this language."""
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language} client\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


class Demo:
    """A demo, and whatever serves in its stead on the same database."""

    def __init__(self, folder):
        self.folder, self.keys = folder, folder / "test-pki"
        self.environment = {**os.environ, "IDI_MATCH_AUTH_RELOAD_S": "1"}
        self.processes = []
        command = [BINARY, "demo", "--port", "0", "--people", "300", "--data", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environment)
        self.processes.append(process)
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], f"the demo ended: {lines}"
        self.base = re.search(r"client register (\S+)", "".join(lines))[1]
        self.database = f"sqlite:{folder / 'idi-match.sqlite'}"
        if url := os.environ.get("IDI_MATCH_UDAP_DATABASE"):
            self.move_to(url)

    @property
    def port(self):
        return int(self.base.split(":")[2].split("/")[0])

    def move_to(self, url):
        """Serves from another database, at the same address."""
        backup = str(self.folder / "backup")
        subprocess.run([BINARY, "backup", backup, "--database-url", self.database], check=True)
        self.kill()
        subprocess.run([BINARY, "restore", backup, "--database-url", url], check=True)
        self.database = url
        self.serve(self.port)

    def serve(self, port=0):
        """Another process on the same database, which calls itself what the demo calls itself; its address."""
        if port == 0:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
        options = ["--base-url", self.base, "--listen", f"127.0.0.1:{port}", "--database-url", self.database]
        command = [BINARY, "serve", "--config", str(self.keys / "idi-match.toml"), *options]
        self.processes.append(subprocess.Popen(command, env={**self.environment, "IDI_MATCH_LOG_FILTER": "warn"}))
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz")
                return f"http://127.0.0.1:{port}"
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self):
        """`kill -9` for every process that serves."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.processes.clear()


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    demo.kill()


@pytest.fixture(scope="session")
def udap():
    """The Python client of the page, as a module."""
    (text,) = examples("python")
    module = types.ModuleType("udap")
    exec(compile(text, "docs/clients.md", "exec"), module.__dict__)
    return module
