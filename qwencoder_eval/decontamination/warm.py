"""Imported by the process that workers are forked from: what all of them need is compiled, or read, once.

The memory of it is shared then.
"""

import gc

from . import shard
from .index import Item, build
from .rules import RULES
from .scan import Scanner

_item = Item("warm", "0", ("a b c d e f g h i j k",))
_index = build([_item], [(RULES["qwen"], RULES["qwen"].n)])
Scanner(_index).scan_texts([_item.text.encode()])

__all__ = ["shard"]
gc.collect()
gc.freeze()  # what is here stays, and workers need no copies of it to know that
