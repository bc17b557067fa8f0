"""One study's actor: feeds Search, keeps the journal, says who trains what, and judges deaths."""
