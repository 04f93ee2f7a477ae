"""What holds for every kind of job: its name is its own, and what it does is said in words for people."""

import re

import pytest

from k2.errors import ConfigError
from k2.jobs.kinds import KINDS
from k2.jobs.kinds.kind import JobKind, JobKinds
from tests.support.jobs import COUNT


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.name)
def test_a_kind_says_in_a_sentence_what_it_does(kind: JobKind) -> None:
    assert re.fullmatch(r"[A-Z][a-z]+ .*\.", kind.summary)
    assert not re.search(r"[a-z][A-Z]", kind.summary), "the name of a class"


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.name)
def test_every_parameter_that_a_kind_adds_is_described(kind: JobKind) -> None:
    undescribed = [
        name for name, field in kind.params.model_fields.items() if not field.description
    ]

    assert undescribed == []


def test_two_kinds_of_one_name_are_a_defect_that_is_named() -> None:
    with pytest.raises(ConfigError, match="two kinds of job named count"):
        JobKinds([COUNT, COUNT])
