"""Where completions come from: reference solutions, recorded files, engines and servers."""
