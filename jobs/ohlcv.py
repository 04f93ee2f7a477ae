"""Run the stream of bars, over all of Gold.

spark-submit --jars "$(k2 jars)" jobs/ohlcv.py --trigger available-now
"""

import sys

from k2.cli.spark_submit.job import main

if __name__ == "__main__":
    sys.exit(main("ohlcv", sys.argv[1:]))
