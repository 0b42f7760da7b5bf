package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Tiles are subtrees of this height, so that one row holds the hashes of 256 events.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	tileBytes  = tileWidth * tlog.HashSize
)

// edge is the right edge of a growing tree: all that has to be known of it to add leaves and to tell its root. It takes a few
// kilobytes, however long the tree.
type edge struct {
	size int64
	// nodes are the roots of the complete subtrees that the tree consists of, by their height: one for each bit of size.
	nodes [64]tlog.Hash
	// tiles are the last tiles that are not full, by their level.
	tiles [][]byte
	// full is called with each tile that became full. The hashes are the callee's.
	full func(level int, n int64, hashes []byte)
}

// add adds a leaf.
func (e *edge) add(leaf tlog.Hash) {
	e.put(0, leaf)
	height := 0
	for n := e.size; n&1 != 0; n >>= 1 {
		leaf = tlog.NodeHash(e.nodes[height], leaf)
		height++
		if height%tileHeight == 0 {
			e.put(height/tileHeight, leaf)
		}
	}
	e.nodes[height] = leaf
	e.size++
	for level := range e.tiles {
		if len(e.tiles[level]) < tileBytes {
			break // those above did not grow
		}
		if e.full != nil {
			e.full(level, e.size>>(tileHeight*(level+1))-1, e.tiles[level])
		}
		e.tiles[level] = nil
	}
}

func (e *edge) put(level int, hash tlog.Hash) {
	if level == len(e.tiles) {
		e.tiles = append(e.tiles, nil)
	}
	if e.tiles[level] == nil {
		e.tiles[level] = make([]byte, 0, tileBytes)
	}
	e.tiles[level] = append(e.tiles[level], hash[:]...)
}

// root returns the root of the tree.
func (e *edge) root() tlog.Hash {
	root, set := tlog.Hash{}, false
	for height := 0; e.size>>height > 0; height++ {
		switch {
		case e.size>>height&1 == 0:
		case set:
			root = tlog.NodeHash(e.nodes[height], root)
		default:
			root, set = e.nodes[height], true
		}
	}
	if !set {
		root, _ = tlog.TreeHash(0, nil) // of no events, for which nothing is read
	}
	return root
}

func (e *edge) tree() tlog.Tree { return tlog.Tree{N: e.size, Hash: e.root()} }

// edgeTiles returns the tiles that make the edge of a tree of so many leaves: the last one of each level that is not full.
func edgeTiles(size int64) (tiles []tlog.Tile) {
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		if hashes := size >> (tileHeight * level); hashes%tileWidth != 0 {
			tiles = append(tiles, tlog.Tile{H: tileHeight, L: level, N: hashes / tileWidth, W: int(hashes % tileWidth)})
		}
	}
	return tiles
}

// newEdge makes the edge of a tree of so many leaves from its tiles, as edgeTiles names them. Only its root says whether they are
// the right ones.
func newEdge(size int64, data func(tlog.Tile) []byte) (*edge, error) {
	e := &edge{size: size}
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		e.tiles = append(e.tiles, nil)
	}
	for _, t := range edgeTiles(size) {
		hashes := data(t)
		if len(hashes) < t.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %d of level %d has %d bytes, not %d", t.N, t.L, len(hashes), t.W*tlog.HashSize)
		}
		hashes = hashes[:t.W*tlog.HashSize]
		e.tiles[t.L] = append(make([]byte, 0, tileBytes), hashes...)
		// The bits of W say which subtrees there are, the largest first.
		for height := tileHeight - 1; height >= 0; height-- {
			if t.W>>height&1 != 0 {
				width := tlog.HashSize << height
				e.nodes[t.L*tileHeight+height] = subtree(hashes[:width])
				hashes = hashes[width:]
			}
		}
	}
	return e, nil
}

// subtree returns the root over hashes whose number is a power of two.
func subtree(hashes []byte) tlog.Hash {
	if len(hashes) == tlog.HashSize {
		return tlog.Hash(hashes)
	}
	half := len(hashes) / 2
	return tlog.NodeHash(subtree(hashes[:half]), subtree(hashes[half:]))
}
