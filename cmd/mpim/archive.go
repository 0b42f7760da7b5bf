package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mpim/domain"
	"mpim/projections/archive"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/batch"
)

var (
	_ streams.Segments = agreedArchive{}
	_ batch.Segments   = agreedArchive{}
)

// agreedArchive is the archive, unless the database belongs to another log.
type agreedArchive struct {
	archive.Archive
	stores *stores
}

// segments returns the archive for reading; nil where no SQL database is set.
func (s *stores) segments() streams.Segments {
	if s.db == nil {
		return nil
	}
	return agreedArchive{archive.Archive{DB: s.db}, s}
}

func (a agreedArchive) agree(ctx context.Context) error {
	if err := a.stores.agree(ctx); err != nil {
		return domain.Wrap(domain.Unavailable, err, "the archive cannot be read now: try again")
	}
	return nil
}

// After returns records behind a sequence.
func (a agreedArchive) After(ctx context.Context, partition int, seq int64) ([]*schema.Record, error) {
	if err := a.agree(ctx); err != nil {
		return nil, err
	}
	return a.Archive.After(ctx, partition, seq)
}

// Event returns the record with an id.
func (a agreedArchive) Event(ctx context.Context, id domain.EventID) (*schema.Record, error) {
	if err := a.agree(ctx); err != nil {
		return nil, err
	}
	return a.Archive.Event(ctx, id)
}

// Before returns where to begin for a time.
func (a agreedArchive) Before(ctx context.Context, partition int, at time.Time) (int64, error) {
	if err := a.agree(ctx); err != nil {
		return 0, err
	}
	return a.Archive.Before(ctx, partition, at)
}

// Facts returns what changes of a message are decided on.
func (a agreedArchive) Facts(ctx context.Context, id domain.ConversationID, seq domain.Seq) (archive.Facts, error) {
	if err := a.agree(ctx); err != nil {
		return archive.Facts{}, err
	}
	return a.Archive.Facts(ctx, id, seq)
}

// newArchiver returns what archives the log and trims it.
func (s *stores) newArchiver(worker string) (*archive.Archiver, error) {
	config := archive.Config{
		DB: s.db, Stream: watchedStream{streams.Stream{Client: s.redis, Identity: func() streams.Identity { return s.identity }}, s},
		Partitions: s.identity.Partitions, Worker: worker, Keep: func() time.Duration { return s.keep },
		Ready: s.agree, Logger: s.logger,
	}
	if s.registry != nil {
		config.Registerer = s.registry
	}
	signer, err := s.newSigner()
	if err != nil {
		return nil, err
	}
	config.Signer = signer
	return archive.New(config)
}

// archiveLine describes the archive as projections are described.
func (s *stores) archiveLine(ctx context.Context, heads []int64, now time.Time) (projectionLine, error) {
	stored := archive.Archive{DB: s.db}
	status, err := stored.Status(ctx)
	if err != nil {
		return projectionLine{}, err
	}
	line := newProjectionLine(status, nil, len(heads))
	var behind time.Duration
	if line.LagEvents, behind, err = s.lag(ctx, status, heads, now); err != nil {
		return line, err
	}
	line.LagSeconds = behind.Seconds()
	holder, held, err := stored.Holder(ctx)
	if held {
		for n := range line.Partitions {
			line.Partitions[n].Owner = holder.Worker
		}
	}
	return line, err
}

// archivedTo returns how far each partition is archived, read back and hashed.
func (s *stores) archivedTo(ctx context.Context) (map[int]archive.PartitionState, error) {
	if err := s.agree(ctx); err != nil {
		return nil, err
	}
	states, err := archive.Archive{DB: s.db}.States(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[int]archive.PartitionState, len(states))
	for _, state := range states {
		known[state.Partition] = state
	}
	return known, nil
}

// archiveBound is above which the archive's lag is a problem.
const archiveBound = 10 * time.Second

// examineArchive tells when events are not archived, and so never trimmed.
func (d *doctor) examineArchive(s *stores, heads []int64, worked bool) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	line, err := s.archiveLine(ctx, heads, time.Now())
	do := "look at the workers' logs for \"archive\"; until it goes on nothing is trimmed and Redis fills up"
	behind := time.Duration(line.LagSeconds * float64(time.Second))
	switch {
	case err != nil:
		do = "look at the server that holds it"
	case behind > archiveBound:
		err = fmt.Errorf("the oldest event that is not archived waits for %.0f s", line.LagSeconds)
	case worked && line.Partitions[0].Owner == "":
		err, do = errors.New("nobody archives"), "start a worker that runs it"
	}
	d.add(archive.Name, fmt.Sprintf("%d events archived, %d to come; %s stay in Redis at least", line.Applied, line.LagEvents, s.keep), do, err)
}

// archives says whether a consumer is the archive, which works under a lease of its own.
func archives(name string) bool { return name == archive.Name }
