package audit

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"mpim/domain"
	"mpim/schema/proof"
)

// Problem is something that is not as it was signed, or not as it should be.
type Problem struct {
	// Partition is -1 for a head, which is of all partitions.
	Partition int
	// Position is that of the first event concerned, as in 3:17, or names a head, as in "head 12".
	Position string
	// What is a sentence.
	What string
}

// Verified is what was found of one partition.
type Verified struct {
	Partition int
	// Events is how many events signed heads cover, as far as they are there, and Root the root that was computed of them.
	Events int64
	Root   tlog.Hash
	// Archived is how many events the archive has, Head how many the log has.
	Archived, Head int64
}

// Report is what a verification found.
type Report struct {
	Partitions []Verified
	Problems   []Problem
	// Newest is the newest head that was verified, nil where there is none; Note is the same as it was signed.
	Newest *proof.Head
	Note   []byte
}

// OK says that nothing was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// problems gathers what several partitions find.
type problems struct {
	mu    sync.Mutex
	found []Problem
	count map[int]int
}

// mostProblems is how many problems of one partition are named.
const mostProblems = 100

func (p *problems) add(partition int, position, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count == nil {
		p.count = make(map[int]int)
	}
	switch p.count[partition]++; {
	case p.count[partition] < mostProblems:
		p.found = append(p.found, Problem{Partition: partition, Position: position, What: what})
	case p.count[partition] == mostProblems:
		p.found = append(p.found, Problem{Partition: partition, Position: position, What: "there are more problems, which are not named"})
	}
}

// verbs are what stands in braces in the text of a problem, for one event.
var verbs = strings.NewReplacer("{are}", "is", "{were}", "was", "{differ}", "differs", "{stand}", "stands")

// events adds a problem of events from one sequence to another. Verbs in braces are put as they are for one or for many.
func (p *problems) events(partition int, from, to int64, format string, args ...any) {
	if from == to {
		format = verbs.Replace(format)
	}
	format = strings.NewReplacer("{", "", "}", "").Replace(format)
	p.add(partition, at(partition, from), named(partition, from, to)+" "+fmt.Sprintf(format, args...))
}

// head adds a problem of a head.
func (p *problems) head(number int64, format string, args ...any) {
	p.add(-1, fmt.Sprintf("head %d", number), fmt.Sprintf("head %d "+format, append([]any{number}, args...)...))
}

func at(partition int, seq int64) string {
	return domain.Position{Partition: partition, Seq: seq}.String()
}

// named names events, without a verb.
func named(partition int, from, to int64) string {
	if from == to {
		return "event " + at(partition, from)
	}
	return "events " + at(partition, from) + " to " + at(partition, to)
}
