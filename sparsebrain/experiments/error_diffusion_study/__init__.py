"""The experiments of the articles on error diffusion: XOR, and the digits 4 and 9 of MNIST."""
