package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/database"
	"mpim/schema"
	"mpim/schema/proof"
)

// Prover proves events by the tree that one head signed. It keeps the tiles that it read last, so that events in order cost little.
// It is not for several goroutines.
type Prover struct {
	store store
	head  proof.Head
	// tiles are the rows that were read, of one partition.
	partition int
	tiles     map[tileKey][]byte
}

type tileKey struct {
	level int
	n     int64
}

// mostTiles is how many tiles are kept: the way from a leaf to the root, many times over.
const mostTiles = 256

// NewProver returns one that proves by a head whose signature the caller has checked.
func NewProver(db *database.DB, h proof.Head) *Prover {
	return &Prover{store: store{db}, head: h}
}

// Covers says whether the head signs the event.
func (p *Prover) Covers(r *schema.Record) bool {
	return r.Partition < len(p.head.Trees) && r.Seq <= p.head.Trees[r.Partition].N
}

// Prove returns the entry of an event that the head covers. It has been checked. An error says that the event, or the hashes that are
// stored, are not what was signed.
func (p *Prover) Prove(ctx context.Context, r *schema.Record) (proof.Entry, error) {
	if !p.Covers(r) {
		return proof.Entry{}, fmt.Errorf("head %d does not sign event %s", p.head.Number, r.Position)
	}
	if p.partition != r.Partition || p.tiles == nil || len(p.tiles) > mostTiles {
		p.partition, p.tiles = r.Partition, make(map[tileKey][]byte)
	}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return p.hashes(ctx, indexes) })
	path, err := tlog.ProveRecord(p.head.Trees[r.Partition].N, r.Seq-1, reader)
	if err != nil {
		return proof.Entry{}, fmt.Errorf("prove event %s: %w", r.Position, err)
	}
	entry := proof.NewEntry(proof.EventOf(r), path)
	if _, err := entry.Check(p.head); err != nil {
		return entry, fmt.Errorf("event %s cannot be proved, `mpim audit verify` says more: %w", r.Position, err)
	}
	return entry, nil
}

// hashes reads hashes of the tree. What they are worth the root says.
func (p *Prover) hashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	var missing []tlog.Tile
	wanted := make([]tlog.Tile, len(indexes))
	for i, index := range indexes {
		wanted[i] = tlog.TileForIndex(tileHeight, index)
		key := tileKey{wanted[i].L, wanted[i].N}
		if _, known := p.tiles[key]; !known {
			p.tiles[key] = nil
			missing = append(missing, wanted[i])
		}
	}
	rows, err := p.store.tiles(ctx, p.partition, missing)
	if err != nil {
		p.tiles = nil
		return nil, err
	}
	for _, row := range rows {
		p.tiles[tileKey{row.Level, row.N}] = row.Hashes
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if hashes[i], err = tlog.HashFromTile(wanted[i], p.tiles[tileKey{wanted[i].L, wanted[i].N}], index); err != nil {
			return nil, fmt.Errorf("tile %d of level %d: %w", wanted[i].N, wanted[i].L, err)
		}
	}
	return hashes, nil
}
