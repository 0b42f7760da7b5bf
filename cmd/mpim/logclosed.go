package main

import (
	"fmt"
	"strings"

	"mpim/streams"
)

// closedPartitions says which partitions take no appends, why, and what to do: a sentence for each reason.
func closedPartitions(partitions []logPartition) (sentences []string) {
	closed := make(map[string][]int)
	var reasons []string
	for _, p := range partitions {
		reason := whyClosed(p.PartitionStat)
		if reason == "" {
			continue
		}
		if closed[reason] == nil {
			reasons = append(reasons, reason)
		}
		closed[reason] = append(closed[reason], p.Partition)
	}
	for _, reason := range reasons {
		sentences = append(sentences, streams.Partitions(closed[reason])+" closed, takes no appends: "+reason)
	}
	return sentences
}

func whyClosed(p streams.PartitionStat) string {
	switch p.State {
	case streams.Open:
		return ""
	case streams.Asking:
		if len(p.WaitsFor) == 0 {
			return "redis runs anew, and nobody has opened it yet: the first gateway or worker does"
		}
		return fmt.Sprintf("redis runs anew, and it has to be known what %s had seen: it opens by itself, %s after those that are gone gave their last sign",
			strings.Join(processes(p.WaitsFor), ", "), streams.DefaultAlive)
	case streams.Forked:
		return fmt.Sprintf("redis is at %d and has lost events that were seen, up to %d: a worker repairs it, or `mpim log repair`", p.Head, p.LostTo)
	case streams.Repairing:
		return "it is being repaired"
	default:
		return "redis does not hold it: a worker repairs it, or `mpim log repair`"
	}
}

// processes returns the names that processes go by, without what tells their lives apart.
func processes(lives []string) []string {
	names := make([]string, len(lives))
	for i, life := range lives {
		names[i] = life
		if end := strings.LastIndexByte(life, '.'); end > 0 {
			names[i] = life[:end]
		}
	}
	return names
}
