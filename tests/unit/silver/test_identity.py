"""Names of trades: the same on every run and every machine, whatever the ids and times are."""

from datetime import UTC, date, datetime
from hashlib import md5

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2.silver.identity import identities, message_ids, space_hashes

pytestmark = pytest.mark.unit

_DAY_US = 86_400_000_000
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
_LONGS = st.integers(-(2**63), 2**63 - 1)


def identity(number, fields="", space="00000000000000ab"):
    numbers = pa.chunked_array([pa.array([number], pa.int64())])
    return identities(pa.array([space]), numbers, pa.chunked_array([[fields]]))[0].as_py()


def message_id(moment_us, name="f" * 32):
    moments = pa.chunked_array([pa.array([moment_us], pa.int64())])
    return message_ids("kraken", moments, pa.array([name], pa.string()))[0].as_py()


@given(number=_LONGS)
def test_an_id_is_sixteen_digits_after_its_space(number):
    assert identity(number) == f"00000000000000ab{number % 2**64:016x}"


def test_without_an_id_all_fields_are_the_identity():
    assert identity(None, "XBT/USD|1|2") == md5(b"XBT/USD|1|2", usedforsecurity=False).hexdigest()


def test_trades_with_and_without_ids_keep_their_places():
    numbers = pa.chunked_array([pa.array([1, None], pa.int64()), pa.array([2], pa.int64())])
    spaces, fields = pa.array(["a" * 16] * 3), pa.chunked_array([[None, "x", None]])

    found = identities(spaces, numbers, fields).to_pylist()

    assert found == [f"{'a' * 16}{1:016x}", identity(None, "x"), f"{'a' * 16}{2:016x}"]


def test_no_trades_have_no_names():
    none = pa.chunked_array([], pa.int64())

    found = identities(pa.array([], pa.string()), none, pa.chunked_array([], pa.string()))

    assert message_ids("kraken", none, found).to_pylist() == []


@given(moment=st.integers(_FIRST_US, _LAST_US))
def test_a_message_id_has_the_day_of_the_trade(moment):
    days = moment // _DAY_US
    day = date.fromordinal(date(1970, 1, 1).toordinal() + days)

    assert message_id(moment) == f"kraken-{day.isoformat().replace('-', '')}-{'f' * 32}"


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 7, 7, 23, 59, 59, 999_999, UTC), "20260707"),
        (datetime(2026, 7, 8, tzinfo=UTC), "20260708"),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), "19691231"),
        (datetime(1, 1, 1, tzinfo=UTC), "00010101"),
    ],
)
def test_a_day_ends_at_midnight_utc_in_every_year(moment, day):
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    moment_us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    assert message_id(moment_us) == f"kraken-{day}-{'f' * 32}"


def test_without_a_time_or_an_identity_there_is_no_message_id():
    assert message_id(None) is None
    assert message_id(0, None) is None


def test_a_space_has_the_same_hash_on_every_machine():
    spaces = pa.chunked_array([["BTCUSDT:trade:spot", None, "BTCUSDT:trade:spot"]])

    assert space_hashes(spaces).to_pylist() == ["442bda7cc695323c", None, "442bda7cc695323c"]
