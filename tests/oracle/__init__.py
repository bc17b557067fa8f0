"""The oracle: random Keras programs, trained as trials and by plain `model.fit`, whose numbers must be the same."""
