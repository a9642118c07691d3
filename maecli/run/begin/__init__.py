"""How a run begins: what is asked for, where it goes, what it goes on from, and what is said of it before it trains."""
