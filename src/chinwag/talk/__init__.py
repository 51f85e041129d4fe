"""The nouns everybody speaks. No I/O; standard library and msgspec only."""
