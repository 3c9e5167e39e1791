"""Who speaks, what was said, and what an answer is: plain values, no provider and no library but attrs."""
