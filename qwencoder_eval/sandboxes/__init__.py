"""The host's side of the sandbox; what runs inside is the top-level folder sandbox/."""
