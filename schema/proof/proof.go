package proof

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"mpim/domain"
	"mpim/schema"
)

// Format names the form of a proof.
const Format = "mpim proof v1"

// Proof is one event with all that shows that it is in the log, for who has nothing else but a public key.
type Proof struct {
	Format string `json:"format"`
	Entry
	// Head is the signed head whose tree has the event.
	Head string `json:"head"`
}

// Entry is one event, and the hashes that lead from its leaf to the root of its partition's tree.
type Entry struct {
	Position string `json:"position"`
	// UUID, Metadata and Payload are the exact bytes, in base64.
	UUID     []byte `json:"uuid"`
	Metadata []byte `json:"metadata"`
	Payload  []byte `json:"payload"`
	// Hashes are the siblings on the way up, from the leaf's own, in base64.
	Hashes []string `json:"hashes"`
}

// NewEntry returns the entry of an event.
func NewEntry(e Event, path tlog.RecordProof) Entry {
	entry := Entry{
		Position: domain.Position{Partition: e.Partition, Seq: e.Seq}.String(),
		UUID:     []byte(e.UUID), Metadata: e.Metadata, Payload: e.Payload, Hashes: make([]string, len(path)),
	}
	for n, hash := range path {
		entry.Hashes[n] = hash.String()
	}
	return entry
}

// maxHashes is more than any tree is high.
const maxHashes = 64

// Check returns the record where the tree of the head has it, and an error that says why not otherwise.
func (e Entry) Check(h Head) (*schema.Record, error) {
	at, err := domain.ParsePosition(e.Position)
	if err != nil || at.String() != e.Position {
		return nil, fmt.Errorf("%q is no position", e.Position)
	}
	if at.Partition < 0 || at.Partition >= len(h.Trees) {
		return nil, fmt.Errorf("the log has no partition %d", at.Partition)
	}
	tree := h.Trees[at.Partition]
	if at.Seq < 1 || at.Seq > tree.N {
		return nil, fmt.Errorf("head %d signs events %d:1 to %d:%d, not %s", h.Number, at.Partition, at.Partition, tree.N, at)
	}
	if len(e.Hashes) > maxHashes {
		return nil, fmt.Errorf("it has %d hashes", len(e.Hashes))
	}
	path := make(tlog.RecordProof, len(e.Hashes))
	for n, text := range e.Hashes {
		if path[n], err = tlog.ParseHash(text); err != nil || path[n].String() != text {
			return nil, fmt.Errorf("hash %d is no SHA-256 in base64", n+1)
		}
	}
	leaf := new(Hasher).Hash(Event{Partition: at.Partition, Seq: at.Seq, UUID: string(e.UUID), Metadata: e.Metadata, Payload: e.Payload})
	if tlog.CheckRecord(path, tree.N, tree.Hash, at.Seq-1, leaf) != nil {
		return nil, fmt.Errorf("this is not event %s as head %d signed it", at, h.Number)
	}
	record, broken := schema.DecodeRecord(at.Partition, "", string(e.UUID), e.Metadata, e.Payload)
	record.Position, record.Broken = at, broken
	return &record, nil
}

// Checked is what a proof shows.
type Checked struct {
	Head   Head
	Record *schema.Record
}

// ParseProof reads a proof. Members that are not those of a proof, or that come twice, are refused.
func ParseProof(data []byte) (Proof, error) {
	var p Proof
	if err := json.Unmarshal(data, &p, json.RejectUnknownMembers(true)); err != nil {
		return p, fmt.Errorf("this is no proof: %w", err)
	}
	if p.Format != Format {
		return p, fmt.Errorf("this is no proof of a form that is known: its format is %q, not %q", p.Format, Format)
	}
	return p, nil
}

// Text returns the proof as JSON.
func (p Proof) Text() ([]byte, error) {
	p.Format = Format
	text, err := json.Marshal(p, jsontext.WithIndent("  "))
	return append(text, '\n'), err
}

// Check returns what the proof shows, with keys that are trusted. The error says why it shows nothing.
func (p Proof) Check(keys *Keys) (Checked, error) {
	if !keys.Trusts() {
		return Checked{}, errors.New("a proof is checked with a public key")
	}
	h, err := keys.Open([]byte(p.Head))
	if err != nil {
		return Checked{}, err
	}
	record, err := p.Entry.Check(h)
	return Checked{Head: h, Record: record}, err
}
