"""How an idea becomes a candidate: a draft with an origin, and several changes put together."""
