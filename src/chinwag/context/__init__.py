"""How much fits, and what it costs. Pure, but for the tokenizer that `counting` loads."""
