"""Runs jobs on dbos. Only this folder imports it, so that it can be replaced.

dbos records workflows and steps, claims queued ones and recovers those of a killed process. What it
does otherwise than K2 promises is held here: the version of jobs is fixed by hand (else any upgrade
strands them), pickle is refused, a step's retries are K2's own, and a job that is to stand still
leaves its workflow by a BaseException, which dbos records as nothing at all.
"""

from k2.jobs.engine.queue import JobQueue, open_registry, prepare
from k2.jobs.engine.runner import EngineOptions, JobEngine

__all__ = ["EngineOptions", "JobEngine", "JobQueue", "open_registry", "prepare"]
