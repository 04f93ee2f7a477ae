"""Downloads from a Maven repository, with progress."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from jgo.maven import Artifact, Dependency, MavenContext, PythonResolver
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

_AT_ONCE = 6
_TIMEOUT_SECONDS = 30

FileProgress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def download(
    group: str, coordinates: list[str], left_out: set[str], repository: Path, console: Console
) -> list[Path]:
    """Fetch the coordinates and all they depend on into a folder laid out as a Maven repository.

    Args:
        group: their name, for the progress bar.
        coordinates: ``group:artifact:version[:classifier:type]`` each.
        left_out: artifact names that are not fetched.
        repository: an empty folder.
        console: where progress goes; a bar on a terminal, one line elsewhere.

    Raises:
        OSError: the network or the disk failed, three times in a row.
        RuntimeError: a repository does not have a file.
    """
    with _progress(group, console) as shown:
        context = MavenContext(
            resolver=_WholeFiles(progress_callback=shown),
            repo_cache=repository,
            timeout=_TIMEOUT_SECONDS,
        )
        named = [_artifact(context, coordinate) for coordinate in coordinates]
        jars = [artifact for artifact in named if artifact.packaging == "jar"]
        archives = [artifact for artifact in named if artifact.packaging != "jar"]
        wanted = [*archives, *(_with_dependencies(jars) if jars else [])]
        kept = {a.key: a for a in wanted if a.artifactId not in left_out}.values()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="k2-jars") as pool:
            return list(pool.map(lambda artifact: _patiently(artifact.resolve), kept))


def _artifact(context: MavenContext, coordinate: str) -> Artifact:
    group, name, version, *rest = coordinate.split(":")
    classifier, packaging = rest or ("", "jar")
    return context.project(group, name).at_version(version).artifact(classifier, packaging)


def _with_dependencies(jars: list[Artifact]) -> list[Artifact]:
    named = [Dependency(jar, scope="compile") for jar in jars]
    inputs, transitive = _patiently(lambda: jars[0].context.resolver.resolve(named))
    needed = [d for d in transitive if d.scope in ("compile", "runtime")]
    return [dependency.artifact for dependency in (*inputs, *needed)]


class _WholeFiles(PythonResolver):
    """Deletes partly downloaded files, which the next attempt would take for complete ones."""

    def download(self, artifact: Artifact) -> Path | None:
        try:
            return super().download(artifact)
        except BaseException:
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)
            raise


def _patiently(fetch: Callable[[], Any]) -> Any:
    """Retry after network errors; a full disk has an errno and is not retried."""
    attempts = Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, OSError) and e.errno is None),
        stop=stop_after_attempt(3),
        wait=wait_exponential(max=5),
        reraise=True,
    )
    return attempts(fetch)


@contextmanager
def _progress(group: str, console: Console) -> Iterator[FileProgress]:
    if not console.is_terminal:
        console.print(f"Fetching the {group} jars, once.", highlight=False)
    bar = Progress(
        TextColumn(f"{group} jars"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[file]}", style="dim"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(group, total=0, file="")

        @contextmanager
        def file_progress(name: str, size: int) -> Iterator[Callable[[int], None]]:
            bar.update(task, total=(bar.tasks[0].total or 0) + size, file=name)
            yield lambda received: bar.advance(task, received)

        yield file_progress
