"""Requests of jobs to the owners of tables, as rows of the registry."""

from collections.abc import Collection, Mapping
from typing import Any

import orjson
from sqlalchemy import text

from k2.engine.table_requests import Request
from k2.errors import K2Error
from k2.jobs import json_values
from k2.jobs.clock import now_ms
from k2.jobs.database import Database


class TableRequests:
    """Rows of ``k2_table_request``: asked by a job, begun and answered by an owner, read and removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, request: Request) -> None:
        """Ask; asked again, nothing changes."""
        self._write(
            "INSERT INTO k2_table_request (id, stream, kind, options, asked_ms)"
            " VALUES (:id, :stream, :kind, :options, :now) ON CONFLICT (id) DO UPDATE SET wanted = 1",
            request,
            stream=request.stream,
            kind=request.kind,
            options=orjson.dumps(request.options, default=str).decode(),
            now=now_ms(),
        )

    def outcome(self, request: Request) -> dict[str, Any] | None:
        """Return the answer; None when there is none yet.

        Raises:
            K2Error: the answer is an error.
        """
        answer = json_values.loads(self._read("answer", request))
        if isinstance(answer, Exception):
            raise answer
        return answer if answer is None else dict(answer)

    def withdraw(self, request: Request) -> bool:
        """Want no answer any more; tell whether an owner still works at the request."""
        self._write("UPDATE k2_table_request SET wanted = 0 WHERE id = :id", request)
        return bool(self._read("begun", request))

    def delete(self, request: Request) -> None:
        """Remove a request, and its answer."""
        self._write("DELETE FROM k2_table_request WHERE id = :id", request)

    def pending(self, streams: Collection[str]) -> list[Request]:
        """Return the requests to these streams that have no answer, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                text(
                    "SELECT kind, stream, options, id FROM k2_table_request"
                    " WHERE answer IS NULL AND wanted = 1 ORDER BY asked_ms, id"
                )
            ).all()
        return [
            Request(kind, stream, orjson.loads(options), id_)
            for kind, stream, options, id_ in rows
            if stream in streams
        ]

    def begin(self, request: Request) -> bool:
        """Note that a request is being executed; False where nobody wants it any more."""
        query = "UPDATE k2_table_request SET begun = 1 WHERE id = :id AND wanted = 1"
        return self._write(query, request) > 0

    def is_wanted(self, request: Request) -> bool:
        """Tell whether somebody still waits for the answer."""
        return bool(self._read("wanted", request))

    def answer(self, request: Request, said: Mapping[str, Any] | K2Error) -> None:
        """Leave the answer, without secrets."""
        value = said if isinstance(said, K2Error) else dict(said)
        self._write(
            "UPDATE k2_table_request SET answer = :answer, begun = 0 WHERE id = :id",
            request,
            answer=json_values.dumps(value),
        )

    def put_back(self, request: Request) -> None:
        """Note that a request is not being executed any more."""
        self._write("UPDATE k2_table_request SET begun = 0 WHERE id = :id", request)

    def _write(self, query: str, request: Request, **values: Any) -> int:
        with self._database.writing() as connection:
            return int(connection.execute(text(query), {"id": request.id, **values}).rowcount)

    def _read(self, column: str, request: Request) -> Any:
        query = f"SELECT {column} FROM k2_table_request WHERE id = :id"  # noqa: S608
        with self._database.reading() as connection:
            return connection.execute(text(query), {"id": request.id}).scalar()
