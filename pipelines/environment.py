"""The environment every entry gives its libraries before it imports them."""

import os

SWITCHES = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def prepare_environment() -> None:
    """No dependency reports home, TensorFlow keeps its start-up notices to itself and its memory for itself.

    A network's maps are large and short-lived: malloc would give each back to the system and have it wiped anew, which
    takes a fifth of the CPU time of a training. TensorFlow's own allocator keeps them, up to all the memory there is,
    and ends in an error that can be told where the system would kill the process. What the user has set stays.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    for name, value in {**SWITCHES, "TF_CPU_ALLOCATOR_USE_BFC": "1", "TF_CPU_BFC_MEM_LIMIT_IN_MB": str(memory)}.items():
        os.environ.setdefault(name, value)
