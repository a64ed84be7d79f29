"""`make demo`: a bad deployment goes out on the local cloud, and the deployed stack rolls it back."""
