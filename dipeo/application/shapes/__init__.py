"""What a value must look like: from Python types to JSON schemas, and from JSON values back to Python values."""
