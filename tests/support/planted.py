"""A healthy lake with two hours of trades, made once and copied for each test that breaks it."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from k2.quality.drill.planted_lake import NOW, PlantedLake
from k2.settings import Settings


@cache
def _healthy() -> PlantedLake:
    lake = PlantedLake.healthy(Settings.load(home=Path(mkdtemp(prefix="k2-healthy-"))))
    lake.write_until(NOW)
    return lake


def healthy_lake(settings: Settings) -> PlantedLake:
    """Return a lake under a home of the test's own."""
    healthy = _healthy()
    shutil.copytree(healthy.settings.home, settings.home, dirs_exist_ok=True)
    return healthy.copy(settings)
