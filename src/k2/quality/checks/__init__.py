"""Quality checks: what each looks for in the tables, as functions of a window of broker time."""
