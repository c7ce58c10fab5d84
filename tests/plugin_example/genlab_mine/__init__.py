"""A package of one's own for GenLab: a model, a dataset, a metric and an experiment."""
