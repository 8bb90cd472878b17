"""Networks that read hiragana learn Latin capitals that they see once."""
