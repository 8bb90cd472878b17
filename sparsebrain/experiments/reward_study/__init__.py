"""Tasks with rewards, learned by error diffusion, three-factor rules and backpropagation."""
