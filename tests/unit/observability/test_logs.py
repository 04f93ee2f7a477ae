"""Log lines are events that programs can read, and no secret is among them."""

import io
import json
import logging
from typing import Any

import pytest
import structlog

from k2.observability.logs import configure_logs
from k2.observability.offset_ranges import offset_ranges
from k2.observability.redaction import redacted
from k2.settings import Settings

pytestmark = pytest.mark.unit

CANARY = "c4n4ry-5ecret"


def written(level: str = "info") -> io.StringIO:
    target = io.StringIO()
    configure_logs(Settings.load(log_format="json", log_level=level), target)
    return target


def events(target: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in target.getvalue().splitlines()]


def test_an_event_is_one_line_that_names_its_stream_and_batch() -> None:
    target = written()

    log = structlog.get_logger().bind(job_name="silver-kraken")
    log.info("batch_written", batch_id=7, note="a\nb")

    (event,) = events(target)
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "info",
        "event": "batch_written",
        "job_name": "silver-kraken",
        "batch_id": 7,
        "note": "a\nb",
    }


def test_ctrl_c_in_a_call_to_spark_is_no_error_of_the_log() -> None:
    target = written()

    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        logging.exception("KeyboardInterrupt while sending command.")
    logging.getLogger("some.library").error("boom")

    assert [event["event"] for event in events(target)] == ["boom"]


def test_a_level_leaves_out_what_is_below_it() -> None:
    target = written("warning")

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert [event["event"] for event in events(target)] == ["loud"]


def test_a_terminal_gets_text_for_people() -> None:
    target = io.StringIO()
    configure_logs(Settings.load(log_format="console"), target)

    structlog.get_logger().info("stream_started", job_name="gold")

    assert "stream_started" in target.getvalue()
    assert not target.getvalue().startswith("{")


def test_a_library_warns_in_the_same_form_and_once() -> None:
    written()
    target = written()

    logging.getLogger("some.library").warning("retrying %s", "soon")
    logging.getLogger("some.library").info("chatter")

    (event,) = events(target)
    assert (event["event"], event["level"], event["logger"]) == (
        "retrying soon",
        "warning",
        "some.library",
    )


SECRETS = [
    f"http://user:{CANARY}@registry/apis",
    f"http://{CANARY}@registry/apis",
    f"kafka.sasl.password={CANARY}",
    f'org.apache.kafka.PlainLoginModule required username="k2" password="{CANARY}";',
    f'{{"api_key": "{CANARY}"}}',
    f"token: {CANARY}, and more",
    f"connect --password {CANARY}",
    f"Authorization: Bearer {CANARY}",
    f"https://h/?access_key={CANARY}&x=1",
    f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{CANARY}\n-----END RSA {'PRIVATE'} KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_logged_in_whatever_place(secret: str) -> None:
    target = written()
    log = structlog.get_logger()

    log.info("as_a_value", reason=secret)
    log.info("in_a_list", reasons=[secret, {"deep": (secret,)}])
    log.info(secret)
    logging.getLogger("library").error("said %s", secret)
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        log.exception("as_a_traceback")
        log.error("as_an_error", error=error)

    assert len(events(target)) == 6
    assert CANARY not in target.getvalue()


@pytest.mark.parametrize("name", ["password", "K2_TOKEN", "sasl_jaas", "registry.credentials"])
def test_a_field_that_is_called_a_secret_is_hidden(name: str) -> None:
    target = written()

    structlog.get_logger().info("connected", **{name: CANARY})

    assert events(target)[0][name] == "***"


@pytest.mark.parametrize(
    "harmless",
    [
        "http://127.0.0.1:8081/apis/ccompat/v7",
        "market.crypto.trades.kraken.raw-0@120..140",
        "mail of a@b.example",
        "a token was refused",
        "rule price_positive broken by 3 records",
    ],
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert redacted(harmless) == harmless


def test_a_batch_is_traced_by_the_offsets_it_read() -> None:
    source = {
        "startOffset": '{"trades":{"0":120,"1":5}}',
        "endOffset": '{"trades":{"0":140,"1":5,"2":3}}',
    }

    assert offset_ranges({"sources": [source]}) == ["trades-0@120..140", "trades-2@0..3"]


def test_a_batch_of_a_table_is_traced_by_versions() -> None:
    source = {"startOffset": '{"reservoirVersion":7}', "endOffset": '{"reservoirVersion":9}'}
    first = {"startOffset": None, "endOffset": '{"reservoirVersion":2}'}

    assert offset_ranges({"sources": [source, first]}) == ["version 7..9", "version 0..2"]


def test_offsets_that_nobody_understands_are_no_trace() -> None:
    assert offset_ranges({"sources": [{"startOffset": "4", "endOffset": "no json"}]}) == []
