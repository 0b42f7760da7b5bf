// Package segmenttest makes entries of the log as the append script writes them, of natural texts.
package segmenttest

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/schema"
	"mpim/schema/seal"
)

// Log makes the records of one partition.
type Log struct {
	Partition int
	Records   []*schema.Record
	// Ring seals what people write; nil leaves it open.
	Ring *seal.Ring

	rand     *rand.Rand
	at       time.Time
	seqs     map[domain.Aggregate]int64
	ordinals map[domain.Aggregate]int64
}

// NewLog returns an empty log; the same seed gives the same events.
func NewLog(partition int, seed uint64) *Log {
	return &Log{
		Partition: partition, rand: rand.New(rand.NewPCG(seed, 1)),
		at:   time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		seqs: make(map[domain.Aggregate]int64), ordinals: make(map[domain.Aggregate]int64),
	}
}

// Append adds an event, some milliseconds after the one before.
func (l *Log) Append(tb testing.TB, aggregate domain.Aggregate, actor domain.UserID, fact domain.Fact) *schema.Record {
	tb.Helper()
	l.at = l.at.Add(time.Duration(l.rand.IntN(20)) * time.Millisecond)
	entropy := make([]byte, domain.EventEntropy)
	binary.BigEndian.PutUint64(entropy, l.rand.Uint64())
	binary.BigEndian.PutUint16(entropy[8:], uint16(l.rand.Uint32()))
	drafts, err := l.drafts(tb, domain.Commit{Aggregate: aggregate, At: l.at, Actor: actor, Entropy: entropy, Events: []domain.Fact{fact}})
	if err != nil {
		tb.Fatal(err)
	}
	draft := drafts[0]
	metadata := appendEntry(draft.Metadata, schema.PartitionSeqKey, int64(len(l.Records)+1))
	if draft.Sequenced {
		l.seqs[aggregate]++
		if draft.Message {
			l.ordinals[aggregate]++
		}
		metadata = appendEntry(metadata, schema.SeqKey, l.seqs[aggregate])
		metadata = appendEntry(metadata, schema.OrdinalKey, l.ordinals[aggregate])
	}
	stream := strconv.FormatInt(l.at.UnixMilli()+int64(l.rand.IntN(5)), 10) + "-" + strconv.Itoa(len(l.Records)%2)
	return l.Add(tb, stream, string(draft.ID), metadata, draft.Payload)
}

func (l *Log) drafts(tb testing.TB, c domain.Commit) ([]schema.Draft, error) {
	tb.Helper()
	if l.Ring == nil {
		return schema.Drafts(c, nil)
	}
	sealing, err := l.Ring.Seal(tb.Context(), &c)
	if err != nil {
		return nil, err
	}
	return schema.Drafts(c, sealing)
}

// Add adds an entry as it is, broken or not. A broken one gets the place that it stands at.
func (l *Log) Add(tb testing.TB, stream, id string, metadata, payload []byte) *schema.Record {
	tb.Helper()
	r, err := schema.DecodeRecord(l.Partition, stream, id, metadata, payload)
	r.Broken = err
	r.Seq = int64(len(l.Records) + 1)
	l.Records = append(l.Records, &r)
	return &r
}

func appendEntry(b []byte, key string, n int64) []byte {
	text := strconv.FormatInt(n, 10)
	b = append(append(b, 0xa0|byte(len(key))), key...)
	return append(append(b, 0xa0|byte(len(text))), text...)
}

// Messages adds n messages with the given texts, of 500 conversations with a few members each; a client id is a UUID.
func (l *Log) Messages(tb testing.TB, n int, texts []string) {
	tb.Helper()
	placement := domain.Placement{Partitions: 16}
	var groups []domain.Aggregate
	for i := 0; len(groups) < 500; i++ {
		a := placement.Group("u", strconv.Itoa(i)).Aggregate()
		if p, _ := a.Partition(); p == l.Partition {
			groups = append(groups, a)
		}
	}
	for i := range n {
		which := min(l.rand.IntN(len(groups)), l.rand.IntN(len(groups))) // some are busier than others
		sender := placement.User("user" + strconv.Itoa(which*7+l.rand.IntN(4)))
		l.Append(tb, groups[which], sender, &domain.MessageSent{
			ClientID: l.uuid(), Body: domain.Body{Type: "text", Text: texts[i%len(texts)]},
		})
	}
}

func (l *Log) uuid() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], l.rand.Uint64())
	binary.BigEndian.PutUint64(raw[8:], l.rand.Uint64())
	h := hex.EncodeToString(raw[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// NaturalTexts returns n different texts of about 200 bytes: what people wrote into the comments of Go's own sources.
func NaturalTexts(tb testing.TB, n int) []string {
	tb.Helper()
	var texts []string
	seen := make(map[string]bool)
	var current strings.Builder
	root := filepath.Join(runtime.GOROOT(), "src") //nolint:staticcheck // the toolchain that runs the tests
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		current.Reset()
		lines := bufio.NewScanner(strings.NewReader(string(raw)))
		for lines.Scan() {
			line, comment := strings.CutPrefix(strings.TrimSpace(lines.Text()), "// ")
			if !comment || strings.Contains(line, "opyright") || strings.Contains(line, "license") || strings.HasPrefix(line, "go:") || seen[line] {
				continue
			}
			seen[line] = true
			current.WriteString(line + " ")
			for current.Len() >= 200 {
				text := current.String()
				cut := 200 + strings.IndexByte(text[200:]+" ", ' ')
				texts = append(texts, strings.ToValidUTF8(text[:cut], "?"))
				current.Reset()
				current.WriteString(strings.TrimPrefix(text[cut:], " "))
			}
		}
		if len(texts) >= n {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil || len(texts) < n {
		tb.Fatalf("%d texts in %s, want %d: %v", len(texts), root, n, err)
	}
	return texts[:n]
}
