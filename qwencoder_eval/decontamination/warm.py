"""Imported by the process that workers are forked from: what all of them need is compiled, or read, once.

The memory of it is shared then.
"""

import gc
import sys
from typing import Any, cast

gc.disable()  # looking through what is imported takes a third of the time
sys.modules["scipy"] = cast(Any, None)  # Numba would load all of its algebra, which no kernel needs

from . import shard  # noqa: E402
from .index import Item, build  # noqa: E402
from .rules import RULES  # noqa: E402
from .scan import Scanner  # noqa: E402

_item = Item("warm", "0", ("a b c d e f g h i j k",))
_index = build([_item], [(RULES["qwen"], RULES["qwen"].n)])
Scanner(_index).scan_texts([_item.text.encode()])
del sys.modules["scipy"]
gc.freeze()  # what is here stays, and workers need no copies of it to know that
gc.enable()

__all__ = ["shard"]
