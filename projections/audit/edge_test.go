package audit

import (
	"bytes"
	"crypto/sha256"
	"strconv"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// stored is a tree as package tlog makes it, each hash by itself.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		list[i] = s[n]
	}
	return list, nil
}

func leafOf(n int64) tlog.Hash { return sha256.Sum256([]byte(strconv.FormatInt(n, 10))) }

// An edge has the root and the tiles that package tlog has, at every size, and wherever it is taken up again.
func TestEdgeIsTheTree(t *testing.T) {
	t.Parallel()
	const most = 3 * tileWidth * tileWidth / 2
	tree := make(stored, 0, 2*most)
	for n := range int64(most) {
		hashes, err := tlog.StoredHashesForRecordHash(n, leafOf(n), tree)
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, hashes...)
	}
	tiles := make(map[tlog.Tile][]byte)
	e := &edge{full: func(level int, n int64, hashes []byte) {
		tiles[tlog.Tile{H: tileHeight, L: level, N: n, W: tileWidth}] = hashes
	}}
	tileOf := func(tile tlog.Tile) []byte {
		data, err := tlog.ReadTileData(tile, tree)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	checkEdge := func(t interface{ Fatalf(string, ...any) }, e *edge, size int64) {
		want, err := tlog.TreeHash(size, tree)
		if err != nil || e.size != size || e.root() != want {
			t.Fatalf("at %d of %d the root is %s, want %s, %v", e.size, size, e.root(), want, err)
		}
		for _, tile := range edgeTiles(size) {
			if !bytes.Equal(e.tiles[tile.L], tileOf(tile)) {
				t.Fatalf("at %d tile %+v is another", size, tile)
			}
		}
	}
	for n := range int64(most) {
		if n < 1000 || n%509 == 0 {
			checkEdge(t, e, n)
		}
		e.add(leafOf(n))
	}
	checkEdge(t, e, most)
	if len(tiles) != 3*tileWidth/2+1 {
		t.Errorf("%d tiles became full", len(tiles))
	}
	for tile, hashes := range tiles {
		if !bytes.Equal(hashes, tileOf(tile)) {
			t.Errorf("tile %+v is another", tile)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, most-300).Draw(t, "size")
		again, err := newEdge(size, func(tile tlog.Tile) []byte { return tileOf(tile) })
		if err != nil {
			t.Fatal(err)
		}
		checkEdge(t, again, size)
		more := rapid.Int64Range(0, 300).Draw(t, "more")
		for n := size; n < size+more; n++ {
			again.add(leafOf(n))
		}
		checkEdge(t, again, size+more)
	})
}

func TestEdgeWantsItsTiles(t *testing.T) {
	t.Parallel()
	if _, err := newEdge(300, func(tlog.Tile) []byte { return make([]byte, 31) }); err == nil {
		t.Error("a tile that is too short is taken")
	}
}
