"""What ships with K2 is found in a checkout and in an installed package."""

import re
import tomllib
from pathlib import Path

import pytest

from k2.errors import ConfigError
from k2.shipped import shipped_folder

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["monitoring", "docs", "jobs"])
def test_a_folder_of_a_checkout_is_found(name):
    assert shipped_folder(name) == ROOT / name


@pytest.mark.parametrize(
    ("name", "packaged"),
    [("monitoring", "monitoring"), ("docs", "docs"), ("jobs", "spark_submit_scripts")],
)
def test_a_folder_of_an_installed_package_is_found(tmp_path, name, packaged):
    package = tmp_path / "lib" / "k2"
    (package / packaged).mkdir(parents=True)

    assert shipped_folder(name, package) == package / packaged
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = wheel["targets"]["wheel"]["force-include"].values()
    assert any(re.match(rf"k2/{packaged}(/|$)", target) for target in included)


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"K2's monitoring files are missing .*install K2 again"):
        shipped_folder("monitoring", tmp_path / "src" / "k2")
