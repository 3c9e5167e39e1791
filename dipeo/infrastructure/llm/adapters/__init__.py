"""One dialect per file: encode, decode, endings, and the table from a provider's errors to ours."""
