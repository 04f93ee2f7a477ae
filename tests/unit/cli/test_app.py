"""What the command line teaches, and how it says no: one sentence and an exit code."""

import errno
import json
import sqlite3
import threading
import tomllib
from pathlib import Path

import pytest
import typer
from deltalake.exceptions import DeltaError

from k2.cli import app
from k2.cli.app import _COMMANDS, _SUMMARIES, app_of, main, run
from k2.cli.unexpected import keep_traces_of_threads
from k2.errors import ConfigError, FailedError, InUseError, K2Error, UnavailableError
from k2.gold.table import GOLD_TRADES
from k2.storage.delta import ensure_table

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
COMMANDS = sorted(_COMMANDS)
REPORTING = ["status", "doctor", "replay", "simulate", "drain", "tables", "show", "balance", "jars"]


def test_the_help_names_every_command_with_what_it_does(k2):
    said = k2("--help")

    assert said.code == 0
    assert set(_SUMMARIES) == set(_COMMANDS)
    for command in COMMANDS:
        assert f"\n  {command} " in said.out


def test_the_help_tells_the_exit_codes_and_the_home(k2):
    text = " ".join(k2("--help").out.split())

    for word in ("K2_HOME", "0 done", "1 failed", "2 wrong use", "3 something outside"):
        assert word in text


def test_the_version_is_that_of_the_package(k2):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    said = k2("--version")

    assert (said.code, said.out) == (0, f"k2 {project['version']}\n")


def test_no_arguments_show_the_help(k2):
    said = k2()

    assert "Commands:" in said.out + said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_that_explains_each_option(k2, command):
    said = k2(command, "--help")

    assert said.code == 0
    assert f"Usage: k2 {command} " in said.out
    options = [line.split() for line in said.out.splitlines() if line.strip().startswith("-")]
    assert options
    assert all(len(words) > 1 for words in options), said.out


