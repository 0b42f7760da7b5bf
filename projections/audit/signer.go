package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/archive"
	"mpim/projections/database"
	"mpim/schema"
	"mpim/schema/proof"
)

// Witness keeps the newest signed head where who can write to the database cannot.
type Witness interface {
	// Kept returns the head that was kept last, nil for none.
	Kept(ctx context.Context) ([]byte, error)
	// Keep keeps a head in the place of the one before.
	Keep(ctx context.Context, signed []byte) error
}

// DefaultEvery is how often heads are signed.
const DefaultEvery = 10 * time.Second

// Config is what a Signer needs. Zero values mean the defaults.
type Config struct {
	DB *database.DB
	// Log is the log's id.
	Log        string
	Partitions int
	// Keys are those to sign with, and older ones that are trusted.
	Keys *proof.Keys
	// Every is how often heads are signed while events come, DefaultEvery if zero.
	Every time.Duration
	// Stream is the log in Redis: what was not taken from it is compared with it before it is signed. The default compares nothing.
	Stream Stream
	// Witness keeps the newest head elsewhere. The default keeps none.
	Witness Witness
	// Logger receives what an operator should know. The default discards it.
	Logger *slog.Logger
	// Registerer receives the metrics. The default is none.
	Registerer prometheus.Registerer
}

// Signer builds the trees of what is archived, and signs their heads. It implements archive.Signer: it works under the archiver's
// lease.
type Signer struct {
	config  Config
	store   store
	archive archive.Archive
	metrics *metrics

	// begun says that what follows was read from the database and checked.
	begun bool
	trees []*tree
	last  proof.Head
	// owed is a head that only the witness has: the database is older. Its trees have to be reached before anything is signed.
	owed *owedHead
	// tried is when a head was signed last, or could not be; complained is what was said of that.
	tried      time.Time
	complained string
}

// tree is one partition's.
type tree struct {
	edge
	// fresh are the full tiles that are not written yet, written how many leaves are.
	fresh   []tileRow
	written int64
	// owes is what it has to be once it has so many leaves; differs says that it is not.
	owes    tlog.Tree
	differs bool
}

type owedHead struct {
	proof.Head
	note []byte
}

