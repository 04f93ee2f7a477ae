"""Text to numbers: exactly that number, or none."""

from decimal import Decimal

import pyarrow as pa
import pytest

from k2.silver.decimals import TYPES, from_text, narrowed

pytestmark = pytest.mark.unit

NUMBERS = {
    "0": "0",
    "-0": "0",
    "0e5": "0",
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
    "1E-0008": "0.00000001",
    "1.00000000000000000000000000": "1",
    "0000000000000000001.5": "1.5",
    "0.00000000000001": "0.00000000000001",
    "1E-14": "0.00000000000001",
    "3.96e-06": "0.00000396",
    "0.000003950": "0.00000395",
    "10000000000": "10000000000",
    "999999999999999999.99999999999999": "999999999999999999.99999999999999",
    "-999999999999999999.99999999999999": "-999999999999999999.99999999999999",
    "123456789e1": "1234567890",
    "99999999999e-1": "9999999999.9",
    # A float has neither of these.
    "0.1": "0.1",
    "9007199254.740993": "9007199254.740993",
}
TOO_LARGE_OR_TOO_FINE = [
    "0.000000000000001",
    "1E-15",
    "1.5e-14",
    "0.123456789012345",
    "1000000000000000000",
    "-1000000000000000000",
    "999999999999999999.999999999999999",
    "1e18",
    "1e400",
    "1e999999999",
    "1e-999999999",
    "1E-0000000001000000",
    "99999999999999999999999999999999999999999999",
    "0." + "0" * 60 + "1",
    "1" + "0" * 200,
]
NO_NUMBERS = ["", " ", "NaN", "Infinity", "-Infinity", "inf", "abc", "1,000", "1_000", "0x10"]
NO_NUMBERS += ["1f", "1e", "e1", ".", "-", "1 000", "--1", "1.2.3", "null", "½", "1\u00a0"]
NO_NUMBERS += ["\u0661", "0.\u0660\u0665"]  # digits of other scripts


@pytest.fixture(scope="module")
def parsed():
    texts = [*NUMBERS, *TOO_LARGE_OR_TOO_FINE, *NO_NUMBERS, None]
    numbers, signs = from_text("price", pa.chunked_array([pa.array(texts, pa.string_view())]))
    return dict(zip(texts, zip(numbers.to_pylist(), signs.to_pylist(), strict=True), strict=True))


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_a_number_is_kept_exactly(parsed, text, number):
    number = Decimal(number)

    assert parsed[text] == (number, (number > 0) - (number < 0))


@pytest.mark.parametrize("text", TOO_LARGE_OR_TOO_FINE)
def test_a_number_that_does_not_fit_is_none_and_never_rounded(parsed, text):
    assert parsed[text] == (None, -1 if text.startswith("-") else 1)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_none(parsed, text):
    assert parsed[text] == (None, None)


def test_null_is_none(parsed):
    assert parsed[None] == (None, None)


def test_texts_that_are_all_plain_are_numbers_of_the_column_s_type():
    numbers, signs = from_text("quantity", pa.chunked_array([["1.5", "0"], ["20.0000000001"]]))

    assert numbers.type == TYPES["quantity"]
    assert numbers.to_pylist() == [Decimal("1.5"), 0, Decimal("20.0000000001")]
    assert signs.to_pylist() == [1, 0, 1]


def test_no_texts_are_no_numbers():
    numbers, signs = from_text("price", pa.chunked_array([], pa.string()))

    assert (len(numbers), len(signs)) == (0, 0)


@pytest.mark.parametrize("ending", ["\n", "\r", "\0", " \n1"])
def test_a_line_s_end_is_not_the_text_s(ending):
    column = pa.chunked_array([[f"1.5{ending}", "1.5"]], pa.string())

    numbers, _ = from_text("price", column)

    is_space = not ending.strip()
    assert numbers.to_pylist() == [Decimal("1.5") if is_space else None, Decimal("1.5")]


@pytest.mark.parametrize("text", ["9999999999.99999999", "0.00000001", "0", "-1.5"])
def test_what_fits_18_digits_is_narrowed_exactly(text):
    numbers = pa.chunked_array([pa.array([Decimal(text)], TYPES["price"])])

    assert narrowed(numbers).to_pylist() == [Decimal(text)]


@pytest.mark.parametrize("text", ["10000000000", "0.000000001", "1.123456789"])
def test_what_does_not_fit_18_digits_is_not_narrowed(text):
    numbers = pa.chunked_array([pa.array([Decimal(1), Decimal(text)], TYPES["price"])])

    assert narrowed(numbers) is None
