"""From a request to a provider and back."""
