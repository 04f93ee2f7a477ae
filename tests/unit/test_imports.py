"""PySpark, half a second of CPU and 60 MB, is imported by what runs streams and by nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

MAX_IMPORT_SECONDS = 0.3  # of CPU

READING_COMMANDS = [
    ["tables"],
    ["show", "gold_trades"],
    ["bars", "BTC-USDT", "--exchange", "binance"],
    ["dlq", "list"],
    ["status"],
    ["balance"],
    ["jobs", "list"],
    ["--help"],
]


def printed_by(program: str, home: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"K2_HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.performance
def test_importing_k2_is_cheap_and_brings_no_spark(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "began = time.process_time()\n"
        "import k2\n"
        "print(time.process_time() - began, 'pyspark' in sys.modules)"
    )

    seconds, has_spark = printed_by(program, tmp_path).split()

    assert has_spark == "False"
    assert float(seconds) < MAX_IMPORT_SECONDS


@pytest.mark.parametrize("arguments", READING_COMMANDS, ids=" ".join)
def test_a_command_that_reads_imports_no_spark(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        f"sys.argv = ['k2', *{arguments!r}]\n"
        "from k2.cli.app import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('pyspark' in sys.modules)"
    )

    assert printed_by(program, tmp_path) == "False"


def test_reading_the_topology_imports_no_spark(tmp_path: Path) -> None:
    program = "import sys, k2.topology\nprint('pyspark' in sys.modules)"

    assert printed_by(program, tmp_path) == "False"


def test_a_command_that_shows_rows_does_without_the_streams(tmp_path: Path) -> None:
    program = (
        "import sys, k2.cli.app, k2.cli.commands.show, k2.cli.commands.query\n"
        "print({'k2.topology', 'confluent_kafka', 'prometheus_client'} & sys.modules.keys())"
    )

    assert printed_by(program, tmp_path) == "set()"


def test_jobs_and_their_schedule_come_without_the_libraries_of_tables(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from k2.jobs.kinds.quality_check import scheduled_checks\n"
        "from k2.jobs.engine import JobEngine\n"
        "from k2.settings import Settings\n"
        "scheduled_checks(Settings.load())\n"
        "heavy = ('pyarrow', 'duckdb', 'deltalake', 'numpy', 'confluent_kafka', 'pyspark')\n"
        "print([name for name in heavy if name in sys.modules])"
    )

    assert printed_by(program, tmp_path) == "[]"


def test_a_service_that_is_scraped_and_asked_of_jobs_does_without_the_libraries_of_tables(
    tmp_path: Path,
) -> None:
    program = (
        "import sys\n"
        "from fastapi.testclient import TestClient\n"
        "from k2.jobs.kinds import KINDS\n"
        "from k2.observability.job_metrics import JobMetrics\n"
        "from k2.quality.quality_metrics import QualityMetrics\n"
        "from k2.service.app import make_app\n"
        "from k2.service.server import JobService\n"
        "from k2.settings import Settings\n"
        "settings = Settings.load()\n"
        "service = JobService(settings, KINDS)\n"
        "with service.engine as engine:\n"
        "    metrics = JobMetrics(engine.registry).registry\n"
        "    metrics.register(QualityMetrics(settings))\n"
        "    client = TestClient(make_app(settings, engine.registry, metrics))\n"
        "    paths = ('/health', '/metrics', '/v1/kinds', '/v1/jobs', '/v1/streams')\n"
        "    assert [client.get(path).status_code for path in paths] == [200] * len(paths)\n"
        "heavy = ('pyarrow', 'duckdb', 'deltalake', 'numpy', 'pandas', 'pyspark')\n"
        "print([name for name in heavy if name in sys.modules])"
    )

    assert printed_by(program, tmp_path) == "[]"
