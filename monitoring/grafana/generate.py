"""Write the dashboards' JSON, which Grafana reads, from ``boards.py``.

python -m monitoring.grafana.generate            write it
python -m monitoring.grafana.generate --check    exit 1 and name what is stale
"""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.grafana.boards import BOARDS

FOLDER = Path(__file__).parent / "dashboards"


def text(name: str) -> str:
    """Return the JSON that a dashboard's file should have."""
    return str(JSONEncoder(sort_keys=True, indent=2).encode(BOARDS[name]().build())) + "\n"


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` name the stale ones and return 1."""
    stale = [name for name in BOARDS if _stored(name) != text(name)]
    if "--check" in arguments:
        sys.stderr.writelines(f"monitoring/grafana/dashboards/{name} is stale\n" for name in stale)
        return 1 if stale else 0
    for name in stale:
        (FOLDER / name).write_text(text(name), encoding="utf-8")
    return 0


def _stored(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
