"""Where attempts are written down."""
