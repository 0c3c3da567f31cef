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


def quiet_dependencies() -> None:
    """No dependency reports home, and TensorFlow keeps its start-up notices to itself; what the user has set stays."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
