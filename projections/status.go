package projections

import (
	"time"

	"mpim/schema"
)

// Stores of projections.
const (
	RedisStore = "redis"
	SQLStore   = "sql"
)

// State is where a build stands in its life.
type State string

// The states of a build, in order.
const (
	// Absent projections have no build.
	Absent State = "absent"
	// Backfilling builds read the past.
	Backfilling State = "backfilling"
	// CatchingUp builds read what was appended meanwhile.
	CatchingUp State = "catching_up"
	// Ready builds can be promoted.
	Ready State = "ready"
	// Live builds answer queries; there is one of each projection.
	Live State = "live"
	// Kept builds were live before and are fed on, so that one can go back.
	Kept State = "kept"
	// Fenced builds have seen what the log has lost since. Nobody feeds or reads them any more.
	Fenced State = "fenced"
	// Dropped builds have no tables or keys any more.
	Dropped State = "dropped"
)

// Status is how far a build of a projection has come, as lists show it.
type Status struct {
	Name    string
	Version int
	// Build numbers the builds of the projection from 1.
	Build int
	// Store is RedisStore or SQLStore.
	Store string
	State State
	// Partitions are those that were begun, in order.
	Partitions []PartitionStatus
	// Parked is how many events are parked, in all partitions.
	Parked int64
}

// PartitionStatus is how far a build has come in one partition.
type PartitionStatus struct {
	Partition  int
	Checkpoint schema.Checkpoint
	// At is the time of the last applied record; zero where there is none.
	At time.Time
	// UpdatedAt is when the checkpoint moved last.
	UpdatedAt time.Time
}

// Applied returns how many events the build has seen.
func (s Status) Applied() int64 {
	var n int64
	for _, p := range s.Partitions {
		n += p.Checkpoint.Seq
	}
	return n
}

// Remaining returns how many events the build has yet to see until it stands at the heads.
func (s Status) Remaining(heads []int64) int64 {
	n, _ := s.Lag(heads)
	return n
}

// Lag returns how many events the build has yet to see, and the checkpoints behind which they stand, by partition. Heads
// are the partitions' sequence counters.
func (s Status) Lag(heads []int64) (events int64, behind map[int]schema.Checkpoint) {
	seen := make(map[int]schema.Checkpoint, len(s.Partitions))
	for _, p := range s.Partitions {
		seen[p.Partition] = p.Checkpoint
	}
	behind = make(map[int]schema.Checkpoint)
	for partition, head := range heads {
		if missing := head - seen[partition].Seq; missing > 0 {
			events += missing
			behind[partition] = seen[partition]
		}
	}
	return events, behind
}
