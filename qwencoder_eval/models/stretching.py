"""A longer context than a model was made for."""

from __future__ import annotations

from typing import Any


def stretched(path: str, factor: float) -> dict[str, Any]:
    """What changes in a model's config for rotary embeddings stretched by YaRN (arXiv 2309.00071).

    The stretched length is part of it: vLLM and transformers take ``max_position_embeddings`` as already scaled (vLLM
    0.32.0, config/model.py; earlier versions multiply the original length themselves and do not look at it).
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path, local_files_only=True)
    known = dict(getattr(config, "rope_parameters", None) or {"rope_theta": config.rope_theta})
    original = known.get("original_max_position_embeddings") or config.max_position_embeddings
    rope = {**known, "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    return {"rope_parameters": rope, "max_position_embeddings": int(original * factor)}
