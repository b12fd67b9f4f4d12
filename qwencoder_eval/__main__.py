"""`python -m qwencoder_eval` is `qceval`."""

from .cli.main import main

main()
