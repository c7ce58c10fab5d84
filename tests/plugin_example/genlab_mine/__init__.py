"""A package of one's own for GenLab: a model, a network, a dataset, a metric and an experiment."""
