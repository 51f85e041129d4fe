"""The full screen: frozen state, pure update, pure views, one shell which performs effects."""