@pytest.mark.parametrize("command", REPORTING)
def test_a_command_that_reports_can_report_in_json(k2, command):
    assert "--json" in k2(command, "--help").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["sideways"],
        ["up", "--fast"],
        ["up", "--feed", "carrier-pigeon"],
        ["replay"],
        ["replay", "file"],
        ["show"],
        ["show", "gold_trades", "--limit", "0"],
        ["show", "gold_trades", "--limit", "many"],
        ["jars", "--group", "flink"],
        ["replay", "file", "--exchange", "kraken", "--speed", "3x"],
        ["simulate", "--count", "0"],
        ["simulate", "--seed", "-1"],
    ],
)
def test_wrong_use_is_said_and_ends_with_2(k2, arguments):
    said = k2(*arguments)

    assert said.code == 2
    assert said.out == ""
    assert "Usage: k2" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "gold_trads"], "no table 'gold_trads'"),
        (["up", "--rate", "fast"], "'fast' is not a rate"),
        (["up", "--for", "0s"], "'0s' is not a duration"),
        (["drain", "--timeout", "soon"], "'soon' is not a duration"),
        (["simulate", "--rate", "max"], "--rate max needs --count"),
        (["simulate", "--bad", "2"], "2"),
        (["replay", "/no/such/file", "--exchange", "binance"], "/no/such/file"),
        (["replay", "/", "--exchange", "binance"], "/"),
        (["replay", "/dev/null", "--exchange", "bitstamp"], "bitstamp"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_it(k2, arguments, sentence):
    said = k2(*arguments)

    assert said.code == 2, said.err
    assert said.out == ""
    assert said.err.startswith("k2: ")
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_an_unknown_exchange_or_table_names_those_there_are(k2):
    exchange = k2("replay", "/dev/null", "--exchange", "bitstamp").err
    table = k2("show", "gold_trads").err

    assert "binance" in exchange
    assert "kraken" in exchange
    assert "gold_trades" in table
    assert "dlq_kraken_trades" in table


@pytest.mark.parametrize("command", ["up", "down", "status", "doctor", "drain", "tables"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("K2_KAFKA_PORT", "99999"),
        ("K2_UI_PORT", "http"),
        ("K2_TABLE_WRITER", "foo"),
        ("K2_DRIVER_MEMORY", "lots"),
        ("K2_TOPIC_PARTITIONS", "0"),
        ("K2_TRIGGER_SECONDS", "-1"),
        ("K2_OFFLINE", "perhaps"),
        ("K2_LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(k2, monkeypatch, command, variable, value):
    monkeypatch.setenv(variable, value)

    said = k2(command)

    assert said.code == 2
    assert said.out == ""
    assert f"{variable}={value!r}" in said.err.replace("'-1.0'", "'-1'")
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("drain", []),
        ("replay", ["FILE", "--exchange", "kraken"]),
        ("simulate", ["--count", "1"]),
    ],
)
def test_without_kafka_what_needs_it_ends_with_3_and_says_how_to_start_it(
    k2, tmp_path, command, arguments
):
    (tmp_path / "FILE").write_text("{}\n")
    arguments = [str(tmp_path / a) if a == "FILE" else a for a in arguments]

    said = k2(command, *arguments)

    assert said.code == 3, said.err
    assert "k2 up" in said.err
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["drain", "balance"])
def test_a_kafka_that_does_not_answer_ends_with_3_and_is_named(k2, home, monkeypatch, command):
    ensure_table(home / "lake", GOLD_TRADES)
    monkeypatch.setenv("K2_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("K2_REGISTRY", "http://127.0.0.1:1")

    said = k2(command)

    assert said.code == 3
    assert "Kafka at 127.0.0.1:1 does not answer" in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_a_home_without_tables_is_no_error(k2, home):
    said = k2("tables")

    assert said.code == 0
    assert "No tables" in said.out
    assert json.loads(k2("tables", "--json").out) == []
    assert not home.exists()


def test_a_table_that_is_not_there_yet_is_said(k2):
    said = k2("show", "gold_trades")

    assert said.code == 2
    assert "no table gold_trades" in said.err


def test_nothing_to_stop_is_no_error(k2, home):
    said = k2("down")

    assert said.code == 0
    assert said.out == f"Nothing runs on {home}.\n"
    assert json.loads(k2("down", "--json").out) == {"stopped": None, "cleaned": []}


def test_status_of_nothing_says_that_nothing_runs(k2, home):
    said = k2("status")

    assert said.code == 0
    assert f"K2_HOME  {home}\n" in said.out
    assert "not running" in said.out
    facts = json.loads(k2("status", "--json").out)
    assert facts["home"] == str(home)
    assert facts["streams"] == []
    assert facts["services"]["kafka"]["state"] == "not running"


def test_status_shows_no_password_of_an_address(k2, monkeypatch):
    monkeypatch.setenv("K2_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("K2_REGISTRY", "http://reader:hunter2@127.0.0.1:1")

    said = k2("status", "--json")

    assert json.loads(said.out)["services"]["registry"]["address"] == "http://***@127.0.0.1:1"


@pytest.mark.parametrize("command", [("balance",), ("balance", "--json"), ("dlq", "list")])
def test_a_question_about_an_empty_home_ends_with_2_and_its_path(k2, home, command):
    said = k2(*command)

    assert said.code == 2
    assert str(home) in said.err
    assert said.out == ""


def test_a_home_whose_kafka_is_stopped_balances_from_its_tables_alone(k2, home):
    ensure_table(home / "lake", GOLD_TRADES)

    said = k2("balance", "--json")

    assert said.code == 0
    account = json.loads(said.out)
    assert account["balanced"] is True
    assert account["kafka_asked"] is False
    assert "proven from the tables alone" in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FailedError("The disk [of K2] is full."), 1),
        (ConfigError("K2_X is wrong."), 2),
        (InUseError("Port 1 is taken."), 2),
        (UnavailableError("Nobody answers."), 3),
    ],
)
def test_a_k2_error_is_its_sentence_and_its_exit_code(capsys, error, code):
    def fails() -> None:
        raise error

    assert isinstance(error, K2Error)
    assert run(app_of("fails", fails), [], "k2") == code
    assert capsys.readouterr().err == f"k2: {error}\n"


