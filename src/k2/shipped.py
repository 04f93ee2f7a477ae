"""Files that ship with K2: beside the code in a checkout, in the package ``k2`` once it is installed."""

from pathlib import Path

import k2
from k2.errors import ConfigError

_PACKAGE = Path(k2.__file__).parent
# Folder of a checkout → its name in the package, where the first is a module's. See pyproject.toml.
_IN_PACKAGE = {"jobs": "spark_submit_scripts"}


def shipped_folder(name: str, package: Path = _PACKAGE) -> Path:
    """Return a folder of the checkout, such as ``monitoring``, wherever it is now.

    Raises:
        ConfigError: it is not there.
    """
    candidates = (package / _IN_PACKAGE.get(name, name), package.parents[1] / name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    raise ConfigError(f"K2's {name} files are missing (looked in {looked}); install K2 again.")
