"""The models that services have: how they are asked, and what they say."""
