"""What the articles tell of error diffusion, measured: XOR, and the digits 4 and 9 of MNIST."""
