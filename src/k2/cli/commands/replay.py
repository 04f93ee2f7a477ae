"""``k2 replay``: recorded messages into Kafka."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.cli.options import check_market
from k2.connectors.schema_registry import SchemaRegistry
from k2.exchanges import Exchange, exchange_named
from k2.feeds.producer import FeedProducer
from k2.feeds.recorded_exchange import require_exchange
from k2.feeds.recordings import Recording
from k2.feeds.replay import FileCounts, replay
from k2.feeds.topics import prepare_topics
from k2.home.endpoints import Endpoints, find_endpoints
from k2.settings import Settings


class Speed(StrEnum):
    """How fast recorded messages follow each other."""

    MAX = "max"
    REAL = "1x"
    TENFOLD = "10x"

    @property
    def factor(self) -> float:
        """Times as fast as recorded; 0 is without any wait."""
        return {Speed.MAX: 0.0, Speed.REAL: 1.0, Speed.TENFOLD: 10.0}[self]


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
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Send recorded exchange messages to Kafka and count what they were."""
    source = exchange_named(exchange)
    check_market(source, market)
    for path in files:
        Recording(path)  # a wrong path is said before anything outside is asked
        require_exchange(path, source)
    settings = Settings.load()
    counts = _run(files, source, speed, settings, find_endpoints(settings), market)
    if as_json:
        typer.echo(json.dumps({"exchange": source.name, "files": [c.as_json() for c in counts]}))
    else:
        Console().print(_table(counts))


def _run(
    files: Sequence[Path],
    exchange: Exchange,
    speed: Speed,
    settings: Settings,
    endpoints: Endpoints,
    market: str | None,
) -> list[FileCounts]:
    prepare_topics(endpoints, exchange, settings.topic_partitions)
    ids = SchemaRegistry(endpoints.registry).register(exchange)
    encode = encoder(schema_text(exchange.reader_schema), ids[exchange.reader_schema])
    columns = (TextColumn("Replaying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
        FeedProducer(endpoints.kafka) as producer,
    ):
        task = bar.add_task("replay", total=None)
        return list(
            replay(
                files,
                exchange,
                encode,
                producer,
                speed=speed.factor,
                market=market if len(exchange.markets) > 1 else None,
                progress=lambda done, size: bar.update(task, completed=done, total=size),
            )
        )


def _table(counts: Sequence[FileCounts]) -> Table:
    table = Table("file", title="Replayed")
    for heading in ("lines", "trades", "other messages", "rejected", "sent"):
        table.add_column(heading, justify="right")
    for c in counts:
        numbers = (c.lines, c.trades, c.other, c.rejected, c.sent)
        table.add_row(Path(c.file).name, *(f"{number:,}" for number in numbers))
    return table
