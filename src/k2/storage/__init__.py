"""Delta tables: what a table is, how it is written, read, and kept small."""
