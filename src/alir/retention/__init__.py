"""How long things are kept, and how what is older is removed without holding anybody up."""
