"""The full screen: frozen state, a pure update, pure views, and one shell which performs effects."""
