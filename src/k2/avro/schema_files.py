"""The Avro schemas that ship with K2: ``schemas/`` in a checkout, ``k2/schemas`` in a wheel."""

from pathlib import Path

import k2
from k2.errors import ConfigError

_PACKAGE = Path(k2.__file__).parent


def schemas_folder(package: Path = _PACKAGE) -> Path:
    """Return the folder of the ``*.avsc`` files.

    Raises:
        ConfigError: neither the installed package nor a checkout around it has one.
    """
    candidates = (package / "schemas", package.parents[1] / "schemas")
    for folder in candidates:
        if folder.is_dir():
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    raise ConfigError(f"K2's Avro schemas are missing (looked in {looked}); install K2 again.")


def schema_text(file: str, package: Path = _PACKAGE) -> str:
    """Return the text of one schema, such as ``kraken_raw_trade_v2.avsc``.

    Raises:
        ConfigError: there is no such file; the message lists those there are.
    """
    folder = schemas_folder(package)
    try:
        return (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(sorted(path.name for path in folder.glob("*.avsc")))
        raise ConfigError(f"No schema {file!r} in {folder}. Known: {known}.") from None
