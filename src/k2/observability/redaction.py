"""Redact secrets wherever they stand, by the names of fields and by the form of values."""

import re
from typing import Any

HIDDEN = "***"

_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|sasl|jaas|credential|api[_.-]?key|access[_.-]?key"
    r"|private[_.-]?key|authori[sz]ation",
    re.I,
)
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    # scheme://user:password@host; without a user and without a password too
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", re.I), rf"\1{HIDDEN}@"),
    # password=…, "api_key": "…", sasl.jaas.config = … password="…"
    (
        re.compile(
            r"((?:passw(?:or)?d|passphrase|secret|token|api[_.-]?key|access[_.-]?key)"
            r"[\w.-]*[\"']?\s*[=:]\s*[\"']?)(?!\*\*\*)([^\s\"',;&}]{3,})",
            re.I,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(--[\w-]*(?:password|secret|token|key)[\w-]*\s+)\S+", re.I), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # a JSON web token
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),  # a key of Amazon's
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|$)", re.S), HIDDEN),
)


def redacted(value: Any, name: str = "") -> Any:
    """Return a value without secrets; ``name`` is the field that it is the value of.

    Texts are searched, also those inside mappings, lists and tuples. Other values stay as they are.
    """
    if name and _NAME.search(name):
        return HIDDEN if value not in (None, "") else value
    if isinstance(value, str):
        for form, instead in _FORMS:
            value = form.sub(instead, value)
        return value
    if isinstance(value, bytes):
        return redacted(value.decode(errors="replace"))
    if isinstance(value, dict):
        return {key: redacted(held, str(key)) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(held) for held in value]
    if isinstance(value, BaseException):
        return redacted(f"{type(value).__name__}: {value}")
    return value
