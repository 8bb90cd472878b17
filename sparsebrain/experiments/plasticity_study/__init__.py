"""What rules without labels learn: pitch, sparse connectivity and receptive fields."""
