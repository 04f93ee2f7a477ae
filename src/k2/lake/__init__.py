"""Read stored tables without Spark: ``k2.Lake`` for programs, views and SQL for people."""
