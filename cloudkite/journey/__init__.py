"""The steps as a person takes them: each shows what will happen, asks where it must, acts, and says what comes next."""
