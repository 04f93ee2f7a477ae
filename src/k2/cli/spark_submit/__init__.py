"""What ``jobs/*.py`` call under ``spark-submit``."""
