"""What the registry stores is JSON: errors come back as what they were, secrets do not, and rows are refused."""

import pytest

from k2.errors import ConfigError, FailedError, K2Error, UnavailableError
from k2.jobs.json_values import MAX_BYTES, RemoteError, dumps, error_class, loads


class OddError(UnavailableError):
    """An error of a package that another process does not have."""

    exit_code = 7


@pytest.mark.parametrize("value", [None, 3, "text", [1, 2], {"a": {"b": None}}])
def test_a_value_comes_back_as_it_was(value: object) -> None:
    assert loads(dumps(value)) == value


def test_nothing_is_nothing() -> None:
    assert loads(None) is None


@pytest.mark.parametrize("value", [{1, 2}, object(), {"a": b"bytes"}])
def test_a_value_that_is_no_JSON_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="A job's value is no JSON"):
        dumps(value)


def test_a_value_that_belongs_into_a_file_is_refused_with_both_sizes() -> None:
    dumps("x" * (MAX_BYTES - 2))

    with pytest.raises(ConfigError, match=r"65,537 bytes; 65,536 are the most .* name the file"):
        dumps("x" * (MAX_BYTES - 1))


@pytest.mark.parametrize("kind", [ConfigError, FailedError, UnavailableError])
def test_an_error_of_K2_comes_back_as_itself(kind: type[K2Error]) -> None:
    found = loads(dumps(kind("the disk is full")))

    assert type(found) is kind
    assert (str(found), found.attempts) == ("the disk is full", 1)


def test_an_error_that_this_process_does_not_know_keeps_its_name_its_code_and_whether_to_retry() -> (
    None
):
    found = loads(dumps(OddError("not today")))

    assert isinstance(found, RemoteError)
    assert (str(found), found.exit_code, found.retryable) == ("not today", 7, True)
    assert loads(dumps(found)).class_name == "OddError"


@pytest.mark.parametrize("name", ["first_line", "K2", "__builtins__", ""])
def test_a_stored_name_that_is_no_error_of_K2_makes_no_other_thing(name: str) -> None:
    found = loads(dumps({"$error": name, "message": "odd"}))

    assert type(found) is RemoteError
    assert (found.exit_code, found.retryable) == (1, False)


def test_an_error_that_is_not_K2s_is_a_failure_with_the_name_of_its_class() -> None:
    found = loads(dumps(KeyError("price")))

    assert str(found) == "KeyError: 'price'"
    assert (found.exit_code, found.retryable, found.class_name) == (1, False, "KeyError")


def test_a_password_in_an_error_is_not_stored() -> None:
    stored = dumps(UnavailableError("http://reader:hunter2@registry:8081 is silent"))

    assert "hunter2" not in stored
    assert "registry:8081 is silent" in stored


def test_a_job_without_an_error_has_the_class_of_none() -> None:
    assert error_class(None) == ""
