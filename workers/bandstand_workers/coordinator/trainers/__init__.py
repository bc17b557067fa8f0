"""The trainers of one study: which there are, who trains what, and what is to blame where one dies."""
