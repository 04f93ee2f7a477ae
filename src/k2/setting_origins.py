"""Where each setting is from, and what is set that is no setting."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic_settings import EnvSettingsSource

from k2.config_file import VARIABLE, file_keys, find_config_file
from k2.errors import ConfigError, did_you_mean
from k2.settings import Settings

# Grafana's, in its provisioning, and the benchmarks'.
_OF_OTHERS = ("K2_PROMETHEUS_URL", "K2_DASHBOARDS", "K2_BENCHMARK_")
_HIDDEN = "***"


@dataclass(frozen=True)
class SettingOrigin:
    """A setting, what it is (a secret as ``***``) and where that is from; ``default`` if nobody set it."""

    name: str
    value: Any
    origin: str


def setting_origins(settings: Settings) -> Iterator[SettingOrigin]:
    """Yield every setting.

    Raises:
        ConfigError: the file cannot be read.
    """
    environment, in_file = EnvSettingsSource(Settings)(), file_keys(Settings)
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else []
        origin = "default"
        if {name, *names} & environment.keys():
            variables = names or [f"K2_{name.upper()}"]
            given = (v for v in variables if any(v == n.upper() for n in os.environ))
            origin = f"environment ({next(given, variables[0])})"
        elif name in in_file:
            origin = str(find_config_file())
        elif (secret := getattr(settings, f"{name}_file", None)) is not None:
            yield SettingOrigin(name, _HIDDEN, f"file ({secret})")
            continue
        yield SettingOrigin(name, _shown(getattr(settings, name)), origin)


def unknown_settings() -> dict[str, str]:
    """Return what is set and nobody reads, in the environment and in the file, each with a guess."""
    variables = {f"K2_{name.upper()}" for name in Settings.model_fields} | {VARIABLE}
    for setting in Settings.model_fields.values():
        if isinstance(setting.validation_alias, AliasChoices):
            variables |= {str(alias) for alias in setting.validation_alias.choices}
    given = {name for name in os.environ if name.startswith("K2_")}
    unknown = {name for name in given - variables if not name.startswith(_OF_OTHERS)}
    found = {name: did_you_mean(name, variables) for name in sorted(unknown)}
    with suppress(ConfigError):  # whoever loads the settings will say it
        keys = set(file_keys(Settings)) - set(Settings.model_fields)
        found |= {
            f"{key} in {find_config_file()}": did_you_mean(
                key.removeprefix("k2_"), Settings.model_fields
            )
            for key in sorted(keys)
        }
    return found


def exposed_secrets() -> str | None:
    """Say so if the file holds secrets and others may read it; None if all is well."""
    file = find_config_file()
    if file is None or not file.stat().st_mode & 0o077:
        return None
    secret = [name for name in file_keys(Settings) if _is_secret(name)]
    if not secret:
        return None
    return f"{file} holds {', '.join(secret)} and others may read it: chmod 600 {file}."


def missing_files(settings: Settings) -> Iterator[str]:
    """Name the settings whose file is not there."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        is_named = isinstance(value, Path) and name.endswith(("_file", "_properties"))
        if is_named and not value.is_file():
            yield f"{name} = {str(value)!r} is no file."


def _is_secret(name: str) -> bool:
    field = Settings.model_fields.get(name)
    return field is not None and "SecretStr" in str(field.annotation)


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _HIDDEN if value.get_secret_value() else ""
    return str(value) if isinstance(value, Path) else value
