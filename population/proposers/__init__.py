"""Where ideas come from: one proposer a file, each with one method."""
