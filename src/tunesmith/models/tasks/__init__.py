"""Task types: how a row becomes tokens to train on, a prompt to answer and an answer to expect."""

from tunesmith.models.tasks.task import Task, build_task, label_set

__all__ = ["Task", "build_task", "label_set"]
