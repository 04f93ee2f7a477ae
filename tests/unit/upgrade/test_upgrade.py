"""A home of an older K2 becomes one of today's, whatever happens on the way."""

from collections import Counter

import orjson
import pytest
from deltalake import write_deltalake

from k2.bars.table import BARS_APP, GOLD_OHLCV
from k2.bronze.table import bronze_trades
from k2.cli.commands.upgrade import upgrade_command, upgrade_here
from k2.cli.job_client import looking
from k2.errors import ConfigError, ContractError, FailedError, InUseError, TableDriftError
from k2.exchanges import EXCHANGES
from k2.exchanges.kraken import KRAKEN
from k2.gold.table import GOLD_TRADES
from k2.home.half_done_swap import half_done_swap, refuse_half_done_swap
from k2.home.locks import exclusive
from k2.quality.backlog import rows
from k2.quality.balance import balance
from k2.settings import Settings
from k2.silver.tables import dead_letters, duplicates, resolutions, silver_trades
from k2.storage.checkpoints.offset_log import OffsetLog, next_version
from k2.storage.delta import ensure_table, open_table
from k2.storage.scan import scan_table
from k2.upgrade.plan import old_tables, replaced_tables
from tests.support.old_home import unpack_old_home
from tests.unit.upgrade.killed_runs import upgrade_again_and_again

pytestmark = pytest.mark.unit

TABLES = replaced_tables(EXCHANGES)


def upgrade(dry_run=False, keep_old=False):
    return upgrade_here(Settings.load(), dry_run, keep_old)


def contents(lake, tables=TABLES):
    """Every row of the tables, in no order, as text."""
    return {
        table.name: Counter(map(str, scan_table(lake, table).table().to_pylist()))
        for table in tables
    }


def rows_in_all(lake, table):
    return scan_table(lake, table).table().num_rows


def versions(lake):
    stored = {table.name: open_table(lake, table) for table in TABLES}
    return {name: table.version() for name, table in stored.items()}


def test_a_table_of_an_older_version_is_named_with_both_versions_and_the_command(old_home):
    with pytest.raises(
        TableDriftError,
        match=r"Table silver_kraken_trades is of version 1, .* version 2\. .*`k2 upgrade`",
    ):
        ensure_table(old_home.lake, silver_trades(KRAKEN))


def test_an_upgraded_home_has_today_s_tables_and_every_record(old_home):
    bronze = {e.name: scan_table(old_home.lake, bronze_trades(e)).table() for e in EXCHANGES}

    upgrade()

    for table in TABLES:
        ensure_table(old_home.lake, table)
    accounts = balance(old_home, EXCHANGES)
    assert [account.differences for account in accounts] == [[], [], []]
    assert {a.exchange: a.bronze for a in accounts} == {n: t.num_rows for n, t in bronze.items()}
    assert not (old_home.home / "upgrade").exists()
    assert old_tables(old_home.lake, EXCHANGES) == []


def test_what_a_replay_had_resolved_is_a_trade_like_others(old_home):
    assert scan_table(old_home.lake, resolutions(EXCHANGES[0])).table().num_rows > 0

    upgrade()

    assert scan_table(old_home.lake, resolutions(EXCHANGES[0])).table().num_rows == 0
    account, *_ = balance(old_home, EXCHANGES)
    assert (account.resolved, account.differences) == (0, [])


def test_the_streams_have_read_all_that_the_new_tables_hold(old_home):
    upgrade()

    for app, reads in {
        **{f"silver-{e.name}/v1": [bronze_trades(e)] for e in EXCHANGES},
        "gold/v1": [silver_trades(e) for e in EXCHANGES],
        BARS_APP: [GOLD_TRADES],
    }.items():
        position = OffsetLog(old_home.checkpoint(app)).position(len(reads))
        ends = [open_table(old_home.lake, table).version() + 1 for table in reads]
        assert (position.batch, position.planned) == (1, None)
        assert [next_version(start) for start in position.starts] == ends
    assert rows(old_home, GOLD_OHLCV) == rows(old_home, GOLD_TRADES) > 0


def test_a_dry_run_says_what_would_differ_and_leaves_the_tables(old_home):
    before = versions(old_home.lake)

    said = upgrade(dry_run=True)

    assert not said["upgraded"]
    assert {table["table"]: (table["version"], table["wanted"]) for table in said["tables"]}[
        "gold_trades"
    ] == (1, 2)
    assert versions(old_home.lake) == before
    upgrade()
    assert old_tables(old_home.lake, EXCHANGES) == []


