"""Durable jobs: whatever runs longer than a moment and is no stream.

model        a job, its states, its steps and its report
kinds/       what can be submitted: parameters and steps
database     the registry's database: SQLite in K2_HOME, or PostgreSQL
registry     submit, list, show, pause, resume, cancel, retry
engine       runs jobs on dbos; the only module that imports it
job_run      what a kind is given while it runs: steps, checkpoints, the wish to stop
schedule     jobs that the service asks for every so often
outbox       events, written with the change that they tell of
delivery/    events on their way to Kafka, webhooks and others
"""
