"""What `make bench` measures; absolute times are printed and written down, and nothing is asserted of them."""
