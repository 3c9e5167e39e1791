"""The tokens of a request, as its provider counts them."""
