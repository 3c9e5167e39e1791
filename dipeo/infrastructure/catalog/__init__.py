"""What is known of models: their names and what they take."""
