"""NASA's archive: search for granules, log in, fetch them whole, and keep a manifest."""
