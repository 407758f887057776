"""Attacks on the whole running product, from outside. They fail on what other people notice of them."""
