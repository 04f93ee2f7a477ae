"""What can be submitted: one module a kind, with its parameters and its steps."""

from k2.jobs.kinds.kind import JobKinds

KINDS = JobKinds(())
