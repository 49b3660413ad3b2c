"""Commands of qif2hw as jobs of a Slurm cluster: command lines over files, in a folder per job."""

from qif2hw_deploy.submission.job import Job, Request, Task, cancel, resume, status, submit

__all__ = ["Job", "Request", "Task", "cancel", "resume", "status", "submit"]
