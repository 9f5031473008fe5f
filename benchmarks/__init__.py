"""What `make bench` measures: absolute times are printed and written down, nothing is asserted of them."""
