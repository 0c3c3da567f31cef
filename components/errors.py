"""The failures a user can mend, each with the exit code the command line answers with.

A message says what was received, what was expected and how to fix it; it is shown without a traceback.
"""


class VisionloopError(Exception):
    """Base of every failure whose message is meant for users."""

    exit_code = 1


class UsageError(VisionloopError):
    """A wrong command, parameter or configuration (exit code 2)."""

    exit_code = 2


class DataError(VisionloopError):
    """A dataset that is missing, broken or cannot be used as it is (exit code 3)."""

    exit_code = 3


class ServiceError(VisionloopError):
    """A server that could not be reached (exit code 4)."""

    exit_code = 4


class ResourceError(VisionloopError):
    """Too little disk or memory (exit code 5)."""

    exit_code = 5
