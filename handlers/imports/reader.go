package imports

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// lineReader reads lines of bounded length.
type lineReader struct{ r *bufio.Reader }

func newLineReader(r io.Reader) *lineReader { return &lineReader{bufio.NewReaderSize(r, maxLine)} }

// next returns the next line, which is valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	text, err := l.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("more than %d bytes", maxLine)
	case errors.Is(err, io.EOF) && len(text) > 0:
		return text, nil
	default:
		return text, err
	}
}
