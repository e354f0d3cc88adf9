"""What stops spending, where a person opted into it: Google's spend cap, and the function that acts on the budget."""
