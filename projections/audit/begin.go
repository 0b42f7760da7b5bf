package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"mpim/schema/proof"
)

// begin goes on from the newest signed head. What is not as it was signed is not signed again.
func (s *Signer) begin(ctx context.Context) error {
	s.trees, s.last, s.owed = nil, proof.Head{}, nil
	row, err := s.store.newest(ctx)
	if err != nil {
		return err
	}
	if row != nil {
		if s.last, err = s.open(row.Note); err != nil {
			return err
		}
		if s.last.Number != row.Number {
			return fmt.Errorf("the row of head %d holds head %d: run `mpim audit verify`", row.Number, s.last.Number)
		}
	}
	if err := s.compare(ctx, row); err != nil {
		return err
	}
	for partition := range s.config.Partitions {
		t, err := s.load(ctx, partition)
		if err != nil {
			return err
		}
		s.trees = append(s.trees, t)
	}
	s.begun = true
	return nil
}

// open reads a head that has to be one of this log.
func (s *Signer) open(signed []byte) (proof.Head, error) {
	h, err := s.config.Keys.Open(signed)
	if unknown, ok := errors.AsType[*proof.UnknownKeyError](err); ok {
		return h, fmt.Errorf("%w: if that was your key before, put it behind the new one in MPIM_AUDIT_KEY, as in %s,%s",
			err, "PRIVATE+KEY+…", strings.Join(unknown.Signed, ","))
	}
	if err != nil {
		return h, err
	}
	return h, belongs(h, s.config.Log, s.config.Partitions)
}

// belongs refuses a head of another log.
func belongs(h proof.Head, log string, partitions int) error {
	if h.Log != log || len(h.Trees) != partitions {
		return fmt.Errorf("head %d is of log %s with %d partitions, and this is log %s with %d", h.Number, h.Log, len(h.Trees), log, partitions)
	}
	return nil
}

// compare looks at the head that the witness has. One that is newer than all in the database is owed: it may have been restored
// from a backup, or somebody cut it. A witness that has none, since it lost all, gets the newest at once.
func (s *Signer) compare(ctx context.Context, newest *headRow) error {
	if s.config.Witness == nil {
		return nil
	}
	kept, err := s.config.Witness.Kept(ctx)
	if err == nil && kept == nil && newest != nil {
		return s.config.Witness.Keep(ctx, newest.Note)
	}
	if err != nil || kept == nil {
		return err
	}
	h, err := s.open(kept)
	if err != nil {
		return fmt.Errorf("the head that is kept in Redis: %w", err)
	}
	if h.Number > s.last.Number {
		s.owed = &owedHead{Head: h, note: kept}
	}
	return nil
}

// load takes a partition's tree up where the newest head signed it.
func (s *Signer) load(ctx context.Context, partition int) (*tree, error) {
	var signed tlog.Tree
	t := &tree{}
	if s.last.Number > 0 {
		signed = s.last.Trees[partition]
		e, err := s.store.edge(ctx, partition, signed.N)
		if err == nil && e.root() != signed.Hash {
			err = errors.New("its root is another")
		}
		if err != nil {
			return nil, fmt.Errorf("the stored tree of partition %d is not what head %d signed: restore audit_tiles from a backup; `mpim audit verify` says more: %w",
				partition, s.last.Number, err)
		}
		t.edge = *e
	}
	t.written = signed.N
	t.full = func(level int, n int64, hashes []byte) {
		t.fresh = append(t.fresh, tileRow{Partition: partition, Level: level, N: n, Hashes: hashes})
	}
	if s.owed != nil {
		t.owes = s.owed.Trees[partition]
		if t.owes.N < signed.N {
			return nil, fmt.Errorf("head %d, which is kept in Redis, signed fewer events of partition %d than head %d before it", s.owed.Number, partition, s.last.Number)
		}
		t.differs = t.owes.N == t.size && t.owes.Hash != t.root()
	}
	return t, nil
}