// NewSigner returns a signer that does nothing until it is called. An error says what is wrong with the configuration.
func NewSigner(config Config) (*Signer, error) {
	if config.Keys == nil || !config.Keys.Signs() {
		return nil, errors.New("a signer needs a key")
	}
	if config.Every == 0 {
		config.Every = DefaultEvery
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Signer{config: config, store: store{config.DB}, archive: archive.Archive{DB: config.DB}, metrics: newMetrics()}
	if config.Registerer != nil {
		if err := s.metrics.register(config.Registerer); err != nil {
			return nil, fmt.Errorf("register metrics of the audit: %w", err)
		}
	}
	return s, nil
}

// Begin forgets what was known: another worker may have signed since.
func (s *Signer) Begin() { s.begun, s.tried = false, time.Time{} }

// mostWaiting is how many leaves of a partition wait in memory to be written.
const mostWaiting = 1 << 16

// Take adds records that were archived and read back. What it leaves out it reads from the archive later.
func (s *Signer) Take(partition int, records []*schema.Record) {
	if !s.begun {
		return
	}
	t := s.trees[partition]
	if len(records) == 0 || records[0].Seq > t.size+1 || t.size-t.written > mostWaiting {
		return
	}
	t.take(records)
}

func (t *tree) take(records []*schema.Record) {
	var hasher proof.Hasher
	for _, r := range records {
		if r.Seq != t.size+1 {
			continue // it has it
		}
		t.add(hasher.Hash(proof.EventOf(r)))
		if t.size == t.owes.N && t.root() != t.owes.Hash {
			t.differs = true
		}
	}
}

// Sign signs what came since the last head, where it is time to, or now. What keeps it from doing so is logged and counted, and
// never keeps the archiver from archiving.
func (s *Signer) Sign(ctx context.Context, now bool) {
	if !now && time.Since(s.tried) < s.config.Every {
		return
	}
	before := s.last.Number
	err := s.sign(ctx)
	if s.last.Number != before || err != nil {
		s.tried = time.Now() // else the next event need not wait
	}
	switch {
	case err == nil:
		s.complained = ""
		return
	case ctx.Err() != nil:
		return
	}
	s.begun = false // whatever it was, what the database has is looked at again
	s.metrics.failures.Inc()
	if text := err.Error(); text != s.complained {
		s.complained = text
		s.config.Logger.ErrorContext(ctx, "events are archived and not signed", slog.Any("error", err))
	}
}

func (s *Signer) sign(ctx context.Context) error {
	if !s.begun {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	states, err := s.archive.States(ctx)
	if err != nil {
		return err
	}
	for _, state := range states {
		if state.Partition >= len(s.trees) {
			return fmt.Errorf("the archive has partition %d, and the log has %d", state.Partition, len(s.trees))
		}
		if err := s.catchUp(ctx, s.trees[state.Partition], state); err != nil {
			return err
		}
	}
	return s.write(ctx)
}

// catchUp adds what is archived and was not taken.
func (s *Signer) catchUp(ctx context.Context, t *tree, state archive.PartitionState) error {
	for t.size < state.VerifiedTo {
		records, err := s.archive.After(ctx, state.Partition, t.size)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("partition %d is archived up to %d, but event %d is not there", state.Partition, state.VerifiedTo, t.size+1)
		}
		if err := s.confirm(ctx, state.Partition, records); err != nil {
			return err
		}
		t.take(records)
		if t.size-t.written >= mostWaiting {
			if err := s.write(ctx); err != nil {
				return err
			}
		}
	}
	if t.size > state.VerifiedTo && t.written > state.VerifiedTo {
		return fmt.Errorf("head %d signed events %d:1 to %d:%d, and the archive ends at %d: `mpim audit verify` says what is missing",
			s.last.Number, state.Partition, state.Partition, t.written, state.VerifiedTo)
	}
	return nil
}

// write signs the trees as they are and writes what is new of them.
func (s *Signer) write(ctx context.Context) error {
	if pays, err := s.pays(); err != nil || !pays {
		return err
	}
	h := proof.Head{Log: s.config.Log, Number: s.last.Number + 1, At: later(s.last.At)}
	var heads []headRow
	if s.owed != nil {
		heads = append(heads, headRow{Number: s.owed.Number, SignedAt: s.owed.At, Note: s.owed.note})
		h.Number, h.At = s.owed.Number+1, later(s.owed.At)
	}
	var tiles []tileRow
	for partition, t := range s.trees {
		h.Trees = append(h.Trees, t.tree())
		tiles = append(tiles, t.unwritten(partition)...)
	}
	signed, err := s.config.Keys.Sign(&h)
	if err != nil {
		return fmt.Errorf("sign head %d: %w", h.Number, err)
	}
	if err := s.store.write(ctx, append(heads, headRow{Number: h.Number, SignedAt: h.At, Note: signed}), tiles); err != nil {
		return err
	}
	s.last, s.owed = h, nil
	for partition, t := range s.trees {
		t.fresh, t.written = nil, t.size
		s.metrics.signed(partition, t.size)
	}
	s.metrics.heads.Inc()
	s.metrics.signedAt.Set(float64(h.At.UnixMilli()) / 1000)
	if s.config.Witness != nil {
		if err := s.config.Witness.Keep(ctx, signed); err != nil {
			s.config.Logger.WarnContext(ctx, "the newest signed head is in the database alone", slog.Int64("head", h.Number), slog.Any("error", err))
		}
	}
	return nil
}

// pays says whether there is anything new to sign, and whether it may be signed.
func (s *Signer) pays() (bool, error) {
	grown, short := false, false
	for partition, t := range s.trees {
		if t.differs {
			return false, fmt.Errorf("the first %d events of partition %d are others than head %d signed: `mpim audit verify` says which", t.owes.N, partition, s.owed.Number)
		}
		grown = grown || t.size > t.written
		short = short || t.size < t.owes.N
	}
	return grown && !short || s.owed != nil && !short, nil
}

// unwritten returns the tiles that are not written, the last ones included. Those that became full are there as they are now.
func (t *tree) unwritten(partition int) []tileRow {
	rows := append([]tileRow(nil), t.fresh...)
	for level, hashes := range t.tiles {
		count := t.size >> (tileHeight * level)
		if len(hashes) > 0 && count > t.written>>(tileHeight*level) {
			rows = append(rows, tileRow{Partition: partition, Level: level, N: count / tileWidth, Hashes: append([]byte(nil), hashes...)})
		}
	}
	return rows
}

// later returns the time now, or one that is not before another, to the millisecond.
func later(than time.Time) time.Time {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if now.Before(than) {
		return than
	}
	return now
}
