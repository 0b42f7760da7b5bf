package lease

// Assign is the pure function that spreads partitions over workers.
func Assign(partitions int, workers []Worker, holder func(consumer string, partition int) string) map[string][]string {
	return assign(partitions, workers, holder)
}
