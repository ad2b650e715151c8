"""What a configuration asks for: what is made of it, what each artifact is keyed on, and why it is stale."""
