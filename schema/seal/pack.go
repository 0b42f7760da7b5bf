package seal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// How members are packed: the low bits of the first byte. With framed, they were what a text message has around its text,
// which is left out. What is not stored plainly is preceded by its length, a varint.
const (
	stored  = 0
	latin   = 1
	scripts = 2
	long    = 3

	methods = 0x0f
	framed  = 0x10
)

// Bounds of what is packed how, in bytes. Below the first nothing is gained; up to the second the fixed tables win.
const (
	minPacked = 16
	maxShort  = 1024
	// maxOpened bounds what a text may become: more than any body can be.
	maxOpened = 16 << 20
)

// What stands around the text of a text message.
var (
	frameBegin = []byte(`"body":{"type":"text","text":"`)
	frameEnd   = []byte(`"}`)
)

// tables are Huffman tables as huff0 writes them, and so part of the format: they never change. The first was made of English
// prose with some JSON and accented letters, the second of Chinese, Japanese, Korean, Russian, Greek, Arabic and Hindi; both
// have a code for every byte.
var tables = map[byte]string{
	latin:   "3f10a8334a00f0ffffff737ba35dc7436e5daa0386e1d59044cae4ffebe47f7edb9f52f22971a56a6da8118a78c3d4d4808614150d0d768b248494dcf3bce002",
	scripts: "461098226502c0c0d864c026e949730b1fc0cd0395456837805b3a0541b56cb0451084080791dd5884b926494132fe3b986bd3446eb2b669c6202429282828c0351aa20b030361",
}

// coder packs with one table. It works for one at a time.
type coder struct{ *huff0.Scratch }

func newCoder(method byte) *coder {
	table, err := hex.DecodeString(tables[method])
	if err != nil {
		panic(err) // a constant
	}
	scratch, _, err := huff0.ReadTable(table, nil)
	if err != nil {
		panic(fmt.Sprintf("seal: table %d cannot be read: %v", method, err))
	}
	scratch.Reuse = huff0.ReusePolicyMust
	return &coder{scratch}
}

var (
	coders = map[byte]*sync.Pool{
		latin:   {New: func() any { return newCoder(latin) }},
		scripts: {New: func() any { return newCoder(scripts) }},
	}
	decoders = sync.OnceValue(func() map[byte]*huff0.Decoder {
		return map[byte]*huff0.Decoder{latin: newCoder(latin).Decoder(), scripts: newCoder(scripts).Decoder()}
	})
	longCoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
			zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(4))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	})
	longDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxOpened), zstd.WithDecoderConcurrency(4))
		if err != nil {
			panic(err) // the options are constants
		}
		return d
	})
)

// pack appends the members in the smallest form that is quickly had.
func pack(b, members []byte) []byte {
	head := byte(stored)
	if inner, ok := bytes.CutPrefix(members, frameBegin); ok {
		// Further members would stand behind a quote.
		if inner, ok = bytes.CutSuffix(inner, frameEnd); ok && !hasQuote(inner) {
			head, members = framed, inner
		}
	}
	switch n := len(members); {
	case n < minPacked:
	case n <= maxShort:
		method := methodFor(members)
		if packed, ok := squeeze(b, head|method, members); ok {
			return packed
		}
	default:
		start := len(b)
		packed := binary.AppendUvarint(append(b, head|long), uint64(n))
		if packed = longCoder().EncodeAll(members, packed); len(packed)-start <= n {
			return packed
		}
		b = packed[:start]
	}
	return append(append(b, head), members...)
}

// hasQuote says whether a text has a quote that ends it.
func hasQuote(text []byte) bool {
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return true
		}
	}
	return false
}

// methodFor chooses the table by how much of a text is not ASCII.
func methodFor(members []byte) byte {
	high := 0
	for _, c := range members {
		high += int(c >> 7)
	}
	if high*4 > len(members) {
		return scripts
	}
	return latin
}

// squeeze appends the members as a table has them, and is false where that gains nothing.
func squeeze(b []byte, head byte, members []byte) ([]byte, bool) {
	pool := coders[head&methods]
	c := pool.Get().(*coder) // nothing else is put there
	defer pool.Put(c)
	packed, _, err := huff0.Compress1X(members, c.Scratch)
	if err != nil || len(packed)+2 >= len(members) {
		return b, false
	}
	b = binary.AppendUvarint(append(b, head), uint64(len(members)))
	return append(b, packed...), true
}

var errPacked = errors.New("the sealed text opens to something that this version of mpim cannot unpack")

// unpack returns the members in memory of their own.
func unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, errPacked
	}
	head, rest := packed[0], packed[1:]
	var n uint64
	size := len(rest)
	if head&methods != stored {
		var length int
		if n, length = binary.Uvarint(rest); length <= 0 || n > maxOpened {
			return nil, errPacked
		}
		rest, size = rest[length:], int(n)
	}
	members := make([]byte, 0, size+len(frameBegin)+len(frameEnd))
	if head&framed != 0 {
		members = append(members, frameBegin...)
	}
	members, err := unpackInto(members, head&methods, rest, size)
	if err != nil {
		return nil, errPacked
	}
	if head&framed != 0 {
		members = append(members, frameEnd...)
	}
	return members, nil
}

// unpackInto appends size bytes.
func unpackInto(b []byte, method byte, packed []byte, size int) ([]byte, error) {
	switch method {
	case stored:
		return append(b, packed...), nil
	case latin, scripts:
		start := len(b)
		// The decoder writes from the beginning of what it is given, as far as there is room.
		opened, err := decoders()[method].Decompress1X(b[start:start:start+size], packed)
		if err != nil || len(opened) != size {
			return nil, errPacked
		}
		return b[:start+size], nil
	case long:
		start := len(b)
		b, err := longDecoder().DecodeAll(packed, b)
		if err != nil || len(b)-start != size {
			return nil, errPacked
		}
		return b, nil
	default:
		return nil, errPacked
	}
}
