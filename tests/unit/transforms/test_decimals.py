"""Text to numbers: exactly that number, or none."""

from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from k2.transforms.decimals import exact, is_number_that_does_not_fit

pytestmark = pytest.mark.unit

NUMBERS = {
    "0": "0",
    "-0": "0",
    "1": "1",
    "+1": "1",
    "-1": "-1",
    "1.": "1",
    ".5": "0.5",
    " 1 ": "1",
    "007.50": "7.5",
    "61837.63000000": "61837.63",
    "0.00000638": "0.00000638",
    "1E-8": "0.00000001",
    "1e-8": "0.00000001",
    "1e+2": "100",
    "1e2": "100",
    "1.25E-3": "0.00125",
    "1E-18": "0.000000000000000001",
    "0.000000000000000001": "0.000000000000000001",
    "0.123456789012345678": "0.123456789012345678",
    "1.00000000000000000000000000": "1",
    "12345678901234567890": "12345678901234567890",
    "99999999999999999999.999999999999999999": "99999999999999999999.999999999999999999",
    "1234567890123456789e1": "12345678901234567890",
    # A float has neither of these.
    "0.1": "0.1",
    "9007199254740993": "9007199254740993",
}
TOO_LARGE_OR_TOO_FINE = [
    "0.0000000000000000001",
    "1E-19",
    "1.5e-18",
    "0.1234567890123456789",
    "1234567890.1234567890123456789",
    "100000000000000000000",
    "-100000000000000000000",
    "1e20",
    "1e400",
    "1e999999999",
    "1e-999999999",
    "99999999999999999999999999999999999999999999",
    "0." + "0" * 60 + "1",
]
NO_NUMBERS = ["", " ", "NaN", "Infinity", "-Infinity", "inf", "abc", "1,000", "1_000", "0x10"]
NO_NUMBERS += ["1f", "1e", "e1", ".", "-", "1 000", "--1", "1.2.3", "null", "½"]


@pytest.fixture(scope="module")
def parsed(spark):
    texts = [*NUMBERS, *TOO_LARGE_OR_TOO_FINE, *NO_NUMBERS, None]
    rows = spark.createDataFrame([(text,) for text in texts], "text string").select(
        "text", exact(F.col("text")).alias("number")
    )
    found = rows.select(
        "*", is_number_that_does_not_fit(F.col("text"), F.col("number")).alias("unfit")
    )
    return {row.text: (row.number, row.unfit) for row in found.collect()}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_a_number_is_kept_exactly(parsed, text, number):
    assert parsed[text] == (Decimal(number), False)


@pytest.mark.parametrize("text", TOO_LARGE_OR_TOO_FINE)
def test_a_number_that_does_not_fit_is_none_and_never_rounded(parsed, text):
    assert parsed[text] == (None, True)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_none(parsed, text):
    assert parsed[text] == (None, False)


def test_null_is_none(parsed):
    assert parsed[None] == (None, False)


def test_zeros_before_an_exponent_do_not_hide_it(spark):
    frame = spark.createDataFrame([("1E-0000000001000000",)], "text string")

    number = frame.select(exact(F.col("text"))).head()[0]

    assert number is None


def test_digits_of_other_scripts_are_not_rounded(spark):
    zero, five = "\u0660", "\u0665"
    frame = spark.createDataFrame([(f"0.{zero * 18}{five}",)], "text string")

    number = frame.select(exact(F.col("text"))).head()[0]

    assert number is None
