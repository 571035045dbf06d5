"""Workers with one thing wrong, and the small plays in which that shows. Nothing of it is part of what is shipped."""