def test_a_home_that_is_up_to_date_is_left_alone(old_home):
    upgrade()
    before = versions(old_home.lake)

    again = upgrade()

    assert again == {"upgraded": False, "tables": []}
    assert versions(old_home.lake) == before


@pytest.mark.slow
def test_an_upgrade_that_is_killed_at_each_step_gives_what_one_gives_that_is_not(
    tmp_path, monkeypatch
):
    whole, broken = (unpack_old_home(tmp_path / name) for name in ("whole", "broken"))
    monkeypatch.setattr("k2.cli.commands.upgrade.EXCHANGES", (KRAKEN,))
    monkeypatch.setenv("K2_HOME", str(whole.home))
    upgrade()

    killed = upgrade_again_and_again(broken.home, "kraken")

    tables = replaced_tables([KRAKEN])
    assert killed > 2 * len(tables)
    assert contents(broken.lake, tables) == contents(whole.lake, tables)
    assert balance(broken, [KRAKEN])[0].differences == []
    assert not (broken.home / "upgrade").exists()


def test_no_stream_starts_on_tables_that_are_half_swapped(old_home):
    refuse_half_done_swap(old_home)
    half_done_swap(old_home).parent.mkdir()
    half_done_swap(old_home).write_text("[]")

    with pytest.raises(ConfigError, match=r"interrupted while it swapped.*Run `k2 upgrade`"):
        refuse_half_done_swap(old_home)


def test_the_old_tables_can_be_kept(old_home):
    upgrade(keep_old=True)

    kept = old_home.home / "before-upgrade-1"
    assert {table.name for table in TABLES} <= {path.name for path in kept.iterdir()}


def test_streams_that_run_are_not_upgraded_under_their_feet(old_home):
    with (
        exclusive(old_home.run / "locks", ["gold_trades"], "a stream"),
        pytest.raises(InUseError, match="gold_trades is in use"),
    ):
        upgrade()


def test_records_that_bronze_has_lost_are_not_given_up(old_home):
    open_table(old_home.lake, bronze_trades(KRAKEN)).delete('"offset" = 3')

    with pytest.raises(ContractError, match=r"kraken: \d+ records are in Silver, .* not in Bronze"):
        upgrade()

    assert len(old_tables(old_home.lake, EXCHANGES)) == len(TABLES) - len(EXCHANGES)


def test_a_disk_without_room_for_both_is_told_before(old_home, monkeypatch):
    full = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr("k2.cli.commands.upgrade.shutil.disk_usage", lambda _: full)

    with pytest.raises(FailedError, match=r"need some .* GB; the disk of .* has 0\.0 GB free"):
        upgrade()


def test_bronze_that_grew_since_a_dry_run_is_rebuilt_whole(old_home):
    upgrade(dry_run=True)
    table = bronze_trades(KRAKEN)
    more = scan_table(old_home.lake, table).table().slice(0, 1)
    partition = more["partition"][0].as_py()
    everything = scan_table(old_home.lake, table).table()
    last = max(
        offset
        for part, offset in zip(
            everything["partition"].to_pylist(), everything["offset"].to_pylist(), strict=True
        )
        if part == partition
    )
    at = more.schema.get_field_index("offset")
    more = more.set_column(at, more.schema.field(at), [[last + 1]])
    write_deltalake(open_table(old_home.lake, table), more, mode="append")

    upgrade()

    account = balance(old_home, [KRAKEN])[0]
    assert (account.bronze, account.differences) == (everything.num_rows + 1, [])
    names = (silver_trades, duplicates, dead_letters)
    judged = sum(scan_table(old_home.lake, name(KRAKEN)).table().num_rows for name in names)
    assert judged == account.bronze


def test_the_command_upgrades_as_a_job_that_is_on_record(old_home, capsys):
    upgrade_command(as_json=True)

    said = orjson.loads(capsys.readouterr().out)
    assert said["upgraded"]
    assert all(account["balanced"] for account in said["balance"])
    with looking(Settings.load()) as registry:
        (job,) = registry.jobs(kind="upgrade")
        rows_of = {step.name: step.rows for step in registry.steps(job.id)}
    bronze = {account["exchange"]: account["bronze"] for account in said["balance"]}
    assert str(job.state) == "completed"
    assert list(rows_of)[-4:] == ["gold", "ohlcv", "proof", "swap"]
    assert {name: rows_of[f"silver-{name}"] for name in bronze} == bronze
    assert rows_of["gold"] == rows_in_all(old_home.lake, GOLD_TRADES)
    assert rows_of["proof"] == sum(bronze.values())
    assert old_tables(old_home.lake, EXCHANGES) == []
