"""Problems, splits, labels and pairs: everything the models learn from, as plain files."""
