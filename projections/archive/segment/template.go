package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"mpim/domain"
)

// template is what events of one kind have in common.
type template struct {
	eventType domain.EventType
	version   int
	sequenced bool
	metadata  []decodedPiece
	data      []decodedPiece
}

// decodedPiece is a piece with the column that its values come from.
type decodedPiece struct {
	kind   pieceKind
	text   string
	column int
	trace  bool
}

// appendKey writes what tells a template from all others: type and version are literals of the metadata.
func (p *parts) appendKey(b []byte) []byte {
	for _, pieces := range [2][]piece{p.metadata, p.data} {
		for _, one := range pieces {
			b = append(b, byte(one.kind))
			b = binary.AppendUvarint(b, uint64(len(one.text)))
			b = append(b, one.text...)
		}
		b = append(b, 0xff)
	}
	return b
}

// appendTemplate writes type, version, and the pieces of metadata and data. Column gives the number of a member's column.
func (p *parts) appendTemplate(b []byte, column func(member string) int) []byte {
	b = appendText(b, string(p.eventType))
	b = appendText(b, strconv.Itoa(p.version))
	for _, pieces := range [2][]piece{p.metadata, p.data} {
		b = binary.AppendUvarint(b, uint64(len(pieces)))
		for _, one := range pieces {
			b = append(b, byte(one.kind))
			switch one.kind {
			case literal:
				b = appendText(b, one.text)
			case textValue, packedValue:
				b = binary.AppendUvarint(b, uint64(column(one.text))) //nolint:gosec // a count
				b = append(b, flag(one.text == traceMember))
			default: // what stands there is known by its kind
			}
		}
	}
	return b
}

// traceMember is where the trace of an event is kept.
const traceMember = "metadata traceparent"

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

var errDamaged = errors.New("the segment is damaged")

// readTemplates reads the table of templates.
func readTemplates(column *reader, n, columns int) ([]template, error) {
	templates := make([]template, 0, min(n, len(column.b)))
	for len(templates) < n && !column.failed {
		t := template{eventType: domain.EventType(column.text())}
		var err error
		if t.version, err = strconv.Atoi(column.text()); err != nil {
			column.failed = true
		}
		t.metadata, t.data = readPieces(column, columns), readPieces(column, columns)
		for _, one := range t.metadata {
			t.sequenced = t.sequenced || one.kind == packedSeq
		}
		if column.failed {
			break
		}
		if err := t.sound(); err != nil {
			return nil, fmt.Errorf("template %d: %w", len(templates)+1, err)
		}
		templates = append(templates, t)
	}
	return templates, nil
}

func readPieces(column *reader, columns int) []decodedPiece {
	n := column.uvarint()
	if n > maxPieces {
		column.failed = true
	}
	var pieces []decodedPiece
	for range n {
		if column.failed {
			return nil
		}
		one := decodedPiece{kind: pieceKind(column.byte())}
		switch {
		case one.kind == literal:
			one.text = column.text()
		case one.kind == textValue || one.kind == packedValue:
			one.column = int(column.uvarint()) //nolint:gosec // bounded below
			one.trace = column.byte() == 1
			if one.column < colFirstValue || one.column >= columns {
				column.failed = true
			}
		case one.kind > packedOrdinal:
			column.failed = true
		}
		pieces = append(pieces, one)
	}
	return pieces
}
