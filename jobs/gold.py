"""Run the Gold stream, over all exchanges.

spark-submit --jars "$(k2 jars)" jobs/gold.py --trigger available-now
"""

import sys

from k2.cli.spark_submit.job import main

if __name__ == "__main__":
    sys.exit(main("gold", sys.argv[1:]))
