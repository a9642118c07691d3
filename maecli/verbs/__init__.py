"""What happens between what a person asks for and the result; a file per verb."""
