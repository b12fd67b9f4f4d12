"""The stream: schedule, generate, score; a completion is scored while the model makes others."""
