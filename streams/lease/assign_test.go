package lease_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpim/streams/lease"
)

// place is where a consumer's partition is held.
type place struct {
	consumer  string
	partition int
}

// assign computes a spread from what is held.
func assign(partitions int, workers map[string]string, held map[place]string) map[string][]string {
	var list []lease.Worker
	for id, consumers := range workers { // in no order
		list = append(list, lease.Worker{ID: id, Consumers: strings.Fields(consumers)})
	}
	return lease.Assign(partitions, list, func(consumer string, partition int) string {
		return held[place{consumer, partition}]
	})
}

// heldAs returns what is held once all have taken what falls to them.
func heldAs(spread map[string][]string) map[place]string {
	held := make(map[place]string)
	for consumer, workers := range spread {
		for p, w := range workers {
			held[place{consumer, p}] = w
		}
	}
	return held
}

func counts(workers []string) map[string]int {
	n := make(map[string]int)
	for _, w := range workers {
		n[w]++
	}
	return n
}

func moves(from, to []string) (n int) {
	for p := range from {
		if from[p] != to[p] {
			n++
		}
	}
	return n
}

func TestAssignSpreads(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		workers map[string]string
		want    map[string]map[string]int // by consumer, the partitions of each worker
	}{
		{"nobody", nil, map[string]map[string]int{}},
		{"one", map[string]string{"a": "x y"}, map[string]map[string]int{"x": {"a": 16}, "y": {"a": 16}}},
		{"two", map[string]string{"a": "x", "b": "x"}, map[string]map[string]int{"x": {"a": 8, "b": 8}}},
		{"runs nothing", map[string]string{"a": "x", "b": ""}, map[string]map[string]int{"x": {"a": 16}}},
		{"some run some", map[string]string{"a": "x y", "b": "x y", "c": "y", "d": "z"}, map[string]map[string]int{
			"x": {"a": 8, "b": 8}, "y": {"a": 6, "b": 5, "c": 5}, "z": {"d": 16},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := make(map[string]map[string]int)
			for consumer, workers := range assign(16, test.workers, nil) {
				got[consumer] = counts(workers)
			}
			if !maps.EqualFunc(got, test.want, maps.Equal) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestAssignMovesOnlyWhatMustMove(t *testing.T) {
	t.Parallel()
	before := assign(16, map[string]string{"a": "x", "b": "x", "c": "x"}, nil)
	for _, test := range []struct {
		name    string
		workers map[string]string
		want    int
	}{
		{"nothing happens", map[string]string{"a": "x", "b": "x", "c": "x"}, 0},
		{"one comes", map[string]string{"a": "x", "b": "x", "c": "x", "d": "x"}, 4},
		{"one goes", map[string]string{"a": "x", "b": "x"}, counts(before["x"])["c"]},
		{"one goes and one comes", map[string]string{"a": "x", "b": "x", "d": "x"}, counts(before["x"])["c"]},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after := assign(16, test.workers, heldAs(before))
			if got := moves(before["x"], after["x"]); got != test.want {
				t.Errorf("%d partitions move, want %d: from %v to %v", got, test.want, before["x"], after["x"])
			}
		})
	}
}

func TestAssignKeepsConsumersTogether(t *testing.T) {
	t.Parallel()
	before := assign(16, map[string]string{"a": "x y z", "b": "x y z"}, nil)
	if !slices.Equal(before["x"], before["y"]) || !slices.Equal(before["x"], before["z"]) {
		t.Errorf("consumers are apart: %v", before)
	}
	// A worker that runs one of them takes its share of that one; the others stay together.
	after := assign(16, map[string]string{"a": "x y z", "b": "x y z", "c": "z"}, heldAs(before))
	if !slices.Equal(after["x"], before["x"]) || !slices.Equal(after["y"], before["y"]) || moves(before["z"], after["z"]) != 5 {
		t.Errorf("from %v to %v", before, after)
	}
	for p, w := range after["z"] {
		if w != "c" && w != after["x"][p] {
			t.Errorf("z of %d is at %s, apart from the others at %s", p, w, after["x"][p])
		}
	}
}

func TestAssignIsEvenStableAndTheSameForAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.IntRange(1, 40).Draw(t, "partitions")
		workers := make(map[string]string)
		for i := range rapid.IntRange(1, 9).Draw(t, "workers") {
			workers["w"+strconv.Itoa(i)] = strings.Join(rapid.SliceOfDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), rapid.ID).Draw(t, "consumers"), " ")
		}
		// Anything may be held, also by workers that are gone or do not run the consumer any more.
		held := make(map[place]string)
		for _, consumer := range []string{"x", "y", "z"} {
			for p := range partitions {
				held[place{consumer, p}] = rapid.SampledFrom([]string{"", "w0", "w1", "w2", "w3", "gone"}).Draw(t, "holder")
			}
		}
		spread := assign(partitions, workers, held)
		for consumer, chosen := range spread {
			checkEven(t, consumer, chosen, workers)
		}
		again := assign(partitions, workers, held) // another worker's view, whose map has another order
		settled := assign(partitions, workers, heldAs(spread))
		for consumer, chosen := range spread {
			if !slices.Equal(chosen, again[consumer]) {
				t.Fatalf("%s: %v and %v were computed from the same state", consumer, chosen, again[consumer])
			}
			if !slices.Equal(chosen, settled[consumer]) {
				t.Fatalf("%s: %v is not at rest, it goes on to %v", consumer, chosen, settled[consumer])
			}
		}
	})
}

func checkEven(t *rapid.T, consumer string, chosen []string, workers map[string]string) {
	n := counts(chosen)
	least, most, running := len(chosen), 0, 0
	for id, consumers := range workers {
		if !slices.Contains(strings.Fields(consumers), consumer) {
			if n[id] > 0 {
				t.Fatalf("%s of %v falls to %s, which does not run it", consumer, chosen, id)
			}
			continue
		}
		running += n[id]
		least, most = min(least, n[id]), max(most, n[id])
	}
	if most-least > 1 || running != len(chosen) {
		t.Fatalf("%s is spread %v", consumer, n)
	}
}

// One consumer, held in any way: no even spread keeps more.
func TestAssignKeepsTheMost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.IntRange(1, 40).Draw(t, "partitions")
		workers := make(map[string]string)
		var ids []string
		for i := range rapid.IntRange(1, 9).Draw(t, "workers") {
			ids = append(ids, "w"+strconv.Itoa(i))
			workers[ids[i]] = "x"
		}
		held := make(map[place]string)
		holds := make(map[string]int)
		for p := range partitions {
			w := rapid.SampledFrom(append(ids, "", "gone")).Draw(t, "holder")
			held[place{"x", p}] = w
			holds[w]++
		}
		kept := 0
		for p, w := range assign(partitions, workers, held)["x"] {
			if held[place{"x", p}] == w {
				kept++
			}
		}
		share, over := partitions/len(ids), partitions%len(ids)
		want, above := 0, 0
		for _, w := range ids {
			want += min(holds[w], share)
			if holds[w] > share {
				above++
			}
		}
		if want += min(above, over); kept != want {
			t.Fatalf("%d of %d partitions stay, %d could", kept, partitions, want)
		}
	})
}
