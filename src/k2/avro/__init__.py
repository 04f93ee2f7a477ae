"""Avro in Confluent's wire format: read in columns, resolved between schemas, and written."""
