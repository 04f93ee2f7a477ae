"""Run quality checks once, for cron, Airflow or spark-submit; Spark itself is not needed.

python jobs/quality.py --check all
spark-submit jobs/quality.py --check dead-letters
"""

import sys

from k2.cli.app import main

if __name__ == "__main__":
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
    sys.argv[1:] = ["quality", "run", options.get("--check", "all")]
    main()
