"""Where signing keys live and how they change: files, tokens, clouds, a signing service; rotation with overlap."""
