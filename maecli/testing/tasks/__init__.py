"""What a task promises, by what it does; it is tried on a small transformer and a few pictures."""

from maecli.testing.tasks.check import STAGES, check_task
from maecli.testing.tasks.subject import TaskSubject

__all__ = ["STAGES", "TaskSubject", "check_task"]
