"""What applications do with persons and models; its classes take ports."""
