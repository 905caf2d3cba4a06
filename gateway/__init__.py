"""What a running service needs: routes, authentication, store, pages, and the command line."""
