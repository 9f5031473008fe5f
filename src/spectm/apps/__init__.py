"""What a user asks for: estimates for places and maps, and what is made of them."""
