"""``k2 replay``: recorded messages into Kafka."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from k2.cli.job_client import DETACH_HELP, run_as_job
from k2.cli.options import check_market
from k2.cli.render.printing import print_json
from k2.exchanges import exchange_named
from k2.feeds.recorded_exchange import require_exchange
from k2.feeds.recordings import Recording
from k2.home.endpoints import find_endpoints
from k2.observability.logs import configure_logs
from k2.settings import Settings

_PER_STEP, _PER_PACED_STEP = 10_000, 100  # messages


class Speed(StrEnum):
    """How fast recorded messages follow each other."""

    MAX = "max"
    REAL = "1x"
    TENFOLD = "10x"


def replay_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Recordings: a message a line; plain, .gz or .zst.", show_default=False
        ),
    ],
    exchange: Annotated[str, typer.Option(help="Whose messages they are, such as binance.")],
    speed: Annotated[Speed, typer.Option(help="As fast as possible, or as recorded.")] = Speed.MAX,
    market: Annotated[
        str | None,
        typer.Option(
            help="Which of the exchange's markets they are of, where messages do not say."
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help=DETACH_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Send recorded exchange messages to Kafka and count what they were."""
    source = exchange_named(exchange)
    check_market(source, market)
    for path in files:
        Recording(path)  # a wrong path is said before anything outside is asked
        require_exchange(path, source)
    settings = Settings.load()
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    find_endpoints(settings)  # says at once that nothing runs
    params = {
        "files": [str(path.absolute()) for path in files],
        **{"exchange": source.name, "speed": str(speed), "market": market},
        # At the recorded pace so many messages may take a day.
        "progress_interval": _PER_STEP if speed is Speed.MAX else _PER_PACED_STEP,
        "fail_on_nothing": False,
    }
    result = run_as_job(settings, "replay", params, title="Replaying", detach=detach)
    if as_json:
        print_json(result)
    else:
        Console().print(_table(result["files"]))


def _table(counts: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("file", title="Replayed")
    for heading in ("lines", "trades", "other messages", "rejected", "sent"):
        table.add_column(heading, justify="right")
    for c in counts:
        numbers = (c["lines"], c["trades"], c["other"], c["rejected"], c["sent"])
        table.add_row(Path(c["file"]).name, *(f"{number:,}" for number in numbers))
    return table
