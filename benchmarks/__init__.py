"""Side by side with peers: each benchmark asserts equal results before it takes a time."""
