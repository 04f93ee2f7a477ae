"""Jobs over HTTP: each request has the status and the sentence that it should."""

import pytest
from sqlalchemy import create_engine
from starlette.testclient import TestClient

from k2.jobs.engine import JobEngine
from k2.jobs.model import JobState
from tests.support.jobs import wait_for, wait_for_state


def submit(client: TestClient, **params: object) -> str:
    answer = client.post("/v1/jobs", json={"kind": "count", "params": params})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_job_is_submitted_seen_and_followed_to_its_end(
    client: TestClient, engine: JobEngine
) -> None:
    answer = client.post(
        "/v1/jobs",
        json={"kind": "count", "params": {"steps": 3}},
        headers={"X-Request-ID": "r-7"},
    )
    job_id = answer.json()["id"]
    wait_for_state(engine.registry, job_id, JobState.COMPLETED)

    shown = client.get(f"/v1/jobs/{job_id}").json()
    status = client.get(f"/v1/jobs/{job_id}/status").json()
    listed = client.get("/v1/jobs", params={"kind": "count", "state": "completed"}).json()
    events = client.get(f"/v1/jobs/{job_id}/events").text

    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"
    assert (shown["state"], shown["result"], shown["request_id"]) == (
        *("completed", {"counted": 3}, "r-7"),
    )
    assert shown["report"]["totals"] == {"ok": 3, "warned": 0, "failed": 0}
    assert status["is_ended"]
    assert job_id in [job["id"] for job in listed["jobs"]]
    names = [line[13:] for line in events.splitlines() if line.startswith("event: ")]
    assert names == ["job.queued", "job.started", *["job.progress"] * 3, "job.completed"]


def test_events_go_on_after_the_last_one_that_the_client_has(
    client: TestClient, engine: JobEngine
) -> None:
    job_id = submit(client, steps=1)
    wait_for_state(engine.registry, job_id, JobState.COMPLETED)
    all_ids = [
        line[4:]
        for line in client.get(f"/v1/jobs/{job_id}/events").text.splitlines()
        if line.startswith("id: ")
    ]

    later = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": all_ids[1]}).text

    assert [line[4:] for line in later.splitlines() if line.startswith("id: ")] == all_ids[2:]


def test_events_of_a_job_that_runs_come_until_it_has_ended(client: TestClient) -> None:
    job_id = submit(client, steps=2, seconds=0.7)

    events = client.get(f"/v1/jobs/{job_id}/events").text

    names = [line[7:] for line in events.splitlines() if line.startswith("event: ")]
    assert names[-1] == "io.k2.job.completed"
    assert names.count("io.k2.job.progress") == 2


def test_the_same_key_is_the_same_job_and_other_parameters_are_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "nightly"}
    first, second, other = (
        client.post("/v1/jobs", json={"kind": "count", "params": {"steps": n}}, headers=headers)
        for n in (2, 2, 3)
    )

    assert [first.status_code, second.status_code, other.status_code] == [201, 200, 409]
    assert first.json()["id"] == second.json()["id"]
    assert "other parameters" in other.json()["error"]


def test_a_job_is_paused_resumed_and_cancelled(client: TestClient, engine: JobEngine) -> None:
    job_id = submit(client, steps=50, seconds=0.1)
    wait_for(engine.registry, job_id, lambda job: job.steps_done >= 1)

    asked = client.post(f"/v1/jobs/{job_id}/pause").json()
    wait_for_state(engine.registry, job_id, JobState.PAUSED)
    resumed = client.post(f"/v1/jobs/{job_id}/resume").json()
    wait_for_state(engine.registry, job_id, JobState.RUNNING)
    client.post(f"/v1/jobs/{job_id}/cancel")
    wait_for_state(engine.registry, job_id, JobState.CANCELLED)
    again = client.post(f"/v1/jobs/{job_id}/cancel")

    assert (asked["state"], asked["wish"]) == ("running", "pause")
    assert resumed["wish"] == "run"
    assert again.status_code == 409
    assert "is cancelled and cannot be cancelled" in again.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"kind": "cuont"}, 422, "did you mean count?"),
        ({"kind": "count", "params": {"stesp": 1}}, 422, "did you mean steps?"),
        ({"kind": "count", "params": {"steps": -1}}, 422, "greater than or equal to 0"),
        ({"kind": "count", "parms": {}}, 422, "body.parms: Extra inputs are not permitted"),
        ({}, 422, "body.kind: Field required"),
        ([1], 422, "body: Input should be"),
    ],
)
def test_what_cannot_be_submitted_is_said(
    client: TestClient, body: object, status: int, sentence: str
) -> None:
    answer = client.post("/v1/jobs", json=body)

    assert answer.status_code == status
    assert sentence in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"null"])
def test_a_body_that_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error", "kind", "request_id"}


@pytest.mark.parametrize("path", ["", "/status", "/events"])
def test_a_job_that_does_not_exist_is_404(client: TestClient, path: str) -> None:
    answer = client.get(f"/v1/jobs/count-0{path}")

    assert answer.status_code == 404
    assert "There is no job 'count-0'" in answer.json()["error"]


@pytest.mark.parametrize(
    "query", ["state=odd", "limit=0", "limit=1001", "since=yesterday", "kind=odd", "before=odd"]
)
def test_a_list_of_what_cannot_be_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/jobs?{query}").status_code in (404, 422)


def test_pages_follow_each_other(client: TestClient) -> None:
    ids = [submit(client, steps=0, fail_on_nothing=False) for _ in range(5)]

    first = client.get("/v1/jobs?limit=2").json()
    second = client.get(f"/v1/jobs?limit=2&before={first['next']}").json()

    assert [job["id"] for page in (first, second) for job in page["jobs"]] == ids[:0:-1]


def test_a_registry_that_is_locked_is_503_and_nothing_is_lost(
    client: TestClient, engine: JobEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("k2.jobs.database.BUSY_SECONDS", 0.2)
    other = create_engine(engine.database.url, connect_args={"timeout": 20})
    impatient = engine.database.engine
    with impatient.connect() as held:
        held.exec_driver_sql("PRAGMA busy_timeout=200")
    with other.connect() as locking:
        locking.exec_driver_sql("BEGIN EXCLUSIVE")
        answer = client.post("/v1/jobs", json={"kind": "count", "params": {}})
        locking.rollback()
    other.dispose()

    after = client.post("/v1/jobs", json={"kind": "count", "params": {}})

    assert answer.status_code == 503
    assert "is locked by another program; nothing was changed" in answer.json()["error"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert after.status_code == 201


def test_kinds_name_their_parameters(client: TestClient) -> None:
    kinds = client.get("/v1/kinds").json()

    assert [kind["kind"] for kind in kinds] == ["count"]
    assert "steps" in kinds[0]["params"]["properties"]
