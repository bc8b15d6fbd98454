"""The policy `promise`, and each of the moves it chooses from."""
