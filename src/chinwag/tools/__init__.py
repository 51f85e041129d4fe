"""What a model may do beyond talking."""
