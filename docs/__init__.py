"""The pages, and what makes their parts."""
