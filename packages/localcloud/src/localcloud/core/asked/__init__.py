"""What the floors ask of each other: questions that an API answers to those below it, and their words."""
