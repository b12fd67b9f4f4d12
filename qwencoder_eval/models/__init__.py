"""Where completions come from: reference solutions, recorded files, and later the engines."""
