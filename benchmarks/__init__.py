"""What `make bench`, `make soak` and `make mutation` run."""
