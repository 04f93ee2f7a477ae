"""Which of the hours that changed are computed now: late trades touch one that is over in every run."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from k2.quality.coverage.hour_query import HOUR
from k2.quality.last_results import keep_hours, read_hours
from k2.settings import Settings

_PAUSE = timedelta(minutes=20)  # between two computations of an hour that is over
_SOON = timedelta(minutes=10)  # after its end, in which an hour is not yet one that is over


@dataclass
class HoursDue:
    """Tells changed hours that are due as of ``now`` from those that wait, which it remembers."""

    settings: Settings
    now: datetime
    waiting: set[datetime] = field(default_factory=set, init=False)
    _computed: dict[datetime, datetime] = field(default_factory=dict, init=False)

    def of(self, changed: set[datetime], unfinished: set[datetime]) -> set[datetime]:
        """Return the hours, of those that changed and those that waited, to compute now.

        ``unfinished`` hours, whose rows do not yet say how they ended, never wait.
        """
        self._computed, waited = read_hours(self.settings)
        hours = changed | waited
        self.waiting = {hour for hour in hours - unfinished if self._can_wait(hour)}
        return (hours | unfinished) - self.waiting

    def keep(self, done: set[datetime]) -> None:
        """Remember which hours were computed, and which wait.

        A run that dies before this loses nothing: the next one looks at the same files.
        """
        computed = self._computed | dict.fromkeys(done, self.now)
        recent = {hour: at for hour, at in computed.items() if self.now - at < _PAUSE}
        keep_hours(self.settings, recent, self.waiting)

    def _can_wait(self, hour: datetime) -> bool:
        if hour + HOUR + _SOON > self.now or hour not in self._computed:
            return False
        return timedelta(0) <= self.now - self._computed[hour] < _PAUSE
