"""The documents are up to date and their links lead somewhere."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_TEST = re.compile(r"\[`(test_\w+)`\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.splitlines()]
    else:  # an unpacked archive, not a checkout
        found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [path for path in found if path.exists()]


def anchors(markdown: str) -> set[str]:
    """Names that the headings of a page can be linked by, as code hosts make them."""
    titles = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(document: Path) -> list[str]:
    broken = []
    for link in LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text("utf-8"))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", GENERATOR.PAGES)
def test_a_reference_page_says_what_the_definitions_say(name: str) -> None:
    stored = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")

    assert stored == GENERATOR.page(name), "run `make docs`"


def test_a_stale_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(GENERATOR, "REFERENCE", tmp_path)
    GENERATOR.main([])
    (tmp_path / "settings.md").write_text("# Settings of last year\n")

    exit_code = GENERATOR.main(["--check"])

    assert exit_code == 1
    assert capsys.readouterr().err == "docs/reference/settings.md is stale: run `make docs`\n"


def test_every_setting_is_described() -> None:
    undescribed = [line for line in GENERATOR.page("settings.md").splitlines() if "|  |" in line]

    assert undescribed == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    assert broken_links(document) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "# A page\n[here](#a-page) [there](other.md) [far](https://example.org/x) [gone](#b)\n"
        "```\n[not a link](nowhere.md)\n```\n"
    )

    assert broken_links(document) == ["other.md", "#b"]


def gone_tests(document: Path) -> list[str]:
    return [
        name
        for name, file in NAMED_TEST.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / file).is_file()
        or f"\ndef {name}(" not in (document.parent / file).read_text(encoding="utf-8")
    ]


def test_every_failure_mode_names_tests_that_exist() -> None:
    page = ROOT / "docs" / "explanation" / "failure-modes.md"
    modes = re.findall(r"^\| (\d+) \|.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    rows = re.findall(r"^\| \d+ \|.*$", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert [int(mode) for mode in modes] == list(range(1, len(modes) + 1))
    assert len(modes) >= 28
    assert [row for row in rows if not NAMED_TEST.search(row)] == []
    assert gone_tests(page) == []


def test_a_test_that_is_gone_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text('"""A."""\n\n\ndef test_one(x): ...\n')
    document = tmp_path / "page.md"
    document.write_text("[`test_one`](test_a.py) [`test_on`](test_a.py) [`test_two`](test_b.py)")

    assert gone_tests(document) == ["test_on", "test_two"]


def test_every_decision_is_in_the_list_of_decisions() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    decisions = sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))

    assert [name for name in decisions if f"({name})" not in listed] == []
    assert [int(name[:4]) for name in decisions] == list(range(1, len(decisions) + 1))


def test_every_page_can_be_reached_from_the_index() -> None:
    docs = ROOT / "docs"
    reached, waiting = set(), [docs / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text("utf-8")))
        targets = ((page.parent / link).resolve() for link in links if link.endswith(".md"))
        waiting += [target for target in targets if target.is_relative_to(docs)]

    assert sorted(set(docs.rglob("*.md")) - reached) == []