@pytest.mark.parametrize("command", ["drain", "balance", "replay", "simulate"])
def test_no_secret_of_a_setting_is_in_an_error(k2, home, monkeypatch, tmp_path, command):
    ensure_table(home / "lake", GOLD_TRADES)
    recording = tmp_path / "recording"
    recording.write_text("{}\n")
    arguments = {
        "replay": [recording, "--exchange", "kraken"],
        "simulate": ["--count", "1"],
    }
    monkeypatch.setenv("K2_KAFKA", "sasl://k2:c4n4ry@127.0.0.1:1")
    monkeypatch.setenv("K2_REGISTRY", "http://k2:c4n4ry@127.0.0.1:1")

    said = k2(command, *arguments.get(command, []))

    assert said.code == 3
    assert "127.0.0.1:1" in said.err
    assert "c4n4ry" not in said.out + said.err


def test_an_interrupt_ends_with_130(capsys):
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert run(app_of("interrupted", interrupted), [], "k2") == 130


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        DeltaError("Failed to parse parquet: No space left on device (os error 28)\n  and a tree"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_a_full_disk_is_a_sentence_whoever_finds_no_room(capsys, error):
    def fails() -> None:
        raise error

    assert run(app_of("fails", fails), [], "k2") == 1
    said = capsys.readouterr().err
    assert said.startswith("k2: The disk is full; make room or set K2_HOME elsewhere. ")
    assert len(said.splitlines()) == 1


class Panic(BaseException):
    """As delta-rs raises, which is no ``Exception``."""


class Gone(Exception):
    """As Py4J raises, which asks a JVM for the text."""

    def __str__(self):
        raise ConnectionRefusedError


DEFECTS = [
    *(ZeroDivisionError("division by zero"), Panic("Invalid url\nand more")),
    *(ValueError(), Gone()),
]


@pytest.fixture(params=DEFECTS, ids=lambda error: type(error).__name__)
def defective(request):
    def fails() -> None:
        raise request.param

    return app_of("defective", fails)


def test_what_nobody_expected_is_a_sentence_with_the_logs_place(home, capsys, defective):
    home.mkdir()

    code = run(defective, [], "k2")

    said, log = capsys.readouterr().err, home / "logs" / "k2.log"
    assert code == 1
    assert said.startswith("k2: Unexpected ")
    assert said.endswith(f" The traceback is in {log}.\n")
    assert len(said.splitlines()) == 1
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["event"] == "unexpected_error"
    assert "in fails" in json.loads(line)["exception"]


def test_without_a_home_nothing_is_made_of_an_error(home, capsys, defective):
    code = run(defective, [], "k2")

    assert code == 1
    assert capsys.readouterr().err.endswith(". Set K2_LOG_LEVEL=debug to see the traceback.\n")
    assert not home.exists()


def test_at_debug_level_the_traceback_is_shown(home, capsys, defective, monkeypatch):
    monkeypatch.setenv("K2_LOG_LEVEL", "debug")

    code = run(defective, [], "k2")

    assert code == 1
    assert "in fails" in capsys.readouterr().err


def test_a_setting_that_cannot_be_read_hides_no_other_error(capsys, defective, monkeypatch):
    monkeypatch.setenv("K2_UI_PORT", "http")

    assert run(defective, [], "k2") == 1
    assert "Unexpected" in capsys.readouterr().err


def test_no_secret_of_an_unexpected_error_is_kept(home, capsys):
    def fails() -> None:
        raise ValueError("cannot open http://me:c4n4ry@host")

    home.mkdir()
    run(app_of("fails", fails), [], "k2")

    log = (home / "logs" / "k2.log").read_text()
    assert "c4n4ry" not in capsys.readouterr().err + log


def test_an_error_that_ends_a_thread_is_a_sentence_too(home, capsys, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    keep_traces_of_threads()
    home.mkdir()

    thread = threading.Thread(target=lambda: 1 / 0, name="k2-feed")
    thread.start()
    thread.join()

    said = capsys.readouterr().err
    assert said.startswith("k2: Thread k2-feed: Unexpected ZeroDivisionError: division by zero.")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_command_may_choose_its_exit_code(code):
    def chooses() -> None:
        raise typer.Exit(code)

    assert run(app_of("chooses", chooses), [], "k2") == code


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["shwo"], "Did you mean show?"),
        (["show", "gold_trads"], "Did you mean gold_trades?"),
        (["show", "gold-ohlcv"], "Did you mean gold_ohlcv?"),
        (["replay", "/dev/null", "--exchange", "Binanse"], "Did you mean binance?"),
    ],
)
def test_a_name_that_nearly_is_one_gets_a_guess(k2, arguments, guess):
    said = k2(*arguments)

    assert said.code == 2
    assert guess in said.err


