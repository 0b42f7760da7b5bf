package segment

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// windowSize is how far back a repetition is found: over all of a column of a segment of usual size.
	windowSize = 8 << 20
	// leastPacked is how long a column must be that it pays to compress it.
	leastPacked = 48
	// maxColumn bounds what a column may decompress to, so that a damaged segment cannot take all memory.
	maxColumn = 256 << 20
)

// ciphertext is the level for what no search for repetitions makes shorter, but the spare bits of base 64: on it the others are
// slower by far (Best ten times) and gain nothing.
const ciphertext = Best + 1

var packers = sync.OnceValue(func() [3]*zstd.Encoder {
	return [...]*zstd.Encoder{
		Fast: newZstd(zstd.SpeedDefault), Best: newZstd(zstd.SpeedBestCompression), ciphertext: newZstd(zstd.SpeedFastest),
	}
})

func newZstd(speed zstd.EncoderLevel) *zstd.Encoder {
	// The segment's own hash covers the bytes, so the frames carry none.
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithWindowSize(windowSize), zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(2), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return z
}

var unpacker = sync.OnceValue(func() *zstd.Decoder {
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxColumn), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err) // the options are constants
	}
	return z
})

// compress returns nil where that would not make the column shorter.
func compress(column []byte, level Level) []byte {
	if len(column) < leastPacked {
		return nil
	}
	packed := packers()[level].EncodeAll(column, nil)
	if len(packed) >= len(column) {
		return nil
	}
	return packed
}

func decompress(packed []byte, size int) ([]byte, error) {
	if size > maxColumn {
		return nil, fmt.Errorf("a column has %d bytes, more than %d", size, maxColumn)
	}
	column, err := unpacker().DecodeAll(packed, make([]byte, 0, size))
	if err != nil {
		return nil, err
	}
	if len(column) != size {
		return nil, fmt.Errorf("a column has %d bytes, not %d", len(column), size)
	}
	return column, nil
}
