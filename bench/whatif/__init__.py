"""What compression would gain: any quantised model pruned and clustered without training."""
