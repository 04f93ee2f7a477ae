"""Run one exchange's Bronze stream.

spark-submit --jars "$(k2 jars)" jobs/bronze.py --exchange kraken --trigger available-now
"""

import sys

from k2.cli.spark_submit.job import main

if __name__ == "__main__":
    sys.exit(main("bronze", sys.argv[1:]))
