"""Run one exchange's Silver stream.

spark-submit --jars "$(k2 jars)" jobs/silver.py --exchange kraken --trigger available-now
"""

import sys

from k2.cli.spark_submit.job import main

if __name__ == "__main__":
    sys.exit(main("silver", sys.argv[1:]))
