"""Note how often the current run restarted a service; status and metrics read the note."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from k2.home.atomic_files import replace_whole
from k2.settings import Settings

_NOTE = "restarts.json"  # in K2_HOME/run


@dataclass(frozen=True)
class ServiceRestarts:
    """One service's restarts: how many, when the last was, and how the process before it ended.

    ``exit_code`` is negative for the signal that ended it.
    """

    count: int
    last_at: str
    exit_code: int | None

    @property
    def sentence(self) -> str:
        """The restarts in a sentence for people."""
        times = "once" if self.count == 1 else f"{self.count} times"
        code = self.exit_code
        by = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"ended by itself and was started again {times}, last at {self.last_at} after {by}"


def note_restart(settings: Settings, service: str, exit_code: int | None) -> ServiceRestarts:
    """Count one more restart of a service, now."""
    restarts = read_restarts(settings)
    before = restarts.get(service)
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    restarts[service] = ServiceRestarts(before.count + 1 if before else 1, now, exit_code)
    content = json.dumps({name: asdict(of) for name, of in restarts.items()})
    replace_whole(settings.run / _NOTE, content.encode())
    return restarts[service]


def read_restarts(settings: Settings) -> dict[str, ServiceRestarts]:
    """Return the restarts by service; empty without a note that can be read."""
    try:
        noted = json.loads((settings.run / _NOTE).read_text(encoding="utf-8"))
        return {name: ServiceRestarts(**of) for name, of in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def forget_restarts(settings: Settings) -> None:
    """Delete the note, because another run begins or this one has ended."""
    (settings.run / _NOTE).unlink(missing_ok=True)
