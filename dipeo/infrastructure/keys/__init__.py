"""Where API keys come from: environment variables, `.env` files, key files, or several of these in turn."""
