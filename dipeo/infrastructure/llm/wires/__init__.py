"""What moves JSON to a provider and back."""
