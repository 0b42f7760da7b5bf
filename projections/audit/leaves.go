package audit

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// storedLeaves reads the tiles of a partition in order. They are what somebody has written, and nothing more.
type storedLeaves struct {
	store     store
	partition int
	rows      []tileRow
	// read is the number behind the last tile that was read.
	read int64
}

// load has the lowest tile with a number at hand, if there is one.
func (s *storedLeaves) load(ctx context.Context, n int64) error {
	if n < s.read && (len(s.rows) == 0 || n >= s.rows[0].N) {
		return nil
	}
	rows, err := s.store.leavesFrom(ctx, s.partition, n)
	if err != nil {
		return err
	}
	s.rows, s.read = rows, n+tilesAtOnce
	if len(rows) == tilesAtOnce {
		s.read = rows[len(rows)-1].N + 1
	}
	return nil
}

// tile returns a tile of the lowest level that was loaded, nil where there is none.
func (s *storedLeaves) tile(n int64) []byte {
	for _, row := range s.rows {
		if row.N == n {
			return row.Hashes
		}
	}
	return nil
}

// leaf returns what is stored for a leaf.
func (s *storedLeaves) leaf(index int64) (tlog.Hash, bool) {
	hashes, from := s.tile(index/tileWidth), int(index%tileWidth)*tlog.HashSize
	if len(hashes) < from+tlog.HashSize {
		return tlog.Hash{}, false
	}
	return tlog.Hash(hashes[from : from+tlog.HashSize]), true
}

// tileReader reads tiles for package tlog, which checks them against a root.
type tileReader struct {
	ctx       context.Context //nolint:containedctx // tlog's interface has none
	store     store
	partition int
}

// Height implements tlog.TileReader.
func (tileReader) Height() int { return tileHeight }

// ReadTiles implements tlog.TileReader.
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	rows, err := r.store.tiles(r.ctx, r.partition, tiles)
	if err != nil {
		return nil, err
	}
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		for _, row := range rows {
			if row.Level == t.L && row.N == t.N && len(row.Hashes) >= t.W*tlog.HashSize {
				data[i] = bytes.Clone(row.Hashes[:t.W*tlog.HashSize])
			}
		}
		if data[i] == nil {
			return nil, fmt.Errorf("tile %d of level %d of partition %d is missing or too short", t.N, t.L, r.partition)
		}
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader.
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
