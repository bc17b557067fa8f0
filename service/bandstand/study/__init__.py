"""What a study is, as its user writes it: the spec, the file it stands in, and where its code is found."""
