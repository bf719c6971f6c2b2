"""Where results go: folders that are claimed while they are made, published whole or not at all."""
