"""qceval: the evaluation harness for code language models."""

__version__ = "0.1.0"
