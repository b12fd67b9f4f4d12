"""From a model's raw text to code: named, pure functions, one per published rule."""
