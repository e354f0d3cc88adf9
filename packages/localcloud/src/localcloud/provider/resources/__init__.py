"""The kinds of resources that the provider has, a module for each of Google's APIs."""
