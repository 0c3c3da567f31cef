"""What holds for every test."""

import sys

import absl.logging

# TensorFlow's log would write to what pytest captures at that moment, and close it when Prefect configures logging anew.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__
