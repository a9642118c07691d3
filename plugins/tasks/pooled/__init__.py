"""What tasks share that learn one answer a sample from its pooled tokens: their head, and what stands beside it."""
