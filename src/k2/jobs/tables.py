"""K2's own tables in the registry, and the triggers that keep them consistent with dbos's.

A trigger runs in dbos's own transaction: the state of a job, the end of a step and the event that
tells of it are written together or not at all. dbos's migrations may rebuild its tables and with
that drop triggers, so each start checks that they exist.
"""

from sqlalchemy import Connection

from k2.errors import ConfigError

VERSION = 1

_INSTALLS = 0x6B32  # PostgreSQL's lock of who installs; the number is K2's own choice

_SERIAL = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgresql": "BIGSERIAL PRIMARY KEY"}

_TABLES = (
    """CREATE TABLE IF NOT EXISTS k2_schema (version INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS k2_job (
        seq {serial},
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        params TEXT NOT NULL,
        state TEXT NOT NULL,
        wish TEXT NOT NULL,
        submitted_ms BIGINT NOT NULL,
        started_ms BIGINT NOT NULL DEFAULT 0,
        ended_ms BIGINT NOT NULL DEFAULT 0,
        active_ms BIGINT NOT NULL DEFAULT 0,
        starts INTEGER NOT NULL DEFAULT 0,
        idle_starts INTEGER NOT NULL DEFAULT 0,
        steps_done INTEGER NOT NULL DEFAULT 0,
        rows_done BIGINT NOT NULL DEFAULT 0,
        rows_total BIGINT NOT NULL DEFAULT 0,
        step TEXT NOT NULL DEFAULT '',
        request_id TEXT NOT NULL DEFAULT '',
        error TEXT,
        result TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS k2_job_by_state ON k2_job (state, seq)",
    "CREATE INDEX IF NOT EXISTS k2_job_by_kind ON k2_job (kind, seq)",
    """CREATE TABLE IF NOT EXISTS k2_run (
        job_id TEXT NOT NULL PRIMARY KEY,
        executor TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        since_ms BIGINT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS k2_outbox (
        seq {serial},
        source TEXT NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        data TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        dispatched INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX IF NOT EXISTS k2_outbox_new ON k2_outbox (dispatched, seq)",
    "CREATE INDEX IF NOT EXISTS k2_outbox_by_subject ON k2_outbox (subject, seq)",
    """CREATE TABLE IF NOT EXISTS k2_delivery (
        seq BIGINT NOT NULL,
        sink TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_ms BIGINT NOT NULL DEFAULT 0,
        claimed_until_ms BIGINT NOT NULL DEFAULT 0,
        given_up INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (sink, seq)
    )""",
    """CREATE TABLE IF NOT EXISTS k2_table_request (
        id TEXT NOT NULL PRIMARY KEY,
        stream TEXT NOT NULL,
        kind TEXT NOT NULL,
        options TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        wanted INTEGER NOT NULL DEFAULT 1,
        begun INTEGER NOT NULL DEFAULT 0,
        answer TEXT
    )""",
    """CREATE TABLE IF NOT EXISTS k2_stream_wish (
        stream TEXT NOT NULL PRIMARY KEY,
        wish TEXT NOT NULL,
        restarts INTEGER NOT NULL DEFAULT 0,
        since_ms BIGINT NOT NULL
    )""",
)

# How dbos's word for the end of a workflow is said to people.
_ENDED = """CASE NEW.status WHEN 'SUCCESS' THEN 'completed'
        WHEN 'CANCELLED' THEN 'cancelled' ELSE 'failed' END"""
_NEW_END = (
    "NEW.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')"
    " AND OLD.status <> NEW.status"
)
_JOB_ENDED = f"""
    DELETE FROM k2_run WHERE job_id = NEW.workflow_uuid;
    UPDATE k2_job SET state = {_ENDED}, ended_ms = {{now}}, active_ms = {{now}}
        WHERE id = NEW.workflow_uuid;
    INSERT INTO k2_outbox (source, type, subject, data, created_ms)
        SELECT 'jobs/' || kind, 'io.k2.job.' || {_ENDED}, id,
            {{object}}('kind', kind, 'steps_done', steps_done, 'rows_done', rows_done,
                'rows_total', rows_total, 'request_id', request_id), {{now}}
        FROM k2_job WHERE id = NEW.workflow_uuid;
"""  # noqa: S608
# The output of a step is K2's own JSON and begins with its number of rows.
_STEP_ENDED = """
    UPDATE k2_job SET steps_done = steps_done + 1, idle_starts = 0, active_ms = {now},
        step = NEW.function_name, rows_done = rows_done + {rows} WHERE id = NEW.workflow_uuid;
    INSERT INTO k2_outbox (source, type, subject, data, created_ms)
        SELECT 'jobs/' || kind, 'io.k2.job.progress', id,
            {object}('kind', kind, 'step', step, 'steps_done', steps_done,
                'rows_done', rows_done, 'rows_total', rows_total, 'request_id', request_id), {now}
        FROM k2_job WHERE id = NEW.workflow_uuid;
"""

_SQLITE = {
    "now": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "object": "json_object",
    "rows": (
        "CASE WHEN NEW.output LIKE '{\"rows\":%' THEN json_extract(NEW.output, '$.rows') ELSE 0 END"
    ),
}
_POSTGRES = {
    "now": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    "object": "json_build_object",
    "rows": (
        "CASE WHEN NEW.output LIKE '{\"rows\":%' THEN (NEW.output::json->>'rows')::bigint ELSE 0 END"
    ),
}


def install(connection: Connection) -> None:
    """Make the tables and the triggers.

    Raises:
        ConfigError: a newer K2 has made them.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":  # several may start at once, beside jobs that run
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_INSTALLS})")
    for statement in _TABLES:
        _execute(connection, statement.format(serial=_SERIAL[dialect]))
    found = connection.exec_driver_sql("SELECT max(version) FROM k2_schema").scalar()
    if found is None:
        connection.exec_driver_sql(f"INSERT INTO k2_schema VALUES ({VERSION})")  # noqa: S608
    elif found > VERSION:
        raise ConfigError(
            f"The jobs' registry was made by a newer K2 (schema {found}; this one knows {VERSION})."
            " Install that version, or put back the copy from before."
        )
    for statement in _TRIGGERS[dialect]:
        _execute(connection, statement)


def _execute(connection: Connection, statement: str) -> None:
    # As it stands: a colon or a per cent sign is nobody's parameter.
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()


def _sqlite_triggers() -> tuple[str, ...]:
    ended, stepped = _filled(_JOB_ENDED, _SQLITE), _filled(_STEP_ENDED, _SQLITE)
    return (
        "DROP TRIGGER IF EXISTS k2_job_ended",
        "CREATE TRIGGER k2_job_ended AFTER UPDATE OF status ON workflow_status"
        f" WHEN {_NEW_END} BEGIN {ended} END",
        "DROP TRIGGER IF EXISTS k2_step_ended",
        "CREATE TRIGGER k2_step_ended AFTER INSERT ON operation_outputs"
        f" WHEN NEW.function_name NOT LIKE 'DBOS.%' BEGIN {stepped} END",
    )


def _postgres_triggers() -> tuple[str, ...]:
    def function(name: str, body: str) -> str:
        return (
            f"CREATE OR REPLACE FUNCTION dbos.{name}() RETURNS trigger LANGUAGE plpgsql"
            f" SET search_path = dbos AS $$ BEGIN {body} RETURN NULL; END $$"
        )

    def trigger(name: str, table: str, when: str) -> str:
        # To drop or replace one waits for every job that writes, and they may wait for us.
        return (
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_trigger WHERE"
            f" tgname = '{name}' AND tgrelid = 'dbos.{table}'::regclass)"
            f" THEN CREATE TRIGGER {name} AFTER {when} EXECUTE FUNCTION dbos.{name}();"
            " END IF; END $$"
        )

    return (
        function("k2_job_ended", _filled(_JOB_ENDED, _POSTGRES)),
        function("k2_step_ended", _filled(_STEP_ENDED, _POSTGRES)),
        trigger(
            "k2_job_ended",
            "workflow_status",
            f"UPDATE OF status ON dbos.workflow_status FOR EACH ROW WHEN ({_NEW_END})",
        ),
        trigger(
            "k2_step_ended",
            "operation_outputs",
            "INSERT ON dbos.operation_outputs FOR EACH ROW"
            " WHEN (NEW.function_name NOT LIKE 'DBOS.%')",
        ),
    )


def _filled(body: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        body = body.replace("{" + name + "}", word)
    return body


_TRIGGERS = {"sqlite": _sqlite_triggers(), "postgresql": _postgres_triggers()}
