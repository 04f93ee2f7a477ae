"""Kafka, the registry and what runs beside them on one home: start, health, revival and end."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType

import structlog

from k2.errors import FailedError, is_full_disk
from k2.home.atomic_files import replace_whole
from k2.home.disk_space import DiskSpace
from k2.home.paths import HomeLock, named_disk_errors, prepare_home
from k2.home.service_restarts import note_restart
from k2.jvm.class_data_sharing import ClassArchive
from k2.local.orphans import clean_orphans, clear_records, read_endpoints
from k2.local.process import ChildProcess, ProcessRecord
from k2.local.services.find import find_services
from k2.local.services.kafka import Agent
from k2.local.services.service import Endpoints, Health, Service
from k2.settings import Settings

log = structlog.get_logger("k2.stack")

_START_SECONDS = 90.0
_STOP_SECONDS = 15.0
_KEEP_SECONDS = 60.0  # for one that writes the archive of its classes when it ends
_TERMINATED = 143  # Java's exit code when it was asked to end, and did
_POLL_SECONDS = 0.05
_LOG_LINES = 12

__all__ = ["Endpoints", "Health", "LocalStack", "clean_orphans", "read_endpoints"]

OnEvent = Callable[[str], None]


class LocalStack:
    """The local services of ``K2_HOME``, owned by this process and gone with it.

    On Linux the system kills them when this process dies in whatever way; elsewhere the next
    :meth:`start`, or :func:`k2.local.orphans.clean_orphans`, does.
    """

    def __init__(self, settings: Settings, agent: Agent | None = None) -> None:
        """Describe the services of a home; ``agent`` serves the broker's own metrics."""
        self.disk_space = DiskSpace(settings)
        self.has_begun = (
            False  # whether it had the home, so that there is something to say of its end
        )
        self._settings = settings
        self._agent = agent
        self._home = HomeLock(settings)
        self._services: list[Service] = []
        self._children: dict[str, ChildProcess] = {}
        self._archives: dict[str, ClassArchive] = {}
        self._answered: set[str] = set()
        self._guard = threading.RLock()
        self._ending = False

    def start(
        self, on_event: OnEvent | None = None, meanwhile: Callable[[], None] = lambda: None
    ) -> Endpoints:
        """Start the services that no setting names elsewhere, and wait until they answer.

        Args:
            on_event: told one line at each step.
            meanwhile: done while they start.

        Raises:
            ConfigError: no Java, or a home that cannot be written.
            InUseError: another run has the home, or somebody the port.
            FailedError: a service ended or did not answer; has the last lines of its log.
            UnavailableError: jars are missing and cannot be fetched.
        """
        tell = on_event or _say_nothing
        prepare_home(self._settings)
        self._home.acquire()
        self.has_begun = True
        try:
            with self._guard, named_disk_errors(self._settings):
                for left in clear_records(self._settings):
                    tell(f"Ended {left}, left by a run that was killed.")
                ProcessRecord.of(os.getpid(), "").save(self._settings.run / "owner.json")
                found = find_services(self._settings, self._agent)
                self._services, self._archives = list(found.services), found.archives
                self._launch(self._services, tell, meanwhile)
                endpoints = found.endpoints
                content = json.dumps(endpoints._asdict()).encode()
                replace_whole(self._settings.run / "endpoints.json", content)
                return endpoints
        except BaseException:
            self.stop()
            raise

    def add(self, services: Iterable[Service], on_event: OnEvent | None = None) -> None:
        """Start further services, which are looked after and end as the first two.

        Raises:
            FailedError: one ended or did not answer; has the last lines of its log.
        """
        services = list(services)
        with self._guard, named_disk_errors(self._settings):
            self._launch(services, on_event or _say_nothing)
            self._services += services

    def health(self) -> dict[str, Health]:
        """Return for each service whether its process lives and whether it answers."""
        states = {}
        for service in self._services:
            child = self._children.get(service.name)
            alive = child is not None and child.alive
            states[service.name] = Health(alive, alive and service.ready())
        return states

    def revive(self, on_event: OnEvent | None = None) -> list[str]:
        """Start dead services again, on their ports and with their data; return their names.

        Raises:
            FailedError: one does not come back.
        """
        with self._guard:
            dead = [s for s in self._services if not self._children[s.name].alive]
            if dead and not self._ending:
                with named_disk_errors(self._settings):
                    for service in dead:
                        self._note_restart(service)
                    self._launch(dead, on_event or _say_nothing)
            return [service.name for service in dead]

    def stop(self) -> None:
        """End all services and give the home back; a second call does nothing."""
        self._ending = True  # seen by a start or revival in another thread, which then gives up
        with self._guard:
            try:
                for child in self._children.values():
                    child.terminate()
                for name, child in self._children.items():
                    self._end(name, child)
            finally:
                for child in self._children.values():
                    child.kill()
                for archive in self._archives.values():
                    archive.drop()
                if self._home.held:
                    clear_records(self._settings)
                self._children.clear()
                self._services = []
                self._home.release()
                self._ending = False

    @property
    def makes_archives(self) -> bool:
        """Whether the end takes some seconds more, once, for the sake of the next start."""
        return any(not archive.exists for archive in self._archives.values())

    def __enter__(self) -> "LocalStack":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _note_restart(self, service: Service) -> None:
        exit_code = self._children[service.name].exit_code
        noted = note_restart(self._settings, service.name, exit_code)
        log.warning(
            "service_restarted",
            service=service.name,
            exit_code=exit_code,
            restarts=noted.count,
            log=str(self._settings.logs / f"{service.name}.log.1"),
        )

    def _end(self, name: str, child: ChildProcess) -> None:
        archive = self._archives.get(name)
        makes_one = archive is not None and not archive.exists
        child.stop(_KEEP_SECONDS if makes_one else _STOP_SECONDS)
        # What one has loaded that was stopped before it did anything is not worth keeping.
        if archive is not None and child.exit_code == _TERMINATED and name in self._answered:
            archive.keep()

    def _launch(
        self,
        services: Iterable[Service],
        tell: OnEvent,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        began = time.monotonic()
        waiting = list(services)
        for service in waiting:
            tell(f"Starting {service.title} on port {service.port}.")
            service.prepare()
            child = ChildProcess.start(
                service.command(),
                folder=service.folder,
                log=self._settings.logs / f"{service.name}.log",
                marker=service.marker,
            )
            self._children[service.name] = child
            child.record.save(self._settings.run / f"{service.name}.json")
        meanwhile()
        waited_from = time.monotonic()
        while waiting:
            self.disk_space.look()
            for service in list(waiting):
                self._check_starting(service, time.monotonic() - waited_from)
                if service.ready():
                    waiting.remove(service)
                    self._answered.add(service.name)
                    seconds = time.monotonic() - began
                    title = service.title[0].upper() + service.title[1:]
                    tell(f"{title} answers on port {service.port} after {seconds:.1f} s.")
            time.sleep(_POLL_SECONDS if waiting else 0)

    def _check_starting(self, service: Service, seconds: float) -> None:
        exit_code = self._children[service.name].exit_code
        if exit_code is None and seconds < _START_SECONDS and not self._ending:
            return
        if self._ending:
            raise FailedError(f"The start of {service.title} was given up.")
        file = self._settings.logs / f"{service.name}.log"
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        title = service.title[0].upper() + service.title[1:]
        if self.disk_space.was_full or any(map(is_full_disk, lines)):
            raise FailedError(f"{title} ended while starting. {self.disk_space.remedy}")
        if exit_code is None:
            what = f"did not answer within {_START_SECONDS:.0f} s"
        else:
            what = f"ended while starting (exit code {exit_code})"
        telling = [line for line in lines if not line.startswith("\tat ")]  # no stack frames
        shown = "\n  ".join(telling[-_LOG_LINES:])
        raise FailedError(f"{title} {what}. The end of {file}:\n  {shown}")


def _say_nothing(_line: str) -> None:
    pass
