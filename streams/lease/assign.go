package lease

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// spread says who is to process what: by consumer, the worker of each partition, "" where nobody runs the consumer.
type spread map[string][]string

// assign spreads every consumer's partitions over the workers that run it.
//
// It is a pure function of the living workers and of who holds what, so all who compute it from the same state agree:
//   - no two workers that run a consumer differ by more than one partition of it;
//   - among all such spreads it keeps the most of what is held, so a worker that comes or goes moves no more than must
//     move, and a spread that is even already stays as it is;
//   - consumers that the same workers run are placed alike, and others follow them where that costs no move.
//
// Holder returns the worker that holds the lease, or "".
func assign(partitions int, workers []Worker, holder func(consumer string, partition int) string) spread {
	result := make(spread)
	placed := make([]string, partitions) // by partition, the worker that the classes before chose
	for _, c := range classes(workers) {
		c.place(partitions, placed, holder)
		for _, consumer := range c.consumers {
			result[consumer] = c.chosen
		}
		placed = slices.Clone(c.chosen)
	}
	return result
}

// class is a set of consumers that the same workers run.
type class struct {
	workers   []string // sorted
	consumers []string // sorted
	chosen    []string // by partition
}

// classes groups the consumers, those with the fewest workers first: they have the least choice, and the others follow.
func classes(workers []Worker) []*class {
	runs := make(map[string][]string)
	for _, w := range workers {
		for _, consumer := range w.Consumers {
			runs[consumer] = append(runs[consumer], w.ID)
		}
	}
	byWorkers := make(map[string]*class)
	for _, consumer := range slices.Sorted(maps.Keys(runs)) {
		ids := slices.Compact(slices.Sorted(slices.Values(runs[consumer])))
		key := strings.Join(ids, " ")
		if byWorkers[key] == nil {
			byWorkers[key] = &class{workers: ids}
		}
		byWorkers[key].consumers = append(byWorkers[key].consumers, consumer)
	}
	return slices.SortedFunc(maps.Values(byWorkers), func(a, b *class) int {
		return cmp.Or(cmp.Compare(len(a.workers), len(b.workers)), slices.Compare(a.workers, b.workers))
	})
}

// place fills chosen. Placed is what earlier classes chose.
func (c *class) place(partitions int, placed []string, holder func(string, int) string) {
	c.chosen = make([]string, partitions)
	kept := make(map[string][]int, len(c.workers))
	for p := range partitions {
		if w := c.holderOf(p, holder); w != "" {
			kept[w] = append(kept[w], p)
		}
	}
	room := c.quotas(partitions, kept)
	for _, w := range c.workers {
		mine := kept[w]
		// What goes first when a worker has too many is what does not go with the earlier classes.
		slices.SortFunc(mine, func(a, b int) int {
			if x, y := placed[a] == w, placed[b] == w; x != y {
				return boolToInt(y) - boolToInt(x)
			}
			return cmp.Compare(weight(b, w), weight(a, w))
		})
		for _, p := range mine[:min(len(mine), room[w])] {
			c.chosen[p] = w
			room[w]--
		}
	}
	for p, w := range placed {
		if c.chosen[p] == "" && room[w] > 0 {
			c.chosen[p] = w
			room[w]--
		}
	}
	for p := range c.chosen {
		if c.chosen[p] == "" {
			w := heaviest(p, c.workers, room)
			c.chosen[p] = w
			room[w]--
		}
	}
}

// holderOf returns the worker that holds the most of the class's consumers in a partition, or "".
func (c *class) holderOf(partition int, holder func(string, int) string) string {
	counts := make(map[string]int)
	for _, consumer := range c.consumers {
		if w := holder(consumer, partition); w != "" {
			counts[w]++
		}
	}
	best := ""
	for _, w := range c.workers {
		if counts[w] > counts[best] {
			best = w
		}
	}
	return best
}

// quotas gives each worker an even share. The ones left over go to those that hold the most, which keeps the most.
func (c *class) quotas(partitions int, kept map[string][]int) map[string]int {
	order := slices.SortedFunc(slices.Values(c.workers), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(kept[b]), len(kept[a])), cmp.Compare(a, b))
	})
	quotas := make(map[string]int, len(order))
	for i, w := range order {
		quotas[w] = partitions / len(order)
		if i < partitions%len(order) {
			quotas[w]++
		}
	}
	return quotas
}

// heaviest returns the worker with room that has the highest weight for the partition.
func heaviest(partition int, workers []string, room map[string]int) string {
	best, most := "", uint64(0)
	for _, w := range workers {
		if room[w] > 0 {
			if n := weight(partition, w); best == "" || n > most {
				best, most = w, n
			}
		}
	}
	return best
}

// weight is that of rendezvous hashing: an even random number for each pair, the same for all who compute it.
func weight(partition int, worker string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.Itoa(partition) + " " + worker))
	// FNV mixes its last bytes badly; this is the end of SplitMix64.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
