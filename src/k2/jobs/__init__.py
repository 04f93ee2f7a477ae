"""Durable jobs: all work that takes longer than a moment and is not a stream.

model        a job, its states, its steps and its report
kinds/       what can be submitted: parameters and steps
database     the registry's database: SQLite in K2_HOME, or PostgreSQL
registry     submit, list, show, pause, resume, cancel, retry
engine       runs jobs on dbos; the only module that imports it
job_run      what a kind works with while it runs: steps, checkpoints, requests to stop
schedule     jobs that the service submits periodically
outbox       events, written in the transaction of the change that they report
delivery/    delivers events to Kafka, webhooks and others
"""
