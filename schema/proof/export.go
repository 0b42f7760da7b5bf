package proof

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"

	"mpim/schema"
)

// ExportLine is an event of an export: what it says, for people and programs, and the exact bytes and hashes that prove it.
type ExportLine struct {
	schema.Line
	// Broken says why an event cannot be decoded.
	Broken   string   `json:"broken,omitempty"`
	UUID     []byte   `json:"uuid"`
	Metadata []byte   `json:"metadata"`
	Payload  []byte   `json:"payload"`
	Hashes   []string `json:"hashes"`
}

// NewExportLine returns the line of a record that the entry proves.
func NewExportLine(r *schema.Record, e Entry) (ExportLine, error) {
	line := ExportLine{UUID: e.UUID, Metadata: e.Metadata, Payload: e.Payload, Hashes: e.Hashes}
	if r.Broken != nil {
		line.Line = schema.Line{Position: e.Position, Partition: r.Partition, PartitionSeq: r.Seq, Event: r.ID, Data: stdjson.RawMessage("{}")}
		line.Broken = r.Broken.Error()
		return line, nil //nolint:nilerr // it is proved as well as any other
	}
	var err error
	line.Line, err = schema.NewStoredLine(r)
	return line, err
}

// ParseExportLine reads a line. Members that are not those of a line, or that come twice, are refused.
func ParseExportLine(data []byte) (line ExportLine, err error) {
	if err := json.Unmarshal(data, &line, json.RejectUnknownMembers(true)); err != nil {
		return line, fmt.Errorf("this is no line of an export: %w", err)
	}
	return line, nil
}

// Check wants the tree of the head to have the event, and the line to say of it what its bytes say. Secrets may be left out of its data, and nothing else.
func (l ExportLine) Check(h Head) (*schema.Record, error) {
	r, err := Entry{Position: l.Position, UUID: l.UUID, Metadata: l.Metadata, Payload: l.Payload, Hashes: l.Hashes}.Check(h)
	if err != nil {
		return nil, err
	}
	if r.Broken != nil {
		if l.Broken == "" || l.Type != "" || l.Actor != "" || string(l.Data) != "{}" {
			return nil, fmt.Errorf("event %s cannot be decoded, and the line says what it is", r.Position)
		}
		return r, nil
	}
	want, err := schema.NewStoredLine(r)
	if err != nil {
		return nil, err
	}
	if !within(l.Data, r.Data) || !within(want.Data, l.Data) {
		return nil, fmt.Errorf("the data of event %s are not those of its payload", r.Position)
	}
	said := l.Line
	said.Data, want.Data = nil, nil
	if !reflect.DeepEqual(said, want) || l.Broken != "" {
		return nil, fmt.Errorf("the line of event %s says something else than its bytes do", r.Position)
	}
	return r, nil
}

// within says whether one JSON object has only members of another, with the same values.
func within(part, whole []byte) bool {
	var some, all map[string]any
	for into, text := range map[*map[string]any][]byte{&some: part, &all: whole} {
		decoder := stdjson.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(into) != nil || *into == nil {
			return false
		}
	}
	for name, value := range some {
		if other, there := all[name]; !there || !reflect.DeepEqual(value, other) {
			return false
		}
	}
	return true
}
