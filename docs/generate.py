"""Write docs/reference from the definitions in ``src/k2``, so that it cannot disagree with them.

python docs/generate.py            write the pages
python docs/generate.py --check    exit 1 and name the pages that are stale
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import pyarrow as pa
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from k2 import errors
from k2.exchanges import EXCHANGES
from k2.settings import Settings
from k2.storage.table import Table
from k2.storage.writers.spark import to_spark_schema
from k2.topology import all_tables

# Beside this file: it may be run or imported from anywhere.
sys.path.insert(0, str(Path(__file__).parent))
from generate_jobs import api, jobs
from generate_messages import messages
from generate_metrics import metrics

REFERENCE = Path(__file__).parent / "reference"
NOTICE = (
    "<!-- Written by docs/generate.py (`make docs`). Change the definitions, not this page. -->"
)


def tables() -> Iterator[str]:
    """Every stored table with its columns, from ``k2.topology``."""
    yield "# Tables"
    yield "Plain Delta folders under `K2_HOME/lake/<table>`; any Delta reader reads them."
    yield "A column that is *required* never holds null. Times are UTC, in microseconds."
    yield _rows(
        ("table", "layer", "partitioned by", "what a row is"),
        [
            (f"[`{t.name}`](#{t.name})", t.layer, _names(t.partitioned_by), t.comment)
            for t in all_tables()
        ],
    )
    for table in all_tables():
        yield from _table(table)


def settings() -> Iterator[str]:
    """Every setting, from ``k2.settings``."""
    yield "# Settings"
    yield (
        "Each is an environment variable, or a line of `k2.toml`, and an option of the commands that use"
        " it. They are read and checked once, at the start; a wrong one is named in a sentence, exit"
        " code 2, and one that there is not is named with what it resembles."
    )
    yield (
        "`k2.toml` is read from the folder that K2 is started in, or is the file that `K2_CONFIG` names."
        " Its keys are the names below without `K2_`, in small letters. An option of a command wins over"
        " a variable, and that over the file. Paths are relative to the folder that K2 is started in."
    )
    yield (
        '```toml\nhome = "/var/lib/k2"\nlog_format = "json"\napi_port = 8010\n'
        'quality_thresholds = { "dead-letters.share" = 0.01 }\n'
        'kafka_password_file = "/etc/k2/kafka-password"\n```'
    )
    yield (
        "`k2 config` shows every setting with its value, secrets as `***`, and its origin: default,"
        " environment, `k2.toml`, or the file of a secret. `k2 config check` ends with 2 if one cannot be"
        " used, is unknown, names a file that is not there, or is a secret that others may read."
    )
    yield _rows(
        ("variable", "default", "what it does"),
        [
            (f"`K2_{name.upper()}`", _shown(field), _described(field))
            for name, field in Settings.model_fields.items()
        ],
    )


def exit_codes() -> Iterator[str]:
    """Every error and the exit code it ends a command with, from ``k2.errors``."""
    yield "# Errors and exit codes"
    yield (
        "0 done · 1 failed · 2 wrong use or setting · 3 something outside did not answer"
        " · 4 partly done, the rest is named."
    )
    found = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.K2Error)
    ]
    yield _rows(
        ("error", "exit code", "a retry can help", "when"),
        [
            (f"`{e.__name__}`", e.exit_code, "yes" if e.retryable else "no", inspect.getdoc(e))
            for e in found
        ],
    )


def exchanges() -> Iterator[str]:
    """Every exchange and where its trades travel, from ``k2.exchanges``."""
    yield "# Exchanges and topics"
    yield "A value is a zero byte, the schema's id in 4 bytes, and Avro; the key is the symbol."
    yield _rows(
        ("exchange", "topic", "not understood", "raw schemas, oldest first"),
        [
            (e.title, f"`{e.topic}`", f"`{e.rejected_topic}`", _names(e.raw_schemas))
            for e in EXCHANGES
        ],
    )
    yield "## What proves that nothing is missing"
    yield (
        "Numbers of which an exchange skips none within a market, as DuckDB's SQL over Silver: from the"
        " first to the last that a row covers. Where it is null the row proves nothing."
    )
    yield _rows(
        ("exchange", "first", "last"),
        [
            (e.title, f"`{e.numbering.first}`", f"`{e.numbering.last}`")
            for e in EXCHANGES
            if e.numbering is not None
        ],
    )
    yield "## Prints that a bar leaves out"
    yield "By trade condition; every other print counts towards prices, volumes and number of trades."
    yield _rows(
        ("exchange", "condition", "prices", "volumes", "number", "source"),
        [
            (e.title, f"`{c.name}`", *map(_yes, (c.price, c.volume, c.count)), c.source)
            for e in EXCHANGES
            for c in e.conditions
        ],
    )


def _yes(counts: bool) -> str:
    return "yes" if counts else "no"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "tables.md": tables,
    "settings.md": settings,
    "errors.md": exit_codes,
    "exchanges.md": exchanges,
    "messages.md": lambda: messages(_rows),
    "metrics.md": lambda: metrics(_rows),
    "jobs.md": lambda: jobs(_rows),
    "api.md": lambda: api(_rows),
}


def page(name: str) -> str:
    """Return the text that a reference page should have."""
    return "\n\n".join([NOTICE, *PAGES[name]()]) + "\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` name the stale ones and return 1."""
    stale = [name for name in PAGES if _stored(name) != page(name)]
    if "--check" in arguments:
        sys.stderr.writelines(
            f"docs/reference/{name} is stale: run `make docs`\n" for name in stale
        )
        return 1 if stale else 0
    for name in stale:
        (REFERENCE / name).write_text(page(name), encoding="utf-8")
    return 0


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.name}"
    yield f"{table.comment} Unique by {_names(table.key)}."
    yield _rows(("column", "type", "", "what it holds"), [_column(field) for field in table.schema])


def _column(field: pa.Field) -> tuple[str, str, str, str]:
    required = "" if field.nullable else "required"
    return (
        f"`{field.name}`",
        f"`{_type_name(field.type)}`",
        required,
        field.metadata[b"comment"].decode(),
    )


def _type_name(kind: pa.DataType) -> str:
    """Spark's name of a type, as readers of Delta tables know it."""
    return to_spark_schema(pa.schema([("column", kind)]))["column"].dataType.simpleString()


def _rows(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shown(field: FieldInfo) -> str:
    if field.default_factory is dict:
        return "(empty)"
    if field.default is PydanticUndefined:  # made when it is asked for: the jar cache
        return "`$XDG_CACHE_HOME/k2`, else `~/.cache/k2`"
    return "(empty)" if field.default in (None, "") else f"`{field.default}`"


def _described(field: FieldInfo) -> str:
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    one_of = f"One of {_names(choices)}." if choices else ""
    return f"{field.description or ''} {one_of}"


def _stored(name: str) -> str:
    path = REFERENCE / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
