"""What is judged: one mechanism a rule, shared by every case."""
