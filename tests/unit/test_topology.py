"""Which streams there are."""

import pytest

from k2.errors import ConfigError
from k2.exchanges.kraken import KRAKEN
from k2.settings import Settings
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.spark import SparkWriter
from k2.topology import all_streams, schema_cache, stream_named, table_writer

pytestmark = pytest.mark.unit

NAMES = [
    *["bronze-binance", "bronze-kraken", "bronze-coinbase"],
    *["silver-binance", "silver-kraken", "silver-coinbase"],
    *["gold", "ohlcv"],
]


@pytest.fixture
def streams(settings):
    return all_streams(settings, "127.0.0.1:1", "http://127.0.0.1:1", "local[2]")


def test_there_are_two_streams_an_exchange_gold_and_bars(streams):
    assert [stream.name for stream in streams] == NAMES


def test_a_further_exchange_is_two_further_streams(settings):
    few = all_streams(settings, "127.0.0.1:1", "http://127.0.0.1:1", "local[2]", [KRAKEN])

    assert [stream.name for stream in few][:3] == ["bronze-kraken", "silver-kraken", "gold"]
    assert [table.name for table in few[2].reads] == ["silver_kraken_trades"]


def test_name_and_version_give_app_and_checkpoint(streams, settings):
    for stream in streams:
        version = f"v{stream.version}"

        assert stream.app_id == f"{stream.name}/{version}"
        assert stream.checkpoint(settings) == settings.home / "checkpoints" / stream.name / version


def test_no_table_is_written_by_two_streams(streams):
    written = [table.name for stream in streams for table in stream.tables]

    assert len(written) == len(set(written)) >= 9


def test_every_table_that_is_read_is_written_by_a_stream(streams):
    written = {table.name for stream in streams for table in stream.tables}

    assert {table.name for stream in streams for table in stream.reads} <= written


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_found_by_its_name(streams, name):
    assert stream_named(streams, name).name == name


@pytest.mark.parametrize("name", ["gold-kraken", "silver", "bronze-okx", ""])
def test_a_stream_that_there_is_not_is_a_wrong_call(streams, name):
    with pytest.raises(ConfigError, match=f"no stream {name}; there are bronze-binance, "):
        stream_named(streams, name)


@pytest.mark.parametrize(
    ("name", "master", "kind"),
    [
        ("spark", "local[2]", SparkWriter),
        ("arrow", "spark://host:7077", ArrowWriter),
        ("auto", "local[2]", ArrowWriter),
        ("auto", "local", ArrowWriter),
        ("auto", "spark://host:7077", SparkWriter),
        ("auto", "yarn", SparkWriter),
    ],
)
def test_the_settings_and_the_master_choose_the_writer(tmp_path, name, master, kind):
    settings = Settings.load(home=tmp_path, table_writer=name)

    writer = table_writer(settings, master)

    assert type(writer) is kind
    assert writer.lake == settings.lake


def test_the_arrow_writer_knows_who_reads_what_it_writes(settings):
    (bars,) = [s for s in together(settings) if s.name == "ohlcv"]
    gold = stream_named(together(settings), "gold")
    retention = gold.writer.retention

    assert retention.versions == settings.kept_versions
    assert retention.consumers["gold_trades"] == [bars.checkpoint(settings)]
    assert retention.consumers["silver_kraken_trades"] == [gold.checkpoint(settings)]
    assert "dlq_kraken_trades" not in retention.consumers


def test_the_local_stacks_schemas_are_kept_in_the_home_whatever_its_port(settings):
    own = settings.home / "registry-cache"

    assert schema_cache(settings, "http://127.0.0.1:4711") == own
    assert schema_cache(settings, "http://127.0.0.1:4712") == own


def test_each_other_registrys_schemas_have_a_folder_of_their_own(settings):
    urls = [
        "http://one:8081",
        "http://one:8082",
        "https://two/registry",
        "http://me:secret@one:8081/",
    ]
    folders = [
        schema_cache(settings.model_copy(update={"registry": url}), url).name for url in urls
    ]

    assert len(set(folders)) == 3
    assert folders[0] == folders[3]
    assert "secret" not in folders[3]


def chained_of(streams):
    return [stream.name for stream in streams if stream.chained is not None]


def together(settings, master="local[2]"):
    return all_streams(settings, "127.0.0.1:1", "http://127.0.0.1:1", master, together=True)


def test_all_but_bronze_are_chained_where_one_engine_runs_all(settings, streams):
    chained = together(settings)

    assert [stream.name for stream in chained] == NAMES
    assert chained_of(chained) == [name for name in NAMES if not name.startswith("bronze")]
    assert chained_of(streams) == []


def test_both_forms_have_the_same_tables_and_checkpoints(settings, streams):
    for chained, alone in zip(together(settings), streams, strict=True):
        assert (chained.app_id, chained.tables, chained.reads) == (
            alone.app_id,
            alone.tables,
            alone.reads,
        )
        assert chained.checkpoint(settings) == alone.checkpoint(settings)


def test_nobody_follows_where_rows_stay_on_executors_or_the_settings_say_no(settings):
    assert chained_of(together(settings, "spark://host:7077")) == []
    assert chained_of(together(settings.model_copy(update={"chain_streams": False}))) == []
