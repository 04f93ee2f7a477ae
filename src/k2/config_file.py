"""``k2.toml``: settings in a file, for those that no variable of the environment gives."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, TomlConfigSettingsSource

from k2.errors import ConfigError

NAME = "k2.toml"
VARIABLE = "K2_CONFIG"


def find_config_file() -> Path | None:
    """Return the file that K2_CONFIG names, else ``k2.toml`` of the current folder if it is there.

    Raises:
        ConfigError: K2_CONFIG names no file.
    """
    if named := os.environ.get(VARIABLE):
        if not os.path.isfile(named):
            raise ConfigError(f"{VARIABLE}={named!r} is no file.")
        return Path(named)
    return Path(NAME) if os.path.isfile(NAME) else None  # also where the folder may not be read


def config_source(settings: type[BaseSettings]) -> TomlConfigSettingsSource:
    """Return the file as a source of settings; empty without one.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """
    file = find_config_file()
    try:
        return TomlConfigSettingsSource(settings, file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # of its syntax, or of its encoding
        raise ConfigError(f"{file} is no TOML: {error}.") from error


def wrong_values(
    error: ValidationError, settings: type[BaseSettings], overridden: Collection[str]
) -> list[str]:
    """Say of each value that cannot be used where it is, what it is and why."""
    in_file = file_keys(settings)
    of_environment = EnvSettingsSource(settings)()
    sentences = []
    for each in error.errors():
        name = "_".join(str(part) for part in each["loc"]).removeprefix("K2_").lower()
        key = str(each["loc"][0])
        field = key.removeprefix("K2_").lower()
        is_of_file = field in in_file and not {key, field} & {*of_environment, *overridden}
        where = f"{find_config_file()}: {name} = " if is_of_file else f"K2_{name.upper()}="
        why = each["msg"].removeprefix("Value error, ")
        sentences.append(f"{where}{each['input']!r}: {why}.")
    return sentences


def file_keys(settings: type[BaseSettings]) -> dict[str, Any]:
    """Return what the file says, by the names of settings in small letters."""
    return {key.lower(): value for key, value in config_source(settings).toml_data.items()}