def test_a_name_like_no_other_gets_no_guess(k2):
    assert "Did you mean" not in k2("sideways").err
    assert "Did you mean" not in k2("show", "elephants").err


@pytest.mark.parametrize("command", [[], ["up"], ["dlq"], ["dlq", "list"]])
def test_h_is_help(k2, command):
    said = k2(*command, "-h")

    assert said.code == 0
    assert "Usage: k2" in said.out


def test_a_variable_that_is_no_setting_is_named_with_a_guess(monkeypatch, capsys):
    monkeypatch.setenv("K2_TRIGER_SECONDS", "5")
    monkeypatch.setenv("K2_PROMETHEUS_URL", "http://127.0.0.1:9090")
    monkeypatch.setattr("sys.argv", ["k2", "--version"])

    with pytest.raises(SystemExit) as end:
        main()

    said = capsys.readouterr()
    assert end.value.code == 0
    assert said.out.startswith("k2 ")
    assert said.err == (
        "k2: K2_TRIGER_SECONDS is no setting of K2 and changes nothing."
        " Did you mean K2_TRIGGER_SECONDS?\n"
    )


@pytest.mark.parametrize("command", [["replay"], ["exchange", "validate"]])
def test_a_recording_of_another_exchange_is_recognised_before_anything_is_sent(
    k2, tmp_path, command
):
    recording = tmp_path / "trades.ndjson"
    match = {
        **{"type": "match", "product_id": "BTC-USD", "trade_id": 1, "sequence": 3, "price": "1"},
        **{"size": "1", "time": "2026-07-08T01:00:00.000001Z", "side": "buy"},
        **{"maker_order_id": "a", "taker_order_id": "b"},
    }
    recording.write_text(json.dumps({"type": "subscriptions"}) + "\n" + json.dumps(match))

    said = k2(*command, recording, "--exchange", "kraken")

    assert said.code == 2
    assert f"{recording} has messages of Coinbase, not of Kraken" in said.err
    assert "--exchange coinbase" in said.err


def completed(monkeypatch, capsys, *words: str) -> list[str]:
    monkeypatch.setenv("_K2_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(("k2", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    assert run(app._app, [], "k2") == 0
    return capsys.readouterr().out.split()


def test_the_tab_key_completes_commands_without_loading_them(k2, monkeypatch, capsys):
    monkeypatch.setattr("k2.cli.app.importlib.import_module", lambda _name: pytest.fail("loaded"))

    assert completed(monkeypatch, capsys, "ba") == ["bars", "balance"]


def test_the_tab_key_completes_options_tables_and_streams(k2, home, monkeypatch, capsys):
    ensure_table(home / "lake", GOLD_TRADES)

    assert "--watch" in completed(monkeypatch, capsys, "status", "--w")
    assert completed(monkeypatch, capsys, "show", "gol") == ["gold_trades"]
    assert completed(monkeypatch, capsys, "export", "gol") == ["gold_trades"]
    assert "silver-kraken" in completed(monkeypatch, capsys, "logs", "--stream", "silver-k")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(k2, monkeypatch, shell):
    # Else typer asks which shell has started the tests, and there may be none.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")

    said = k2("--show-completion", shell)

    assert said.code == 0
    assert "_K2_COMPLETE" in said.out
